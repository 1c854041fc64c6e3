//! The cache against a naive model: keys with a version and an age, and loads that land in any order.

use std::collections::HashMap;

use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use bsm_base::clock::SystemClock;

#[derive(Debug, Clone)]
enum Op {
    Get(u8),
    /// Which load, and how it ends: a value, an error, or "there is none".
    Land(usize, u8),
    Invalidate(u8),
    InvalidateTag,
    Clear,
    Advance(u64),
    CancelGet(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (0u8..3).prop_map(Op::Get),
        8 => (any::<usize>(), 0u8..4).prop_map(|(i, end)| Op::Land(i, end)),
        2 => (0u8..3).prop_map(Op::Invalidate),
        1 => Just(Op::InvalidateTag),
        1 => Just(Op::Clear),
        4 => (1u64..1_500).prop_map(Op::Advance),
        2 => any::<usize>().prop_map(Op::CancelGet),
    ]
}

const TTL: u64 = 1_000;
const STALE: u64 = 2_000;
const ERROR: u64 = 6_000;
const NEGATIVE: u64 = 700;

#[derive(Clone, Copy, PartialEq)]
enum Held {
    Value(u64),
    Negative,
}

#[derive(Default)]
struct Naive {
    held: HashMap<u8, (Held, u64)>,
    /// The load that owns a key.
    flight: HashMap<u8, u64>,
    rest: HashMap<u8, (u64, u32)>,
    gets: u64,
}

type Landed = Result<(Arc<u64>, Source), LoadError<String>>;

struct Load {
    key: u8,
    number: u64,
    end: oneshot::Sender<Result<u64, String>>,
}

struct Waiter {
    key: u8,
    /// The load it waits for.
    load: u64,
    task: tokio::task::JoinHandle<Landed>,
}

async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

async fn check(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let settings = CacheSettings {
        ttl_ms: TTL,
        jitter_percent: 0,
        stale_ms: STALE,
        stale_if_error_ms: ERROR,
        negative_ms: NEGATIVE,
        max_bytes: 1 << 20,
    };
    let cache = Cache::new(
        Spec {
            name: "model",
            settings,
            load_timeout: Duration::from_secs(86_400),
            weigh: |_| 8,
            abandons: false,
            keeps: |_| true,
            life: |_| 1.0,
            is_negative: |error: &String| error == "nothing",
        },
        Arc::new(SystemClock),
    );
    let mut naive = Naive::default();
    let (mut loads, mut waiters): (Vec<Load>, Vec<Waiter>) = Default::default();
    let (mut at, mut numbers) = (0u64, 0u64);
    for op in ops {
        match op {
            Op::Get(key) => {
                naive.gets += 1;
                numbers += 1;
                let number = numbers;
                let (end, ended) = oneshot::channel();
                let (started, mut was_started) = oneshot::channel();
                let theirs = Arc::clone(&cache);
                let task = tokio::spawn(async move {
                    let load = move |_| async move {
                        let _ = started.send(());
                        ended.await.unwrap_or_else(|_| Err("down".into()))
                    };
                    let tag = if key == 0 { "even" } else { "odd" };
                    theirs.get_tagged(&format!("k{key}"), &[tag], load).await
                });
                settle().await;
                let age = |held: &(Held, u64)| at - held.1;
                let held = naive.held.get(&key).copied();
                let rests = naive.rest.get(&key).is_some_and(|r| at < r.0);
                let flying = naive.flight.get(&key).copied();
                // What it must answer at once, and whether it must start a load.
                let (now, starts) = match held {
                    Some((Held::Value(v), _)) if age(&held.unwrap()) < TTL => (Some(Ok(v)), false),
                    Some((Held::Value(v), _)) if age(&held.unwrap()) < TTL + STALE => {
                        (Some(Ok(v)), flying.is_none() && !rests)
                    }
                    Some((Held::Value(v), _)) if age(&held.unwrap()) < TTL + ERROR => {
                        if flying.is_none() && rests {
                            (Some(Ok(v)), false)
                        } else {
                            (None, flying.is_none())
                        }
                    }
                    Some((Held::Negative, _)) if age(&held.unwrap()) < NEGATIVE => {
                        (Some(Err(())), false)
                    }
                    _ => (None, flying.is_none()),
                };
                prop_assert_eq!(was_started.try_recv().is_ok(), starts, "load started");
                if starts {
                    naive.flight.insert(key, number);
                    loads.push(Load { key, number, end });
                }
                prop_assert_eq!(task.is_finished(), now.is_some(), "answered at once");
                if let Some(expected) = now {
                    let got = task.await.unwrap();
                    prop_assert_eq!(got.map(|(v, _)| *v).map_err(|_| ()), expected);
                } else {
                    waiters.push(Waiter {
                        key,
                        load: naive.flight[&key],
                        task,
                    });
                }
            }
            Op::Land(which, end) if !loads.is_empty() => {
                let load = loads.swap_remove(which % loads.len());
                let result = match end {
                    0 => Err("down".to_owned()),
                    1 => Err("nothing".to_owned()),
                    _ => Ok(load.number),
                };
                load.end.send(result.clone()).unwrap();
                settle().await;
                let owns = naive.flight.get(&load.key) == Some(&load.number);
                if owns {
                    naive.flight.remove(&load.key);
                    match &result {
                        Ok(value) => {
                            naive.held.insert(load.key, (Held::Value(*value), at));
                            naive.rest.remove(&load.key);
                        }
                        Err(e) if e == "nothing" => {
                            naive.held.insert(load.key, (Held::Negative, at));
                            naive.rest.remove(&load.key);
                        }
                        Err(_) if naive.held.contains_key(&load.key) => {
                            let failures = naive.rest.get(&load.key).map_or(0, |r| r.1);
                            naive.rest.insert(
                                load.key,
                                (
                                    at + (1_000u64 << failures.min(10)).min(30_000),
                                    failures + 1,
                                ),
                            );
                        }
                        Err(_) => {}
                    }
                }
                for waiter in std::mem::take(&mut waiters) {
                    if waiter.load != load.number {
                        waiters.push(waiter);
                        continue;
                    }
                    prop_assert!(waiter.task.is_finished());
                    let got = waiter.task.await.unwrap().map(|(v, _)| *v).map_err(|_| ());
                    // After a failure: whatever is held and may still be served, unless there is nothing.
                    let held = match naive.held.get(&waiter.key) {
                        Some((Held::Value(v), since)) if at - since < TTL + ERROR => Some(*v),
                        _ => None,
                    };
                    let nothing = result == Err("nothing".to_owned());
                    let expected = result.clone().ok().or(held.filter(|_| !nothing)).ok_or(());
                    prop_assert_eq!(got, expected);
                }
            }
            Op::Invalidate(key) => {
                cache.invalidate(&format!("k{key}"));
                naive.held.remove(&key);
                naive.flight.remove(&key);
                naive.rest.remove(&key);
            }
            Op::InvalidateTag => {
                cache.invalidate_tag("odd");
                naive.held.retain(|key, _| *key == 0);
                naive.flight.retain(|key, _| *key == 0);
            }
            Op::Clear => {
                let held = cache.clear();
                prop_assert_eq!(held, naive.held.len() as u64);
                naive.held.clear();
                naive.flight.clear();
                naive.rest.clear();
            }
            Op::Advance(ms) => {
                at += ms;
                tokio::time::advance(Duration::from_millis(ms)).await;
            }
            Op::CancelGet(which) if !waiters.is_empty() => {
                let waiter = waiters.swap_remove(which % waiters.len());
                waiter.task.abort();
                settle().await;
            }
            Op::Land(..) | Op::CancelGet(_) => {}
        }
        let s = cache.stats();
        prop_assert_eq!(
            s.hits + s.stale_served + s.stampede_prevented + s.misses + s.negative_hits,
            naive.gets
        );
        prop_assert_eq!(
            s.misses + s.refreshes,
            s.loads + s.errors + s.abandoned + s.in_flight
        );
        prop_assert_eq!(
            (s.entries, s.in_flight),
            (naive.held.len() as u64, loads.len() as u64)
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, ..ProptestConfig::default() })]

    /// Seen failing with `take` that does not compare the flight's number, and with a negative answer
    /// that leaves the old value.
    #[test]
    fn agrees_with_the_model(ops in proptest::collection::vec(op(), 1..100)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check(ops))?;
    }
}
