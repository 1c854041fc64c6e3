//! What expires, is evicted, or is not kept.

use super::tests::{Numbers, SETTINGS, cache, get, spec, with};
use super::*;
use bsm_base::clock::SystemClock;
use std::sync::atomic::AtomicUsize;

#[tokio::test(start_paused = true)]
async fn beyond_the_stale_time_it_loads_first_and_serves_the_old_value_only_in_need() {
    let cache = with(CacheSettings {
        stale_ms: 1_000,
        stale_if_error_ms: 60_000,
        ..SETTINGS
    });
    let count = Arc::new(AtomicUsize::new(0));
    get(&cache, &count, 0).await.unwrap();
    tokio::time::advance(Duration::from_secs(10)).await;
    let told = Arc::new(Mutex::new(None));
    let hear = Arc::clone(&told);
    let failing = move |loading: Loading| async move {
        *lock(&hear) = Some(loading);
        tokio::time::sleep(Duration::from_millis(30)).await;
        Err("down".to_owned())
    };
    let (value, source) = cache.get("k", failing).await.unwrap();
    assert!(
        matches!(source, Source::StaleOnError(age) if age.as_secs() == 10),
        "{source:?}"
    );
    assert_eq!(
        (*value, *lock(&told)),
        (
            1,
            Some(Loading {
                stale_at_hand: true,
                background: false
            })
        )
    );
    // It rests after the failure: the next one is served at once, without a load.
    let (_, source) = cache
        .get("k", |_| async { Err("not asked".to_owned()) })
        .await
        .unwrap();
    assert!(matches!(source, Source::Stale(_)));
    assert_eq!((cache.stats().errors, cache.stats().stale_on_error), (1, 1));
    tokio::time::advance(Duration::from_millis(1_001)).await;
    assert!(matches!(get(&cache, &count, 5).await.unwrap(), (v, Source::Loaded) if *v == 2));
    // And past its hard end nothing saves it.
    tokio::time::advance(Duration::from_secs(62)).await;
    assert!(
        cache
            .get("k", |_| async { Err("down".to_owned()) })
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_loads_fail_rests_longer_each_time_and_others_do_not() {
    let cache = with(CacheSettings {
        stale_ms: 3_600_000,
        ..SETTINGS
    });
    let count = Arc::new(AtomicUsize::new(0));
    get(&cache, &count, 0).await.unwrap();
    cache.get("other", |_| async { Ok(7) }).await.unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    let tries = Arc::new(AtomicUsize::new(0));
    for _ in 0..60_000 / 250 {
        let tries = Arc::clone(&tries);
        let load = move |_| async move {
            tries.fetch_add(1, Relaxed);
            Err("down".to_owned())
        };
        cache.get("k", load).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let tries = tries.load(Relaxed);
    assert!(
        (5..=7).contains(&tries),
        "1 + 2 + 4 + 8 + 16 + 30 seconds: {tries}"
    );
    cache.get("other", |_| async { Ok(8) }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(*cache.peek("other").unwrap().0, 8);
}

// Seen failing with a success that does not end the rest: the second failure then rests longer.
#[tokio::test(start_paused = true)]
async fn a_success_ends_the_rest() {
    let cache = with(CacheSettings {
        stale_ms: 3_600_000,
        ..SETTINGS
    });
    let count = Arc::new(AtomicUsize::new(0));
    get(&cache, &count, 0).await.unwrap();
    for round in 0..3 {
        tokio::time::advance(Duration::from_millis(1_001)).await;
        cache
            .get("k", |_| async { Err("down".to_owned()) })
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(1_002)).await;
        get(&cache, &count, 0).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(
            count.load(Relaxed),
            2 + round,
            "it rested longer than a second"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_word_that_there_is_nothing_is_kept_for_its_time() {
    let cache = with(CacheSettings {
        negative_ms: 2_000,
        ..SETTINGS
    });
    let count = Arc::new(AtomicUsize::new(0));
    get(&cache, &count, 0).await.unwrap();
    tokio::time::advance(Duration::from_millis(1_500)).await;
    let nothing = || cache.get("k", |_| async { Err("nothing".to_owned()) });
    assert!(nothing().await.is_ok(), "stale, while it is looked up");
    tokio::time::sleep(Duration::from_millis(1)).await;
    for _ in 0..5 {
        assert!(
            get(&cache, &count, 0).await.is_err(),
            "it is gone, and nobody asks again"
        );
    }
    assert_eq!((cache.stats().negative_hits, cache.stats().loads), (5, 1));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(*get(&cache, &count, 0).await.unwrap().0, 2);
}

#[tokio::test(start_paused = true)]
async fn values_are_forgotten_by_tag_on_their_way_too() {
    let cache = cache();
    let load = |key: &'static str, tag: &'static str, ms: u64| {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move {
            let load = move |_| async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(1)
            };
            cache.get_tagged(key, &[tag, "all"], load).await.unwrap();
        })
    };
    load("a", "openai", 0).await.unwrap();
    load("b", "perplexity", 0).await.unwrap();
    let flying = load("c", "openai", 50);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(cache.invalidate_tag("openai"), 1);
    flying.await.unwrap();
    assert!(cache.peek("a").is_none() && cache.peek("c").is_none());
    assert!(cache.peek("b").is_some());
    assert_eq!(cache.invalidate_tag("all"), 1);
    assert_eq!(cache.invalidate_tag("unknown"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_loaded_together_does_not_expire_together() {
    let cache = with(CacheSettings {
        jitter_percent: 50,
        ..SETTINGS
    });
    for i in 0..200 {
        cache
            .get(&format!("k{i}"), |_| async { Ok(0) })
            .await
            .unwrap();
    }
    let fresh = || {
        (0..200)
            .filter(|i| matches!(cache.peek(&format!("k{i}")), Some((_, Source::Hit(_)))))
            .count()
    };
    tokio::time::advance(Duration::from_millis(499)).await;
    assert_eq!(fresh(), 200);
    tokio::time::advance(Duration::from_millis(251)).await;
    assert!((60..140).contains(&fresh()), "{}", fresh());
    tokio::time::advance(Duration::from_millis(250)).await;
    assert_eq!(fresh(), 0);
}

#[tokio::test(start_paused = true)]
async fn room_and_lives_change_while_running_and_evictions_are_counted() {
    let cache = with(CacheSettings {
        max_bytes: 1 << 20,
        ..SETTINGS
    });
    for i in 0..1_000 {
        cache
            .get(&format!("key-{i:04}"), |_| async { Ok(0) })
            .await
            .unwrap();
    }
    assert_eq!((cache.stats().entries, cache.stats().evictions), (1_000, 0));
    cache.reconfigure(CacheSettings {
        max_bytes: 4_096,
        ttl_ms: 60_000,
        ..SETTINGS
    });
    let stats = cache.stats();
    assert!(stats.bytes <= 4_096 && stats.entries < 300, "{stats:?}");
    assert_eq!(stats.entries + stats.evictions, 1_000);
    tokio::time::advance(Duration::from_secs(30)).await;
    let held = (0..1_000)
        .filter_map(|i| cache.peek(&format!("key-{i:04}")))
        .collect::<Vec<_>>();
    assert_eq!(held.len() as u64, stats.entries);
    assert!(
        held.iter()
            .all(|(_, source)| matches!(source, Source::Hit(_))),
        "the longer life holds for what is there"
    );
}

/// A value that is not to be kept is handed over and no more.
#[tokio::test(start_paused = true)]
async fn a_value_not_to_be_kept_is_not() {
    let spec = Spec {
        keeps: |value| *value != 1,
        ..spec(SETTINGS)
    };
    let cache: Numbers = Cache::new(spec, Arc::new(SystemClock));
    let count = Arc::new(AtomicUsize::new(0));
    assert_eq!(*get(&cache, &count, 0).await.unwrap().0, 1);
    assert!(cache.peek("k").is_none());
    assert_eq!(*get(&cache, &count, 0).await.unwrap().0, 2);
    assert!(cache.peek("k").is_some());
}
