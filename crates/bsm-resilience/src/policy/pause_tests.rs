//! Calls that are under way while the process stands still.

use super::super::breaker::{Breaker, BreakerSettings, BreakerState};
use super::tests::{Fault, call, fault, target};
use super::*;
use bsm_base::clock::SystemClock;

/// One failure opens its breaker; a tick says that the process runs.
fn judged_at_once() -> (Policy, [Target<&'static str>; 1]) {
    let policy = Policy::new(Arc::new(SystemClock));
    policy.pauses().tick(Instant::now());
    let mut target = target("a");
    let settings = BreakerSettings {
        failures: 1,
        slow_ms: 1_000,
        minimum_calls: 1,
        slow_rate: 0.5,
        ..BreakerSettings::default()
    };
    target.guards.breaker = Breaker::new("a", settings, &SystemClock);
    (policy, [target])
}

/// The process stands still for half a minute.
fn stand_still(policy: &Policy) {
    let later = Instant::now() + Duration::from_secs(36);
    assert!(policy.pauses().tick(later).is_some());
}

#[tokio::test(start_paused = true)]
async fn failure_over_a_pause_of_the_process_is_not_counted() {
    for paused in [false, true] {
        let (policy, targets) = judged_at_once();
        let broken = || fault("connect", false, false, true);
        let outcome = policy
            .run(call(), &targets, |_| async {
                if paused {
                    stand_still(&policy);
                }
                Err::<((), u32), _>(broken())
            })
            .await;
        assert!(matches!(outcome.result, Err(Failure::Upstream(_))));
        let stats = targets[0].guards.breaker.stats(SystemClock.now());
        let wanted = if paused {
            (0, BreakerState::Closed)
        } else {
            (1, BreakerState::Open)
        };
        assert_eq!((stats.failures, stats.state), wanted, "paused: {paused}");
    }
}

#[tokio::test(start_paused = true)]
async fn answer_after_a_pause_is_read_before_the_call_is_judged() {
    // The attempt may take 5 s, and the answer is read 8 s after it was sent.
    for paused in [false, true] {
        let (policy, targets) = judged_at_once();
        let outcome = policy
            .run(call(), &targets, |_| async {
                if paused {
                    stand_still(&policy);
                }
                tokio::time::sleep(Duration::from_secs(8)).await;
                Ok::<_, Fault>(((), 0))
            })
            .await;
        let stats = targets[0].guards.breaker.stats(SystemClock.now());
        assert_eq!(outcome.result.is_ok(), paused);
        // How long it took is not known: it is not slow either.
        let wanted = if paused {
            (BreakerState::Closed, 1, 0)
        } else {
            (BreakerState::Open, 0, 1)
        };
        let got = (stats.state, stats.successes, stats.trips);
        assert_eq!(got, wanted, "paused: {paused}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusal_over_a_pause_is_still_an_answer() {
    let (policy, targets) = judged_at_once();
    let outcome = policy
        .run(call(), &targets, |_| async {
            stand_still(&policy);
            let mut refused = fault("http_400", false, false, false);
            refused.meaning.answered = true;
            Err::<((), u32), _>(refused)
        })
        .await;
    assert!(outcome.result.is_err());
    let stats = targets[0].guards.breaker.stats(SystemClock.now());
    assert_eq!((stats.successes, stats.failures), (1, 0));
}
