//! The cache's promises: one load, no old value after an invalidation, stale only within its time.

use super::*;
use crate::resilience::clock::SystemClock;
use std::sync::atomic::AtomicUsize;

type Numbers = Arc<Cache<usize, String>>;

fn cache() -> Numbers {
    let settings = CacheSettings {
        ttl_ms: 1_000,
        stale_ms: 5_000,
        max_bytes: 1 << 20,
    };
    Cache::new(
        "numbers",
        settings,
        Duration::from_secs(30),
        Arc::new(SystemClock),
        |_| 8,
    )
}

async fn load_after(count: &Arc<AtomicUsize>, delay_ms: u64) -> Result<usize, String> {
    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    Ok(count.fetch_add(1, Relaxed) + 1)
}

fn get(
    cache: &Numbers,
    count: &Arc<AtomicUsize>,
    delay_ms: u64,
) -> impl Future<Output = Result<(Arc<usize>, Source), LoadError<String>>> + use<> {
    let (cache, count) = (Arc::clone(cache), Arc::clone(count));
    async move {
        cache
            .get(
                "k",
                move || async move { load_after(&count, delay_ms).await },
            )
            .await
    }
}

// Seen failing (two loads and more) with the flight held by its caller instead of a task.
#[tokio::test(start_paused = true)]
async fn ten_thousand_gets_half_of_them_cancelled_cost_one_load() {
    let (cache, count) = (cache(), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..10_000)
        .map(|_| tokio::spawn(get(&cache, &count, 50)))
        .collect();
    tokio::task::yield_now().await;
    for (i, task) in tasks.into_iter().enumerate() {
        if i % 2 == 0 {
            task.abort(); // the first too
        } else {
            assert_eq!(*task.await.unwrap().unwrap().0, 1);
        }
    }
    assert_eq!(count.load(Relaxed), 1);
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.misses), (1, 1));
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
        let result = cache.get("k", || async { Err("down".to_owned()) }).await;
        assert!(matches!(result, Ok((_, Source::Stale(_)))));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::advance(Duration::from_millis(1_600)).await;
    assert!(
        cache
            .get("k", || async { Err("down".to_owned()) })
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
    let panicked = cache.get("k", || async { panic!("loader") }).await;
    assert!(matches!(panicked, Err(LoadError::Panicked)));
    let hung = cache.get("k", std::future::pending).await;
    assert!(matches!(hung, Err(LoadError::TimedOut(_))));
    assert!(cache.get("k", || async { Ok(0) }).await.is_ok()); // falsy values hit too
    assert!(matches!(cache.get("k", || async { Ok(9) }).await, Ok((v, Source::Hit(_))) if *v == 0));
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
    let settings = CacheSettings {
        ttl_ms: 1_000,
        stale_ms: 5_000,
        max_bytes: 1 << 20,
    };
    let clock = Arc::new(SystemClock);
    let cache: Numbers =
        Cache::abandoning("numbers", settings, Duration::from_secs(30), clock, |_| 8);
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
            let slow = move || async move { load_after(&loads, 500).await };
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
                let load = move || async move {
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
