//! What the hot paths allocate: nothing, and one vector for a whole call. A test, so that it cannot creep
//! back; times belong into the benches.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use bsm::cache::{Cache, CacheSettings, Spec};
use bsm::resilience::breaker::{Breaker, BreakerSettings};
use bsm::resilience::bulkhead::{Bulkhead, Lane, PoolSettings};
use bsm::resilience::clock::{Clock, SystemClock};
use bsm::resilience::deadline::Deadline;
use bsm::resilience::limiter::{Limiter, RateSettings};
use bsm::resilience::policy::{Call, Classify, ErrorClass, LayerSet, Layers, Policy, Target};
use bsm::resilience::retry::RetrySettings;
use futures_util::FutureExt as _;

const TIMES: u64 = 1_000;

/// Allocations of a thousand operations, the first ones not counted.
fn allocations(mut operation: impl FnMut()) -> u64 {
    for _ in 0..10 {
        operation();
    }
    measure(|| (0..TIMES).for_each(|_| operation())).count_total
}

#[derive(Debug)]
struct Never;

impl Classify for Never {
    fn meaning(&self) -> ErrorClass {
        unreachable!("no call fails here")
    }
    fn class(&self) -> Cow<'static, str> {
        Cow::Borrowed("never")
    }
    fn attempt_timeout(_: Duration) -> Self {
        Self
    }
}

#[test]
fn layers_allocate_nothing_and_a_whole_call_once() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let now = clock.now();
    let rate = RateSettings {
        requests_per_minute: Some(1_000_000),
        tokens_per_minute: Some(1_000_000),
    };
    let guards = LayerSet {
        breaker: Breaker::new("x", BreakerSettings::default(), clock.as_ref()),
        pool: Bulkhead::new("x", PoolSettings::default(), Arc::clone(&clock)),
        limiter: Limiter::new("x", rate, Arc::clone(&clock)),
        deployment: None,
    };
    assert_eq!(
        allocations(|| guards.breaker.admit(now).unwrap().success(now)),
        0
    );
    assert_eq!(allocations(|| guards.pool.try_acquire().unwrap().well()), 0);
    let waits = Duration::from_secs(1);
    assert_eq!(
        allocations(|| drop(
            guards
                .pool
                .acquire(Lane::Run, waits)
                .now_or_never()
                .unwrap()
        )),
        0
    );
    assert_eq!(
        allocations(|| guards.limiter.try_reserve(1, now).unwrap().settle(1, now)),
        0
    );

    let refusing = Breaker::new("y", BreakerSettings::default(), clock.as_ref());
    refusing.isolate("test", now);
    assert_eq!(allocations(|| assert!(refusing.admit(now).is_err())), 0);

    let policy = Policy::new(Arc::clone(&clock));
    let targets = [Target {
        guards,
        attempt_timeout: waits,
        tokens: 1,
        what: (),
    }];
    let call = Call {
        deadline: Deadline::after(now, Duration::from_secs(60)),
        lane: Lane::Run,
        retry: RetrySettings::default(),
        layers: Layers::default(),
        stale_at_hand: false,
        waits: bsm::resilience::policy::Waits::UntilDeadline,
    };
    let whole = allocations(|| {
        let outcome = policy
            .run(call, &targets, |()| async { Ok::<_, Never>(((), 1)) })
            .now_or_never()
            .unwrap();
        assert!(outcome.result.is_ok());
    });
    assert_eq!(whole, TIMES, "the trace's vector and nothing else");

    let spec = Spec {
        name: "x",
        settings: CacheSettings::default(),
        load_timeout: waits,
        weigh: |_: &u64| 8,
        abandons: false,
        keeps: |_| true,
        life: |_| 1.0,
        is_negative: |_: &String| false,
    };
    let cache = Cache::new(spec, clock);
    runtime
        .block_on(cache.get("k", |_| async { Ok(1) }))
        .unwrap();
    let hit = allocations(|| {
        let found = cache.get("k", |_| async { Ok(2) }).now_or_never().unwrap();
        assert_eq!(*found.unwrap().0, 1);
    });
    assert_eq!(hit, 0);
}
