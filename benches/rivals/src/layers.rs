//! One layer at a time.

use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bsm_resilience::breaker::{Breaker, BreakerSettings};
use bsm_resilience::bulkhead::{Bulkhead, Lane, PoolSettings};
use bsm_resilience::clock::{Clock, SystemClock};
use bsm_resilience::limiter::{Limiter, RateSettings};
use failsafe::CircuitBreaker as _;
use tower::{Layer, Service, ServiceExt as _};
use tower_resilience_bulkhead::BulkheadLayer;
use tower_resilience_circuitbreaker::CircuitBreakerLayer;
use tower_resilience_ratelimiter::RateLimiterLayer;

use crate::measure::{block_on, contender, table};

const MANY: usize = 200_000;

/// A tower service called again and again.
async fn call<S: Service<u64>>(service: &mut S, times: usize) {
    for i in 0..times {
        if let Ok(ready) = service.ready().await {
            let _ = black_box(ready.call(i as u64).await.is_ok());
        }
    }
}

pub fn clock() {
    table(
        "A clock read",
        MANY,
        &[
            contender("bsm SystemClock (follows tokio's)", |n| {
                for _ in 0..n {
                    black_box(SystemClock.now());
                }
            }),
            contender("std Instant::now", |n| {
                for _ in 0..n {
                    black_box(std::time::Instant::now());
                }
            }),
        ],
    );
}

pub fn breaker() {
    let clock = SystemClock;
    let ours = Breaker::new("x", BreakerSettings::default(), &clock);
    let recloser = Arc::new(recloser::Recloser::custom().closed_len(100).build());
    let failsafe = failsafe::Config::new().build();
    let tower = CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .build()
        .unwrap()
        .layer(tower::service_fn(|n: u64| async move { Ok::<_, Infallible>(n) }));
    table(
        "Breaker, closed: admit and record a success",
        MANY,
        &[
            contender("bsm (now passed in, slow calls measured)", move |n| {
                let now = SystemClock.now();
                for _ in 0..n {
                    ours.admit(black_box(now)).unwrap().success(now);
                }
            }),
            contender("recloser 1.4 (no time window, no slow calls)", move |n| {
                for i in 0..n {
                    let _ = black_box(recloser.call(|| Ok::<_, ()>(i)));
                }
            }),
            contender("failsafe 1.3", move |n| {
                for i in 0..n {
                    let _ = black_box(failsafe.call(|| Ok::<_, ()>(i)));
                }
            }),
            contender("tower-resilience 0.14 (async)", move |n| {
                let mut service = tower.clone();
                block_on(call(&mut service, n));
            }),
        ],
    );
    let ours = Breaker::new("x", BreakerSettings::default(), &clock);
    ours.isolate("bench", clock.now());
    let counting = Breaker::new(
        "x",
        BreakerSettings { open_ms: 3_600_000, open_max_ms: 3_600_000, ..BreakerSettings::default() },
        &clock,
    );
    for _ in 0..5 {
        counting.admit(clock.now()).unwrap().failure("x", None, clock.now());
    }
    let recloser = recloser::Recloser::custom()
        .closed_len(10)
        .open_wait(Duration::from_secs(3_600))
        .build();
    for _ in 0..1_000 {
        let _ = recloser.call(|| Err::<(), _>(()));
    }
    let recloser = Arc::new(recloser);
    let backoff = failsafe::backoff::constant(Duration::from_secs(3_600));
    let failsafe = failsafe::Config::new()
        .failure_policy(failsafe::failure_policy::consecutive_failures(1, backoff))
        .build();
    let _ = failsafe.call(|| Err::<(), _>(()));
    let tower = CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(10)
        .wait_duration_in_open(Duration::from_secs(3_600))
        .build()
        .unwrap()
        .layer(tower::service_fn(|n: u64| async move { Err::<u64, _>(n) }));
    block_on(call(&mut tower.clone(), 100));
    table(
        "Breaker, open: a refusal with its reason",
        MANY,
        &[
            contender("bsm (with the time to the next trial)", move |n| {
                let now = SystemClock.now();
                for _ in 0..n {
                    let _ = black_box(counting.admit(black_box(now)));
                }
            }),
            contender("bsm, isolated", move |n| {
                let now = SystemClock.now();
                for _ in 0..n {
                    let _ = black_box(ours.admit(black_box(now)));
                }
            }),
            contender("recloser 1.4 (reads its clock)", move |n| {
                for i in 0..n {
                    let _ = black_box(recloser.call(|| Ok::<_, ()>(i)));
                }
            }),
            contender("failsafe 1.3 (reads its clock)", move |n| {
                for i in 0..n {
                    let _ = black_box(failsafe.call(|| Ok::<_, ()>(i)));
                }
            }),
            contender("tower-resilience 0.14 (async)", move |n| {
                block_on(call(&mut tower.clone(), n));
            }),
        ],
    );
}

pub fn bulkhead() {
    let settings = PoolSettings { limit: 10, ..PoolSettings::default() };
    let ours = Bulkhead::new("x", settings, Arc::new(SystemClock));
    let waiting = Arc::clone(&ours);
    let semaphore = Arc::new(tokio::sync::Semaphore::new(10));
    let tower = BulkheadLayer::builder()
        .max_concurrent_calls(10)
        .build()
        .unwrap()
        .layer(tower::service_fn(|n: u64| async move { Ok::<_, Infallible>(n) }));
    table(
        "Bulkhead: a free place, taken and given back",
        MANY,
        &[
            contender("bsm try_acquire", move |n| {
                for _ in 0..n {
                    drop(black_box(ours.try_acquire()));
                }
            }),
            contender("bsm acquire().await", move |n| {
                block_on(async {
                    for _ in 0..n {
                        drop(black_box(waiting.acquire(Lane::Run, Duration::from_secs(1)).await));
                    }
                });
            }),
            contender("tokio Semaphore (no queue bound, no lanes)", move |n| {
                for _ in 0..n {
                    drop(black_box(Arc::clone(&semaphore).try_acquire_owned()));
                }
            }),
            contender("tower-resilience 0.14 (async)", move |n| {
                block_on(call(&mut tower.clone(), n));
            }),
        ],
    );
}

pub fn limiter() {
    let settings = RateSettings {
        requests_per_minute: Some(u32::MAX),
        tokens_per_minute: Some(u32::MAX),
    };
    let ours = Limiter::new("x", settings, Arc::new(SystemClock));
    let settled = Arc::clone(&ours);
    let governor = governor::RateLimiter::direct(governor::Quota::per_second(NonZeroU32::MAX));
    let tower = RateLimiterLayer::builder()
        .limit_for_period(usize::MAX / 4)
        .refresh_period(Duration::from_secs(60))
        .build()
        .unwrap()
        .layer(tower::service_fn(|n: u64| async move { Ok::<_, Infallible>(n) }));
    table(
        "Limiter: within the quota",
        MANY,
        &[
            contender("bsm reserve (requests and tokens), refund", {
                let ours = Arc::clone(&ours);
                move |n| {
                    let now = SystemClock.now();
                    for _ in 0..n {
                        drop(black_box(ours.try_reserve(1, black_box(now))));
                    }
                }
            }),
            contender("bsm reserve and settle", move |n| {
                let now = SystemClock.now();
                for _ in 0..n {
                    if let Some(reservation) = settled.try_reserve(1, black_box(now)) {
                        reservation.settle(1, now);
                    }
                }
            }),
            contender("governor 0.10 check (one quota, no settling)", move |n| {
                for _ in 0..n {
                    let _ = black_box(governor.check());
                }
            }),
            contender("tower-resilience 0.14 (async)", move |n| {
                block_on(call(&mut tower.clone(), n));
            }),
        ],
    );
}
