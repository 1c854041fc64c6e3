//! A fresh hit, and a load.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bsm_cache::{Cache, CacheSettings, Spec};
use bsm_resilience::clock::SystemClock;
use futures_util::FutureExt as _;

use crate::measure::{block_on, contender, table};

const KEYS: usize = 1_000;
const MANY: usize = 200_000;

fn ours() -> Arc<Cache<u64, String>> {
    let spec = Spec {
        name: "x",
        settings: CacheSettings { max_bytes: 1 << 30, ..CacheSettings::default() },
        load_timeout: Duration::from_secs(10),
        weigh: |_| 8,
        abandons: false,
        keeps: |_| true,
        life: |_| 1.0,
        is_negative: |_| false,
    };
    Cache::new(spec, Arc::new(SystemClock))
}

pub fn hits() {
    let keys: Arc<Vec<String>> = Arc::new((0..KEYS).map(|i| format!("{i:064x}")).collect());
    let bsm = ours();
    let sync = moka::sync::Cache::<String, Arc<u64>>::builder()
        .max_capacity(100_000)
        .time_to_live(Duration::from_secs(3_600))
        .build();
    let future = moka::future::Cache::<String, Arc<u64>>::builder()
        .max_capacity(100_000)
        .time_to_live(Duration::from_secs(3_600))
        .build();
    let quick = Arc::new(quick_cache::sync::Cache::<String, Arc<u64>>::new(100_000));
    block_on(async {
        for key in keys.iter() {
            bsm.get(key, |_| async { Ok(1) }).await.unwrap();
            future.insert(key.clone(), Arc::new(1)).await;
            sync.insert(key.clone(), Arc::new(1));
            quick.insert(key.clone(), Arc::new(1));
        }
    });
    let each = |keys: &Arc<Vec<String>>| Arc::clone(keys);
    let (a, b, c, d) = (each(&keys), each(&keys), each(&keys), each(&keys));
    table(
        "Cache: a fresh hit among 1,000 keys of 64 bytes",
        MANY,
        &[
            contender("bsm get (expiry, age, statistics)", move |n| {
                block_on(async {
                    for i in 0..n {
                        let _ = black_box(bsm.get(&a[i % KEYS], |_| async { Ok(1) }).await);
                    }
                });
            }),
            contender("moka 0.12 future get_with (expiry)", move |n| {
                block_on(async {
                    for i in 0..n {
                        black_box(future.get_with_by_ref(&b[i % KEYS], async { Arc::new(1) }).await);
                    }
                });
            }),
            contender("moka 0.12 sync get (expiry)", move |n| {
                for i in 0..n {
                    black_box(sync.get(&c[i % KEYS]));
                }
            }),
            contender("quick_cache 0.7 get (no expiry)", move |n| {
                for i in 0..n {
                    black_box(quick.get(&d[i % KEYS]));
                }
            }),
        ],
    );
}

/// Starting a flight, and the whole way of a missing key, a new key each time.
pub fn loads() {
    const LOADS: usize = 20_000;
    let mut results = [Vec::new(), Vec::new(), Vec::new()];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for round in 0..9 {
        let keys: Vec<String> = (0..LOADS).map(|i| format!("{round}-{i:060x}")).collect();
        let (bsm, whole) = (ours(), ours());
        let moka = moka::future::Cache::<String, Arc<u64>>::builder()
            .max_capacity(1_000_000)
            .time_to_live(Duration::from_secs(3_600))
            .build();
        runtime.block_on(async {
            let began = Instant::now();
            for key in &keys {
                // One poll: the look, the flight's start, a waiter; then the caller goes away.
                let _ = bsm.get(key, |_| async { Ok(1) }).now_or_never();
            }
            results[0].push(began.elapsed().as_nanos() as f64 / LOADS as f64);
            while bsm.stats().in_flight > 0 {
                tokio::task::yield_now().await;
            }
            let began = Instant::now();
            for key in &keys {
                whole.get(key, |_| async { Ok(1) }).await.unwrap();
            }
            results[1].push(began.elapsed().as_nanos() as f64 / LOADS as f64);
            let began = Instant::now();
            for key in &keys {
                moka.get_with_by_ref(key, async { Arc::new(1) }).await;
            }
            results[2].push(began.elapsed().as_nanos() as f64 / LOADS as f64);
        });
    }
    println!("\nCache: a missing key, loaded at once (median of 9)");
    let names = [
        "bsm, flight start (task, waiter, board)",
        "bsm, whole: start, load in its task, wake, store",
        "moka 0.12 get_with (load in the caller)",
    ];
    for (name, mut times) in names.into_iter().zip(results) {
        times.sort_by(f64::total_cmp);
        println!("{name:<50} {:>8.0} ns", times[times.len() / 2]);
    }
}
