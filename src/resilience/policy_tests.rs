//! The order matrix: what each outcome does to each layer, in one table and one test.

use super::super::breaker::{BreakerSettings, BreakerState};
use super::super::bulkhead::PoolSettings;
use super::super::clock::SystemClock;
use super::super::limiter::RateSettings;
use super::*;
use std::cell::{Cell, RefCell};

#[derive(Debug, Clone, Copy)]
struct Fault {
    meaning: Meaning,
    name: &'static str,
}

impl Classify for Fault {
    fn meaning(&self) -> Meaning {
        self.meaning
    }
    fn class(&self) -> String {
        self.name.into()
    }
    fn attempt_timeout(_: Duration) -> Self {
        Fault {
            meaning: Meaning {
                retry: true,
                fall_back: true,
                counts: true,
                ..LOCAL
            },
            name: "timeout",
        }
    }
}

fn guards(name: &str) -> Guards {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Guards {
        breaker: Breaker::new(name, BreakerSettings::default(), clock.now()),
        pool: Bulkhead::new(name, PoolSettings::default()),
        limiter: Limiter::new(
            name,
            RateSettings {
                requests_per_minute: None,
                tokens_per_minute: Some(100_000),
            },
            clock,
        ),
    }
}

fn target(name: &str) -> Target<&'static str> {
    let what = if name == "a" { "a" } else { "b" };
    Target {
        guards: guards(name),
        attempt_timeout: Duration::from_secs(5),
        tokens: 10,
        what,
    }
}

fn call() -> Call {
    Call {
        deadline: Deadline::after(SystemClock.now(), Duration::from_secs(60)),
        lane: Lane::Run,
        retry: RetrySettings::default(),
    }
}

const fn fault(name: &'static str, retry: bool, fall_back: bool, counts: bool) -> Fault {
    Fault {
        meaning: Meaning {
            retry,
            fall_back,
            counts,
            retry_after: None,
            pause: false,
        },
        name,
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_matrix() {
    // (outcome of the first target, attempts there, asked the second, counted failures)
    let table = [
        (fault("http_500", true, true, true), 3, true, 3),
        (fault("http_408", true, true, true), 3, true, 3),
        (fault("http_409", true, true, false), 3, true, 0),
        (fault("http_400", false, false, false), 1, false, 0),
        (fault("http_401", false, true, false), 1, true, 0),
        (fault("quota", false, true, false), 1, true, 0),
    ];
    for (fault, attempts, asked_second, counted) in table {
        let policy = Policy::new(Arc::new(SystemClock));
        let targets = [target("a"), target("b")];
        let asked = RefCell::new(Vec::new());
        let outcome = policy
            .run(call(), &targets, |what| {
                asked.borrow_mut().push(*what);
                let failing = *what == "a";
                async move { if failing { Err(fault) } else { Ok(((), 7)) } }
            })
            .await;
        let name = fault.name;
        let now = SystemClock.now();
        assert_eq!(
            asked.borrow().iter().filter(|w| **w == "a").count(),
            attempts,
            "{name}: attempts"
        );
        assert_eq!(
            asked.borrow().contains(&"b"),
            asked_second,
            "{name}: fallback"
        );
        assert_eq!(
            targets[0].guards.breaker.stats(now).failures,
            counted,
            "{name}: counted"
        );
        assert_eq!(
            targets[0].guards.limiter.stats().tokens_left,
            Some(100_000),
            "{name}: refunded"
        );
        assert_eq!(
            targets[0].guards.pool.stats().in_use,
            0,
            "{name}: place given back"
        );
        assert_eq!(outcome.result.is_ok(), asked_second, "{name}: result");
        assert_eq!(
            outcome.trace.len(),
            attempts + usize::from(asked_second),
            "{name}: trace"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn local_refusals_are_neither_counted_nor_retried_but_fall_back() {
    let policy = Policy::new(Arc::new(SystemClock));
    let targets = [target("a"), target("b")];
    targets[0].guards.breaker.isolate("test");
    let outcome = policy
        .run(call(), &targets, |_| async { Ok::<_, Fault>(((), 0)) })
        .await;
    assert_eq!(outcome.result.ok().unwrap().1, 1);
    assert_eq!(outcome.trace[0].outcome, "breaker_isolated");
    assert!(!outcome.trace[0].sent);
    let stats = targets[0].guards.breaker.stats(SystemClock.now());
    assert_eq!((stats.failures, stats.state), (0, BreakerState::Isolated));
}

#[tokio::test(start_paused = true)]
async fn our_own_timeout_counts_and_a_cancelled_call_does_not() {
    let policy = Policy::new(Arc::new(SystemClock));
    let targets = [target("a")];
    let never = policy.run(call(), &targets, |_| {
        std::future::pending::<Result<((), u32), Fault>>()
    });
    assert!(
        tokio::time::timeout(Duration::from_secs(1), never)
            .await
            .is_err()
    );
    assert_eq!(
        targets[0].guards.breaker.stats(SystemClock.now()).failures,
        0
    );
    assert_eq!(targets[0].guards.pool.stats().in_use, 0);
    let outcome = policy
        .run(call(), &targets, |_| {
            std::future::pending::<Result<((), u32), Fault>>()
        })
        .await;
    assert!(matches!(outcome.result, Err(Failure::Upstream(_))));
    assert!(targets[0].guards.breaker.stats(SystemClock.now()).failures >= 3);
}

#[tokio::test(start_paused = true)]
async fn retry_after_beyond_the_deadline_falls_back_at_once() {
    let policy = Policy::new(Arc::new(SystemClock));
    let targets = [target("a"), target("b")];
    let limited = Fault {
        meaning: Meaning {
            retry: true,
            fall_back: true,
            counts: false,
            retry_after: Some(Duration::from_secs(90)),
            pause: true,
        },
        name: "http_429",
    };
    let start = SystemClock.now();
    let outcome = policy
        .run(call(), &targets, |what| {
            let failing = *what == "a";
            async move { if failing { Err(limited) } else { Ok(((), 0)) } }
        })
        .await;
    assert!(outcome.result.is_ok());
    assert_eq!(SystemClock.now(), start);
    assert_eq!(targets[0].guards.limiter.stats().paused_s, Some(90));
}

#[tokio::test(start_paused = true)]
async fn an_outage_stays_within_the_retry_budget_over_the_whole_chain() {
    let policy = Policy::new(Arc::new(SystemClock));
    let sent = Cell::new(0u32);
    for _ in 0..200 {
        let targets = [target("a"), target("b")]; // fresh breakers: the budget alone must hold
        let call = Call {
            retry: RetrySettings {
                budget_window_ms: 3_600_000,
                ..RetrySettings::default()
            },
            ..call()
        };
        let _ = policy
            .run::<(), Fault, _, _, _>(call, &targets, |_| {
                sent.set(sent.get() + 1);
                async { Err(fault("http_503", true, true, true)) }
            })
            .await;
    }
    // 200 calls × 2 targets, and at most a fifth of the calls more (the floor is inside that).
    assert!(sent.get() <= 400 + 40, "{}", sent.get());
}
