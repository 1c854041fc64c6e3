//! The cache's promises: one load, no old value after an invalidation, stale only within its time.

use super::entry::tags;
use super::*;
use bsm_base::clock::SystemClock;
use std::sync::atomic::AtomicUsize;

pub(super) type Numbers = Arc<Cache<usize, String>>;

pub(super) const SETTINGS: CacheSettings = CacheSettings {
    ttl_ms: 1_000,
    jitter_percent: 0,
    stale_ms: 5_000,
    stale_if_error_ms: 5_000,
    negative_ms: 0,
    max_bytes: 1 << 20,
};

pub(super) fn spec(settings: CacheSettings) -> Spec<usize, String> {
    Spec {
        name: "numbers",
        settings,
        load_timeout: Duration::from_secs(30),
        weigh: |_| 8,
        abandons: false,
        keeps: |_| true,
        life: |_| 1.0,
        is_negative: |error| error == "nothing",
    }
}

pub(super) fn with(settings: CacheSettings) -> Numbers {
    Cache::new(spec(settings), Arc::new(SystemClock))
}

pub(super) fn cache() -> Numbers {
    with(SETTINGS)
}

async fn load_after(count: &Arc<AtomicUsize>, delay_ms: u64) -> Result<usize, String> {
    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    Ok(count.fetch_add(1, Relaxed) + 1)
}

pub(super) fn get(
    cache: &Numbers,
    count: &Arc<AtomicUsize>,
    delay_ms: u64,
) -> impl Future<Output = Result<(Arc<usize>, Source), LoadError<String>>> + use<> {
    let (cache, count) = (Arc::clone(cache), Arc::clone(count));
    async move {
        cache
            .get(
                "k",
                move |_| async move { load_after(&count, delay_ms).await },
            )
            .await
    }
}

// Seen failing (two loads and more) with the flight held by its caller instead of a task.
#[tokio::test(start_paused = true)]
async fn ten_thousand_gets_half_of_them_cancelled_cost_one_load() {
    for expired in [false, true] {
        let (cache, count) = (cache(), Arc::new(AtomicUsize::new(0)));
        if expired {
            get(&cache, &count, 0).await.unwrap();
            tokio::time::advance(Duration::from_secs(7)).await;
        }
        let before = count.load(Relaxed);
        let tasks: Vec<_> = (0..10_000)
            .map(|_| tokio::spawn(get(&cache, &count, 50)))
            .collect();
        tokio::task::yield_now().await;
        for (i, task) in tasks.into_iter().enumerate() {
            if i % 2 == 0 {
                task.abort(); // the first too
            } else {
                assert_eq!(*task.await.unwrap().unwrap().0, before + 1);
            }
        }
        assert_eq!(count.load(Relaxed), before + 1);
        let stats = cache.stats();
        assert_eq!(stats.loads as usize, before + 1);
        assert_eq!(stats.misses as usize, before + 1);
    }
}

/// On two threads a flight may land between a caller's look and its departure. Seen failing (more loads
/// than rounds) without the second look under the lock.
#[test]
fn racing_gets_on_two_threads_load_once_a_round() {
    const ROUNDS: usize = 300;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let (cache, count) = (cache(), Arc::new(AtomicUsize::new(0)));
    runtime.block_on(async {
        for round in 0..ROUNDS {
            let key = format!("k{round}");
            let tasks: Vec<_> = (0..40)
                .map(|_| {
                    let (cache, count, key) = (Arc::clone(&cache), Arc::clone(&count), key.clone());
                    tokio::spawn(async move {
                        let load = move |_| async move { Ok(count.fetch_add(1, Relaxed)) };
                        cache.get(&key, load).await.map(drop)
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
        }
    });
    assert_eq!(count.load(Relaxed), ROUNDS);
    let stats = cache.stats();
    let gets = stats.hits + stats.stale_served + stats.stampede_prevented + stats.misses;
    assert_eq!(gets as usize, ROUNDS * 40);
}

#[tokio::test(start_paused = true)]
async fn without_stampede_protection_everybody_loads_and_it_still_fills() {
    let (cache, count) = (cache(), Arc::new(AtomicUsize::new(0)));
    cache.set_protected(false);
    let tasks: Vec<_> = (0..5)
        .map(|i| {
            let get = get(&cache, &count, 50);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(10 * i)).await;
                get.await.unwrap();
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(55)).await;
    assert!(cache.peek("k").is_some(), "the first to land is kept");
    cache.invalidate("k");
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(count.load(Relaxed), 5);
    assert!(
        cache.peek("k").is_none(),
        "loads of before an invalidation are not"
    );
}

/// Seen failing (the second get waits for ever) without the guard in the load's task.
#[tokio::test(start_paused = true)]
async fn a_load_that_dies_on_its_way_out_harms_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new(()));
        }
    }
    let cache = cache();
    let hangs_and_panics_when_dropped = |_| async {
        let _bomb = Bomb;
        std::future::pending::<()>().await;
        Ok(0)
    };
    let first = cache.get("k", hangs_and_panics_when_dropped).await;
    assert!(matches!(first, Err(LoadError::Panicked)));
    assert!(cache.get("k", |_| async { Ok(7) }).await.is_ok());
    assert_eq!(cache.stats().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn one_value_may_take_the_whole_room() {
    let spec = Spec {
        weigh: |_| 900_000,
        ..spec(SETTINGS)
    };
    let cache: Numbers = Cache::new(spec, Arc::new(SystemClock));
    let count = Arc::new(AtomicUsize::new(0));
    get(&cache, &count, 0).await.unwrap();
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.valid), (1, true));
    for _ in 0..3 {
        cache.invalidate("k");
        get(&cache, &count, 0).await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(7)).await;
    get(&cache, &count, 0).await.unwrap();
    assert_eq!(
        cache.stats().evictions,
        0,
        "what is replaced did not make room"
    );
}

#[tokio::test(start_paused = true)]
async fn the_hard_end_holds_for_whoever_waited_over_it_too() {
    let cache = with(CacheSettings {
        stale_ms: 1_000,
        ..SETTINGS
    });
    let count = Arc::new(AtomicUsize::new(0));
    get(&cache, &count, 0).await.unwrap();
    tokio::time::advance(Duration::from_millis(5_500)).await;
    let slow = |_| async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Err("down".to_owned())
    };
    assert!(cache.get("k", slow).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn stale_is_served_at_once_marked_and_refreshed_once() {
    let (cache, count) = (cache(), Arc::new(AtomicUsize::new(0)));
    get(&cache, &count, 0).await.unwrap();
    tokio::time::advance(Duration::from_millis(1_500)).await;
    for _ in 0..100 {
        let (value, source) = get(&cache, &count, 10).await.unwrap();
        assert_eq!(*value, 1);
        assert!(matches!(source, Source::Stale(_)));
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(count.load(Relaxed), 2);
    assert!(matches!(get(&cache, &count, 0).await.unwrap(), (v, Source::Hit(_)) if *v == 2));
    tokio::time::advance(Duration::from_secs(7)).await;
    assert!(matches!(get(&cache, &count, 0).await.unwrap(), (v, Source::Loaded) if *v == 3));
}

#[tokio::test(start_paused = true)]
async fn a_failing_refresh_keeps_serving_stale_until_its_hard_end() {
    let (cache, count) = (cache(), Arc::new(AtomicUsize::new(0)));
    get(&cache, &count, 0).await.unwrap();
    for _ in 0..4 {
        tokio::time::advance(Duration::from_millis(1_200)).await;
        let result = cache.get("k", |_| async { Err("down".to_owned()) }).await;
        assert!(matches!(result, Ok((_, Source::Stale(_)))));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::advance(Duration::from_millis(1_600)).await;
    assert!(
        cache
            .get("k", |_| async { Err("down".to_owned()) })
            .await
            .is_err()
    );
    assert!(cache.stats().last_error.unwrap().contains("down"));
}

// Seen failing when `land` stores without comparing the flight's number.
#[tokio::test(start_paused = true)]
async fn a_load_in_flight_never_undoes_an_invalidation() {
    let (cache, count) = (cache(), Arc::new(AtomicUsize::new(0)));
    let early = tokio::spawn(get(&cache, &count, 50));
    tokio::time::sleep(Duration::from_millis(10)).await;
    cache.invalidate("k");
    assert!(cache.peek("k").is_none());
    let late = tokio::spawn(get(&cache, &count, 100));
    assert_eq!(*early.await.unwrap().unwrap().0, 1); // those who waited get their answer
    assert!(cache.peek("k").is_none());
    assert_eq!(*late.await.unwrap().unwrap().0, 2);
    assert_eq!(*cache.peek("k").unwrap().0, 2);
}

#[tokio::test(start_paused = true)]
async fn panics_and_hangs_are_contained() {
    let cache = cache();
    let panicked = cache.get("k", |_| async { panic!("loader") }).await;
    assert!(matches!(panicked, Err(LoadError::Panicked)));
    let hung = cache.get("k", |_| std::future::pending()).await;
    assert!(matches!(hung, Err(LoadError::TimedOut(_))));
    assert!(cache.get("k", |_| async { Ok(0) }).await.is_ok()); // falsy values hit too
    assert!(
        matches!(cache.get("k", |_| async { Ok(9) }).await, Ok((v, Source::Hit(_))) if *v == 0)
    );
    assert_eq!(cache.stats().errors, 2);
}

#[tokio::test(start_paused = true)]
async fn clear_counts_and_the_statistics_add_up() {
    let (cache, count) = (cache(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..10 {
        get(&cache, &count, 0).await.unwrap();
    }
    assert_eq!(cache.clear(), 1);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (9, 1, 0));
    assert!((stats.hit_rate().unwrap() - 0.9).abs() < 1e-9);
}

// Seen failing with `abandons` left false: the load runs to its end for nobody.
#[tokio::test(start_paused = true)]
async fn a_load_that_nobody_waits_for_any_more_ends_where_it_is_asked_to() {
    let spec = Spec {
        abandons: true,
        ..spec(SETTINGS)
    };
    let cache: Numbers = Cache::new(spec, Arc::new(SystemClock));
    let count = Arc::new(AtomicUsize::new(0));
    let (first, second) = (
        tokio::spawn(get(&cache, &count, 100)),
        tokio::spawn(get(&cache, &count, 100)),
    );
    tokio::time::sleep(Duration::from_millis(10)).await;
    first.abort();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(cache.stats().in_flight, 1, "one waiter is left");
    second.abort();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((count.load(Relaxed), cache.stats().in_flight), (0, 0));
    assert_eq!(*get(&cache, &count, 5).await.unwrap().0, 1);
    // A refresh has no waiter from its start and must not be given up for that.
    tokio::time::advance(Duration::from_millis(1_500)).await;
    get(&cache, &count, 5).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(count.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_gets_of_stale_values_wait_for_nobody_and_refresh_once_a_key() {
    const KEYS: usize = 1_000;
    let (cache, loads) = (cache(), Arc::new(AtomicUsize::new(0)));
    let load = |key: usize| {
        let (cache, loads) = (Arc::clone(&cache), Arc::clone(&loads));
        async move {
            let slow = move |_| async move { load_after(&loads, 500).await };
            cache.get(&format!("k{key}"), slow).await.unwrap().1
        }
    };
    futures_util::future::join_all((0..KEYS).map(load)).await;
    tokio::time::advance(Duration::from_millis(1_500)).await;
    let before = tokio::time::Instant::now();
    for _ in 0..100 {
        for source in futures_util::future::join_all((0..KEYS).map(load)).await {
            assert!(matches!(source, Source::Stale(_)));
        }
    }
    assert_eq!(tokio::time::Instant::now(), before, "somebody waited");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(loads.load(Relaxed), 2 * KEYS);
    let stats = cache.stats();
    assert_eq!(
        (stats.misses, stats.stale_served, stats.in_flight),
        (KEYS as u64, 100 * KEYS as u64, 0)
    );
}

/// Invalidation before, during and after a load, in every order of two loads: whoever asks after
/// `invalidate` has returned never gets what was loaded from before it.
#[tokio::test(start_paused = true)]
async fn no_old_read_after_an_invalidation_in_any_order() {
    for (first_ms, second_ms, invalidate_ms) in [
        (50, 50, 10),
        (50, 5, 10),
        (5, 50, 10),
        (5, 5, 10),
        (50, 50, 60),
        (20, 60, 30),
    ] {
        let cache = cache();
        let truth = Arc::new(AtomicUsize::new(1));
        let read = |delay: u64| {
            let (cache, truth) = (Arc::clone(&cache), Arc::clone(&truth));
            async move {
                let load = move |_| async move {
                    let seen = truth.load(Relaxed);
                    tokio::time::sleep(Duration::from_millis(delay)).await;
                    Ok(seen)
                };
                *cache.get("k", load).await.unwrap().0
            }
        };
        let early = tokio::spawn(read(first_ms));
        tokio::time::sleep(Duration::from_millis(invalidate_ms)).await;
        truth.store(2, Relaxed);
        cache.invalidate("k");
        for _ in 0..3 {
            assert_eq!(
                read(second_ms).await,
                2,
                "{first_ms} {second_ms} {invalidate_ms}"
            );
        }
        early.await.unwrap();
        assert_eq!(read(second_ms).await, 2);
    }
}

/// Loading, invalidating and reading, under thousands of schedules. Seen failing with the store outside
/// the lock of `land`, and with `invalidate` removing the value before the flight.
#[test]
fn interleaved_landings_and_invalidations_never_bring_an_old_value_back() {
    bsm_base::interleave::explore(5_000, || {
        let cache = cache();
        let truth = Arc::new(AtomicUsize::new(1));
        let loader = |by_tag: bool| {
            let (cache, truth) = (Arc::clone(&cache), Arc::clone(&truth));
            shuttle::thread::spawn(move || {
                let (id, _tower, _landing) = lock(&cache.in_flight).start("k", tags(&["t"]), false);
                let _ = by_tag;
                let seen = truth.load(Relaxed);
                shuttle::thread::yield_now();
                count(&cache.running);
                cache.complete("k", id, SystemClock.now(), &Ok(Arc::new(seen)));
            })
        };
        let loaders = [loader(false), loader(true)];
        let invalidator = {
            let (cache, truth) = (Arc::clone(&cache), Arc::clone(&truth));
            shuttle::thread::spawn(move || {
                truth.store(2, Relaxed);
                cache.invalidate("k");
                let seen = cache.peek("k");
                assert!(
                    seen.is_none_or(|(value, _)| *value == 2),
                    "an old read after invalidate returned"
                );
                truth.store(3, Relaxed);
                cache.invalidate_tag("t");
                let seen = cache.peek("k");
                assert!(
                    seen.is_none_or(|(value, _)| *value == 3),
                    "an old read after invalidate_tag returned"
                );
            })
        };
        for thread in loaders.into_iter().chain([invalidator]) {
            thread.join().unwrap();
        }
        assert!(cache.peek("k").is_none_or(|(value, _)| *value == 3));
    });
}
