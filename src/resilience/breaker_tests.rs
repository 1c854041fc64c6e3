//! The breaker's promises, each held still on a clock of the test's own.

use super::*;
use proptest::prelude::*;

fn breaker() -> (Arc<Breaker>, Instant) {
    let now = Instant::now();
    (Breaker::new("openai", BreakerSettings::default(), now), now)
}

fn state(breaker: &Arc<Breaker>, now: Instant) -> BreakerState {
    breaker.stats(now).state
}

fn trip(breaker: &Arc<Breaker>, now: Instant) {
    for _ in 0..5 {
        breaker.admit(now).unwrap().failure("http_503", now);
    }
    assert_eq!(state(breaker, now), BreakerState::Open);
}

#[test]
fn opens_after_five_in_a_row_and_tells_the_wait() {
    let (b, now) = breaker();
    trip(&b, now);
    let refused = b.admit(now).unwrap_err();
    assert_eq!(refused.reason, Reason::BreakerOpen);
    assert!(
        (800..=1_000).contains(&refused.retry_in_ms.unwrap()),
        "{refused:?}"
    );
    assert!(
        b.stats(now).transitions[0]
            .cause
            .contains("5 failures in a row")
    );
}

#[test]
fn half_the_calls_failing_opens_it_though_never_five_in_a_row() {
    let (b, now) = breaker();
    for i in 0..10 {
        let permit = b.admit(now).unwrap();
        if i % 2 == 0 {
            permit.success(now);
        } else {
            permit.failure("timeout", now);
        }
    }
    assert_eq!(state(&b, now), BreakerState::Open);
}

#[test]
fn the_window_slides() {
    let (b, now) = breaker();
    for i in 0..8 {
        let permit = b.admit(now).unwrap();
        if i % 2 == 0 {
            permit.success(now);
        } else {
            permit.failure("timeout", now);
        }
    }
    let later = now + Duration::from_secs(70);
    assert_eq!(b.stats(later).window_calls, 0);
    b.admit(later).unwrap().success(later);
    b.admit(later).unwrap().failure("timeout", later);
    assert_eq!(state(&b, later), BreakerState::Closed);
}

#[test]
fn one_trial_at_a_time_and_a_dropped_one_is_given_back() {
    let (b, now) = breaker();
    trip(&b, now);
    let later = now + Duration::from_secs(2);
    let trial = b.admit(later).unwrap();
    assert_eq!(
        b.admit(later).unwrap_err().reason,
        Reason::BreakerTrialsTaken
    );
    drop(trial); // cancelled by the caller: neutral
    let trial = b.admit(later).unwrap();
    assert_eq!(state(&b, later), BreakerState::HalfOpen);
    trial.success(later);
    assert_eq!(state(&b, later), BreakerState::Closed);
}

#[test]
fn a_hung_trial_reopens_instead_of_wedging() {
    let (b, now) = breaker();
    trip(&b, now);
    let later = now + Duration::from_secs(2);
    let hung = b.admit(later).unwrap();
    let much_later = later + Duration::from_secs(61);
    assert_eq!(b.admit(much_later).unwrap_err().reason, Reason::BreakerOpen);
    hung.success(much_later); // its generation is over
    assert_eq!(state(&b, much_later), BreakerState::Open);
    assert!(b.admit(much_later + Duration::from_secs(31)).is_ok());
}

#[test]
fn open_time_doubles_up_to_its_cap() {
    let (b, mut now) = breaker();
    trip(&b, now);
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(b.admit(now).unwrap_err().retry_in_ms.unwrap());
        now += Duration::from_secs(31);
        b.admit(now).unwrap().failure("http_500", now);
    }
    assert!(waits[1] > 1_500 && waits[1] <= 2_000, "{waits:?}");
    assert!(
        *waits.last().unwrap() <= 30_000 && *waits.last().unwrap() >= 24_000,
        "{waits:?}"
    );
}

#[test]
fn late_results_of_an_earlier_generation_change_nothing() {
    let (b, now) = breaker();
    let late: Vec<_> = (0..20).map(|_| b.admit(now).unwrap()).collect();
    trip(&b, now);
    let generation = b.stats(now).generation;
    for (i, permit) in late.into_iter().enumerate() {
        if i % 2 == 0 {
            permit.success(now);
        } else {
            permit.failure("late", now);
        }
    }
    assert_eq!(
        (state(&b, now), b.stats(now).generation),
        (BreakerState::Open, generation)
    );
}

#[test]
fn isolated_stays_until_reset_and_disabled_lets_all_pass() {
    let (b, now) = breaker();
    b.isolate("by ana");
    assert_eq!(
        b.admit(now + Duration::from_secs(99)).unwrap_err().reason,
        Reason::BreakerIsolated
    );
    b.reset("by ana");
    assert!(b.admit(now).is_ok());
    b.set_enabled(false);
    for _ in 0..20 {
        b.admit(now).unwrap().failure("http_500", now);
    }
    assert_eq!(state(&b, now), BreakerState::Disabled);
    b.set_enabled(true);
    assert_eq!(state(&b, now), BreakerState::Closed);
}

#[test]
fn a_million_late_results_change_no_state() {
    let (b, now) = breaker();
    let mut late: Vec<Permit> = (0..1_000).map(|_| b.admit(now).unwrap()).collect();
    trip(&b, now);
    let before = b.stats(now);
    for round in 0..1_000 {
        // The same thousand permits stand for a million: each is told once more through a copy of its
        // number, which is all that a late result has.
        for permit in &late {
            lock(&b.core).record(
                permit.generation,
                permit.ticket,
                Outcome::Failure,
                "late",
                now,
            );
        }
        if round == 500 {
            b.reset("test");
        }
    }
    late.clear();
    let after = b.stats(now);
    assert_eq!(after.state, BreakerState::Closed);
    assert_eq!(
        (after.failures, after.generation),
        (before.failures, before.generation + 1)
    );
}

/// More racing callers than trials, from several threads, again and again: never more than allowed.
#[test]
fn racing_callers_never_start_more_trials_than_allowed() {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    let start = Instant::now();
    let settings = BreakerSettings {
        half_open_trials: 2,
        ..BreakerSettings::default()
    };
    for round in 0..200u64 {
        let b = Breaker::new("x", settings, start);
        trip(&b, start);
        let later = start + Duration::from_secs(2 + round % 5);
        let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        if let Ok(permit) = b.admit(later) {
                            most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                            std::hint::spin_loop();
                            inside.fetch_sub(1, SeqCst);
                            drop(permit);
                        }
                    }
                });
            }
        });
        assert!(most.load(SeqCst) <= 2);
        assert_eq!(b.stats(later).trials, 0, "a trial leaked");
    }
}

proptest! {
    /// Whatever happens in whatever order: never more trials than allowed, and never wedged.
    #[test]
    fn never_more_trials_than_allowed(ops in proptest::collection::vec((0u8..5, 0u64..3_000), 1..120), limit in 1u32..4) {
        let start = Instant::now();
        let b = Breaker::new("x", BreakerSettings { half_open_trials: limit, ..BreakerSettings::default() }, start);
        let mut now = start;
        let mut held: Vec<Permit> = Vec::new();
        for (op, ms) in ops {
            now += Duration::from_millis(ms);
            match op {
                0 | 1 => if let Ok(p) = b.admit(now) { held.push(p) },
                2 => if let Some(p) = held.pop() { p.success(now) },
                3 => if !held.is_empty() { held.remove(0).failure("x", now) },
                _ => drop(held.pop()),
            }
            prop_assert!(b.stats(now).trials <= limit);
        }
        drop(held);
        now += Duration::from_secs(31);
        prop_assert!(b.admit(now).is_ok());
    }
}
