//! Several deployments of one upstream: whose breaker counts, who is admitted, who waits.

use super::super::breaker::{BreakerSettings, BreakerState};
use super::super::deployment::Deployments;
use super::tests::{Fault, call, fault, target};
use super::*;
use bsm_base::clock::SystemClock;

/// Two deployments of the upstream `a`, as two targets.
fn two() -> (Deployments, Target<&'static str>, Target<&'static str>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let all = Deployments::new("a", BreakerSettings::default(), clock);
    let (mut big, mut small) = (target("a"), target("a"));
    small.guards = big.guards.clone();
    (big.what, small.what) = ("big", "small");
    big.guards.deployment = Some(all.get("big"));
    small.guards.deployment = Some(all.get("small"));
    (all, big, small)
}

async fn ask(
    policy: &Policy,
    target: &Target<&'static str>,
    result: Result<(), Fault>,
) -> Outcome<(), Fault> {
    let targets = std::slice::from_ref(target);
    let once = Call {
        layers: Layers {
            retry: false,
            ..Layers::default()
        },
        waits: Waits::AtMost(Duration::from_secs(5)),
        ..call()
    };
    policy
        .run(once, targets, |_| async { result.map(|()| ((), 0)) })
        .await
}

#[tokio::test(start_paused = true)]
async fn deployment_that_fails_beside_one_that_answers_is_refused_alone() {
    let (all, big, small) = two();
    let policy = Policy::new(Arc::new(SystemClock));
    let down = fault("http_500", false, true, true);
    assert!(ask(&policy, &small, Ok(())).await.result.is_ok());
    for _ in 0..5 {
        assert!(ask(&policy, &big, Err(down)).await.result.is_err());
    }
    let now = SystemClock.now();
    assert_eq!(big.guards.breaker.stats(now).failures, 0, "one model's own");
    assert_eq!(
        all.get("big").breaker().stats(now).state,
        BreakerState::Open
    );
    let refused = ask(&policy, &big, Ok(())).await;
    assert_eq!(refused.trace[0].outcome, "breaker_open");
    assert!(ask(&policy, &small, Ok(())).await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn breaker_that_one_deployment_opened_is_closed_by_another_that_answers() {
    let (_all, big, small) = two();
    let policy = Policy::new(Arc::new(SystemClock));
    let down = fault("http_500", false, true, true);
    for _ in 0..5 {
        ask(&policy, &big, Err(down)).await;
    }
    let state = |t: &Target<_>| t.guards.breaker.stats(SystemClock.now()).state;
    assert_eq!(state(&big), BreakerState::Open, "nothing else is known");
    assert!(ask(&policy, &small, Ok(())).await.result.is_ok());
    assert_eq!(state(&big), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn lost_connection_refuses_all_deployments() {
    let (_all, big, small) = two();
    let policy = Policy::new(Arc::new(SystemClock));
    let mut gone = fault("connect", false, true, true);
    gone.meaning.whole_upstream = true;
    for _ in 0..5 {
        ask(&policy, &big, Err(gone)).await;
    }
    let refused = ask(&policy, &small, Ok(())).await;
    assert_eq!(refused.trace[0].outcome, "breaker_open");
}

#[tokio::test(start_paused = true)]
async fn pause_of_one_deployment_is_waited_out_only_where_nobody_else_answers() {
    let (all, big, small) = two();
    let policy = Policy::new(Arc::new(SystemClock));
    let began = SystemClock.now();
    let mut limited = fault("http_429", false, true, false);
    limited.meaning.pause = true;
    limited.meaning.retry_after = Some(Duration::from_secs(3));
    ask(&policy, &big, Err(limited)).await;
    assert!(!big.guards.limiter.is_paused(began), "it is one model's");
    assert!(ask(&policy, &small, Ok(())).await.result.is_ok());
    assert_eq!(SystemClock.now(), began, "nobody waited");
    // A short pause is waited out; a long one is the caller's.
    assert!(ask(&policy, &big, Ok(())).await.result.is_ok());
    assert_eq!((SystemClock.now() - began).as_secs(), 3);
    all.get("big")
        .pause(Duration::from_secs(40), SystemClock.now());
    let refused = ask(&policy, &big, Ok(())).await;
    assert_eq!(refused.trace[0].retry_in_ms, Some(40_000));
    // With another target that is ready nothing is waited for.
    let before = SystemClock.now();
    all.get("big").pause(Duration::from_secs(2), before);
    let targets = [big, small];
    let both = Call {
        waits: Waits::AtMost(Duration::from_secs(5)),
        ..call()
    };
    let outcome = policy
        .run(both, &targets, |_| async { Ok::<_, Fault>(((), 0)) })
        .await;
    assert!(matches!(outcome.result, Ok(((), 1))));
    assert_eq!(SystemClock.now(), before);
}
