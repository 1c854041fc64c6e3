//! The limiter's promises, on paused time and against a ledger.

use super::super::Reason;
use super::*;
use bsm_base::clock::SystemClock;
use proptest::prelude::*;

fn limiter(requests: Option<u32>, tokens: Option<u32>) -> Arc<Limiter> {
    let settings = RateSettings {
        requests_per_minute: requests,
        tokens_per_minute: tokens,
    };
    Limiter::new("openai", settings, Arc::new(SystemClock))
}

fn within(seconds: u64) -> Deadline {
    Deadline::after(SystemClock.now(), Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn waits_for_its_turn_and_says_how_long_when_it_may_not() {
    let l = limiter(Some(2), None);
    for _ in 0..2 {
        l.reserve(0, within(1), SystemClock.now())
            .await
            .unwrap()
            .settle(0, SystemClock.now());
    }
    let refused = l
        .reserve(0, within(1), SystemClock.now())
        .await
        .err()
        .unwrap();
    assert_eq!(refused.reason, Reason::RateLimited);
    assert!(
        (29_000..=30_001).contains(&refused.retry_in.unwrap().as_millis()),
        "{refused:?}"
    );
    let start = SystemClock.now();
    l.reserve(0, within(60), SystemClock.now())
        .await
        .unwrap()
        .settle(0, SystemClock.now());
    assert!((29..=31).contains(&(SystemClock.now() - start).as_secs()));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_settled_and_refunded() {
    let l = limiter(None, Some(1_000));
    l.reserve(900, within(1), SystemClock.now())
        .await
        .unwrap()
        .settle(100, SystemClock.now());
    assert_eq!(l.stats().tokens_left, Some(900));
    drop(l.reserve(900, within(1), SystemClock.now()).await.unwrap());
    assert_eq!(l.stats().tokens_left, Some(900));
    l.reserve(100, within(1), SystemClock.now())
        .await
        .unwrap()
        .settle(950, SystemClock.now());
    assert_eq!(l.stats().tokens_left, Some(-50));
}

#[tokio::test(start_paused = true)]
async fn a_429_pauses_everyone_until_its_header() {
    let l = limiter(None, None);
    l.pause(Duration::from_secs(7));
    assert_eq!(
        l.reserve(1, within(3), SystemClock.now())
            .await
            .err()
            .unwrap()
            .retry_in,
        Some(Duration::from_secs(7))
    );
    let start = SystemClock.now();
    l.reserve(1, within(10), SystemClock.now())
        .await
        .unwrap()
        .settle(1, SystemClock.now());
    assert_eq!((SystemClock.now() - start).as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_goes_first_and_a_wait_in_vain_is_refused_at_once() {
    let l = limiter(Some(60), None);
    let start = SystemClock.now();
    for _ in 0..60 {
        l.try_reserve(0, start)
            .unwrap()
            .settle(0, SystemClock.now());
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for i in 0..10 {
        let (l, order) = (Arc::clone(&l), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            l.reserve(0, within(60), SystemClock.now())
                .await
                .unwrap()
                .settle(0, SystemClock.now());
            lock(&order).push(i);
        }));
        tokio::task::yield_now().await;
    }
    assert_eq!(l.stats().waiting, 10);
    // Ten are before it, one comes back each second: it would wait eleven seconds.
    let refused = l
        .reserve(0, within(5), SystemClock.now())
        .await
        .err()
        .unwrap();
    assert_eq!(refused.retry_in, Some(Duration::from_secs(11)));
    assert_eq!(SystemClock.now(), start, "refused without a wait");
    tasks.remove(3).abort();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*lock(&order), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert_eq!((l.stats().waiting, l.stats().delayed), (0, 9));
}

#[tokio::test(start_paused = true)]
async fn a_new_quota_keeps_what_was_used_and_wakes_whoever_waits() {
    let l = limiter(Some(60), Some(1_000));
    l.try_reserve(900, SystemClock.now())
        .unwrap()
        .settle(900, SystemClock.now());
    l.reconfigure(RateSettings {
        requests_per_minute: Some(30),
        tokens_per_minute: Some(2_000),
    });
    let stats = l.stats();
    assert_eq!(
        (stats.requests_left, stats.tokens_left),
        (Some(29), Some(1_100))
    );
    l.reconfigure(RateSettings {
        requests_per_minute: Some(30),
        tokens_per_minute: Some(100),
    });
    let waiting = tokio::spawn({
        let l = Arc::clone(&l);
        async move {
            l.reserve(500, within(3_600), SystemClock.now())
                .await
                .map(|r| r.settle(1, SystemClock.now()))
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(l.stats().waiting, 1);
    let before = SystemClock.now();
    l.reconfigure(RateSettings::default());
    waiting.await.unwrap().unwrap();
    assert_eq!(SystemClock.now(), before, "it went on sleeping");
}

// Seen failing with `look_again` left out: the one who waits sleeps on over what came back.
#[tokio::test(start_paused = true)]
async fn what_comes_back_wakes_whoever_waits() {
    let l = limiter(None, Some(10_000));
    let start = SystemClock.now();
    let held = l.try_reserve(8_000, start).unwrap();
    let waiting = tokio::spawn({
        let l = Arc::clone(&l);
        async move {
            l.reserve(8_000, within(60), SystemClock.now())
                .await
                .map(drop)
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    held.settle(1_000, SystemClock.now());
    waiting.await.unwrap().unwrap();
    assert_eq!((SystemClock.now() - start).as_secs(), 1);
    // And a pause that outlasts the deadline is said at once.
    let _held = l.try_reserve(9_000, SystemClock.now()).unwrap();
    let waiting = tokio::spawn({
        let l = Arc::clone(&l);
        async move {
            l.reserve(9_000, within(60), SystemClock.now())
                .await
                .map(drop)
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    l.pause(Duration::MAX);
    assert!(waiting.await.unwrap().is_err());
    assert_eq!((SystemClock.now() - start).as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn overuse_is_owed_but_no_longer_than_a_minute() {
    let l = limiter(None, Some(1_000));
    let held = l.try_reserve(100, SystemClock.now()).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    held.settle(600, SystemClock.now());
    assert_eq!(
        l.stats().tokens_left,
        Some(500),
        "taken from the level of now"
    );
    l.try_reserve(1, SystemClock.now())
        .unwrap()
        .settle(u32::MAX, SystemClock.now());
    assert_eq!(l.stats().tokens_left, Some(-1_000));
}

/// 5,000 callers at once over a simulated ten minutes: never more than the quota and one reservation, and
/// most of the quota used.
#[tokio::test(start_paused = true)]
async fn five_thousand_callers_never_exceed_the_quota_and_use_most_of_it() {
    const QUOTA: u32 = 10_000;
    let l = limiter(None, Some(QUOTA));
    let start = SystemClock.now();
    let used = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..5_000u32)
        .map(|i| {
            let (l, used) = (Arc::clone(&l), Arc::clone(&used));
            tokio::spawn(async move {
                let Ok(held) = l.reserve(500, within(600), SystemClock.now()).await else {
                    return;
                };
                let actual = 100 + i % 300;
                tokio::time::sleep(Duration::from_millis(200)).await;
                lock(&used).push((SystemClock.now(), actual));
                held.settle(actual, SystemClock.now());
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let used = lock(&used);
    let total: u32 = used.iter().map(|u| u.1).sum();
    let minutes = (SystemClock.now() - start).as_secs_f64() / 60.0;
    let allowed = f64::from(QUOTA) * (1.0 + minutes) + 500.0;
    assert!(f64::from(total) <= allowed, "{total} of {allowed}");
    let quota = f64::from(QUOTA) * (1.0 + minutes); // the bucket was full at the start
    assert!(
        f64::from(total) >= 0.9 * quota,
        "{total} of {quota} in {minutes} minutes"
    );
    for window in used.windows(60) {
        let (first, last) = (window[0].0, window[59].0);
        let sum: u32 = window.iter().map(|u| u.1).sum();
        let most = f64::from(QUOTA) * (1.0 + (last - first).as_secs_f64() / 60.0) + 500.0;
        assert!(f64::from(sum) <= most, "{sum} of {most}");
    }
}

#[derive(Debug, Clone)]
enum Op {
    Take(u32),
    Settle(usize, u32),
    Refund(usize),
    Advance(u64),
    Pause(u64),
    Quota(Option<u32>),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0u32..700).prop_map(Op::Take),
        4 => (any::<usize>(), 0u32..900).prop_map(|(i, n)| Op::Settle(i, n)),
        2 => any::<usize>().prop_map(Op::Refund),
        5 => (0u64..20_000).prop_map(Op::Advance),
        1 => (0u64..5_000).prop_map(Op::Pause),
        1 => prop::option::weighted(0.8, 1u32..2_000).prop_map(Op::Quota),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// A ledger that is told everything and works its level out from the beginning at each step, in
    /// sixty-thousandths of a token. Seen failing with a refund left out and with a refill above capacity.
    #[test]
    fn agrees_with_a_ledger(ops in proptest::collection::vec(op(), 1..150)) {
        const MINUTE: i128 = 60_000;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut quota = Some(1_000u32);
            let l = limiter(None, quota);
            // (milliseconds passed, change of the level) since the last change of the quota, and the level then.
            let (mut first, mut ledger): (i128, Vec<(u64, i128)>) = (1_000 * MINUTE, Vec::new());
            let level = |first: i128, ledger: &[(u64, i128)], quota: u32| {
                let least = -i128::from(quota) * MINUTE;
                ledger.iter().fold(first, |level, (ms, change)| {
                    let now = (level + i128::from(*ms) * i128::from(quota)).min(i128::from(quota) * MINUTE);
                    if *change == 0 { now } else { (now + change).max(least) }
                })
            };
            let mut held = Vec::new();
            let mut paused = 0u64;
            for op in ops {
                let now = SystemClock.now();
                match op {
                    Op::Take(tokens) => {
                        let may = paused == 0 && quota.is_none_or(|q| {
                            level(first, &ledger, q) >= i128::from(tokens.min(q)) * MINUTE
                        });
                        let got = l.try_reserve(tokens, now);
                        prop_assert_eq!(got.is_some(), may);
                        if let Some(reservation) = got {
                            ledger.push((0, -i128::from(tokens) * MINUTE));
                            held.push((tokens, reservation));
                        }
                    }
                    Op::Settle(which, actual) if !held.is_empty() => {
                        let (tokens, reservation) = held.swap_remove(which % held.len());
                        reservation.settle(actual, SystemClock.now());
                        ledger.push((0, (i128::from(tokens) - i128::from(actual)) * MINUTE));
                    }
                    Op::Refund(which) if !held.is_empty() => {
                        let (tokens, reservation) = held.swap_remove(which % held.len());
                        drop(reservation);
                        ledger.push((0, i128::from(tokens) * MINUTE));
                    }
                    Op::Advance(ms) => {
                        tokio::time::advance(Duration::from_millis(ms)).await;
                        ledger.push((ms, 0));
                        paused = paused.saturating_sub(ms);
                    }
                    Op::Pause(ms) => {
                        l.pause(Duration::from_millis(ms));
                        paused = paused.max(ms);
                    }
                    Op::Quota(new) => {
                        ledger.push((0, 0));
                        let used = quota.map_or(0, |q| i128::from(q) * MINUTE - level(first, &ledger, q));
                        if new != quota {
                            first = new.map_or(0, |q| (i128::from(q) * MINUTE - used).max(-i128::from(q) * MINUTE));
                            ledger.clear();
                        }
                        quota = new;
                        l.reconfigure(RateSettings { requests_per_minute: None, tokens_per_minute: new });
                    }
                    Op::Settle(..) | Op::Refund(_) => {}
                }
                let stats = l.stats();
                ledger.push((0, 0)); // what is above the capacity is lost when it is looked at
                let expected = quota.map(|q| level(first, &ledger, q).div_euclid(MINUTE) as i64);
                prop_assert_eq!(stats.tokens_left, expected);
                prop_assert_eq!(stats.reserved as usize, held.len());
                prop_assert_eq!(stats.reserved_tokens, held.iter().map(|h| u64::from(h.0)).sum::<u64>());
            }
            Ok(())
        })?;
    }
}
