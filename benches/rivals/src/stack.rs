//! The whole stack, where all is well and where nothing may pass.

use std::borrow::Cow;
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bsm_resilience::breaker::{Breaker, BreakerSettings};
use bsm_resilience::bulkhead::{Bulkhead, Lane, PoolSettings};
use bsm_resilience::clock::{Clock, SystemClock};
use bsm_resilience::deadline::Deadline;
use bsm_resilience::limiter::{Limiter, RateSettings};
use bsm_resilience::policy::{Call, Classify, LayerSet, Layers, ErrorClass, Policy, Target, Waits};
use bsm_resilience::retry::RetrySettings;
use hdrhistogram::Histogram;
use tower::{Service, ServiceBuilder, ServiceExt as _};
use tower_resilience_bulkhead::BulkheadLayer;
use tower_resilience_circuitbreaker::CircuitBreakerLayer;
use tower_resilience_ratelimiter::RateLimiterLayer;
use tower_resilience_retry::RetryLayer;
use tower_resilience_timelimiter::TimeLimiterLayer;

use crate::measure::{block_on, contender, table};

#[derive(Debug, Clone)]
struct Fault;

impl Classify for Fault {
    fn meaning(&self) -> ErrorClass {
        ErrorClass { retry: true, fall_back: true, counts: true, whole_upstream: false, again_now: false, answered: false, retry_after: None, pause: false }
    }
    fn class(&self) -> Cow<'static, str> {
        Cow::Borrowed("fault")
    }
    fn attempt_timeout(_: Duration) -> Self {
        Self
    }
}

fn target(limit: u32) -> Target<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = RateSettings {
        requests_per_minute: Some(u32::MAX),
        tokens_per_minute: Some(u32::MAX),
    };
    Target {
        guards: LayerSet {
            breaker: Breaker::new("x", BreakerSettings::default(), clock.as_ref()),
            pool: Bulkhead::new("x", PoolSettings { limit, ..PoolSettings::default() }, Arc::clone(&clock)),
            limiter: Limiter::new("x", settings, clock),
            deployment: None,
        },
        attempt_timeout: Duration::from_secs(5),
        tokens: 1,
        what: (),
    }
}

fn call() -> Call {
    Call {
        deadline: Deadline::after(SystemClock.now(), Duration::from_secs(60)),
        lane: Lane::Run,
        retry: RetrySettings::default(),
        layers: Layers::default(),
        stale_at_hand: false,
        waits: Waits::UntilDeadline,
    }
}

pub fn success() {
    let policy = Policy::new(Arc::new(SystemClock));
    let targets = [target(10)];
    let tower = ServiceBuilder::new()
        .layer(RetryLayer::<u64, u64, _>::builder().max_attempts(3).build())
        .layer(
            CircuitBreakerLayer::builder()
                .failure_rate_threshold(0.5)
                .sliding_window_size(100)
                .build()
                .unwrap(),
        )
        .layer(
            RateLimiterLayer::builder()
                .limit_for_period(usize::MAX / 4)
                .refresh_period(Duration::from_secs(60))
                .build()
                .unwrap(),
        )
        .layer(BulkheadLayer::builder().max_concurrent_calls(10).build().unwrap())
        .layer(TimeLimiterLayer::builder().timeout_duration(Duration::from_secs(5)).build())
        .service(tower::service_fn(|n: u64| async move { Ok::<_, Infallible>(n) }));
    table(
        "Whole stack, success: retry, breaker, limiter, pool, timeout",
        100_000,
        &[
            contender("bsm Policy::run (deadline, budget, trace)", move |n| {
                block_on(async {
                    let call = call();
                    for i in 0..n {
                        let outcome = policy.run(call, &targets, |()| async move { Ok::<_, Fault>((i, 1)) }).await;
                        assert!(black_box(outcome.result).is_ok());
                    }
                });
            }),
            contender("tower-resilience 0.14 (no deadline, no budget)", move |n| {
                let mut service = tower.clone();
                block_on(async {
                    for i in 0..n {
                        if let Ok(ready) = service.ready().await {
                            let _ = black_box(ready.call(i as u64).await.is_ok());
                        }
                    }
                });
            }),
        ],
    );
}

/// A thousand tasks on two threads, all refused by an open breaker: how long each refusal takes.
pub fn fail_fast() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let policy = Arc::new(Policy::new(Arc::new(SystemClock)));
    let targets = Arc::new([target(10)]);
    targets[0].guards.breaker.isolate("bench", SystemClock.now());
    let all = Arc::new(Mutex::new(Histogram::<u64>::new(3).unwrap()));
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for _ in 0..1_000 {
            let (policy, targets, all) = (Arc::clone(&policy), Arc::clone(&targets), Arc::clone(&all));
            tasks.push(tokio::spawn(async move {
                let mut mine = Histogram::<u64>::new(3).unwrap();
                for _ in 0..200 {
                    let call = call();
                    let began = Instant::now();
                    let outcome = policy
                        .run(call, &*targets, |()| async { Ok::<_, Fault>(((), 1)) })
                        .await;
                    mine.record(began.elapsed().as_nanos() as u64).unwrap();
                    assert!(black_box(outcome.result).is_err());
                    tokio::task::yield_now().await;
                }
                all.lock().unwrap().add(mine).unwrap();
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    let all = all.lock().unwrap();
    println!(
        "\nFail fast, breaker open, 1,000 tasks on 2 threads, n {}: p50 {} ns, p99 {} ns, p99.9 {} ns",
        all.len(),
        all.value_at_quantile(0.5),
        all.value_at_quantile(0.99),
        all.value_at_quantile(0.999)
    );
}
