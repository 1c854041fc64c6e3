//! The breaker's promises, each held still on a clock of the test's own.

use super::super::Reason;
use super::*;
use bsm_base::clock::SystemClock;
use bsm_base::interleave;
use proptest::prelude::*;

fn made(settings: BreakerSettings) -> (Arc<Breaker>, Instant) {
    let breaker = Breaker::new("openai", settings, &SystemClock);
    (breaker, SystemClock.now())
}

fn breaker() -> (Arc<Breaker>, Instant) {
    made(BreakerSettings::default())
}

fn state(breaker: &Arc<Breaker>, now: Instant) -> BreakerState {
    breaker.stats(now).state
}

fn trip(breaker: &Arc<Breaker>, now: Instant) {
    for _ in 0..5 {
        breaker.admit(now).unwrap().failure("http_503", None, now);
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
        (800..=1_000).contains(&refused.retry_in.unwrap().as_millis()),
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
            permit.failure("timeout", None, now);
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
            permit.failure("timeout", None, now);
        }
    }
    let later = now + Duration::from_secs(70);
    assert_eq!(b.stats(later).window_calls, 0);
    b.admit(later).unwrap().success(later);
    b.admit(later).unwrap().failure("timeout", None, later);
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
fn open_time_grows_by_half_up_to_its_cap() {
    let (b, mut now) = breaker();
    trip(&b, now);
    let mut waits = Vec::new();
    for _ in 0..12 {
        waits.push(b.admit(now).unwrap_err().retry_in.unwrap().as_millis());
        now += Duration::from_secs(31);
        b.admit(now).unwrap().failure("http_500", None, now);
    }
    assert!(waits[1] >= 1_200 && waits[1] <= 1_500, "{waits:?}");
    assert!(waits[4] > 4_000 && waits[4] <= 5_062, "{waits:?}");
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
            permit.failure("late", None, now);
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
    b.isolate("by ana", now);
    assert_eq!(
        b.admit(now + Duration::from_secs(99)).unwrap_err().reason,
        Reason::BreakerIsolated
    );
    b.reset("by ana", now);
    assert!(b.admit(now).is_ok());
    b.set_enabled(false, now);
    for _ in 0..20 {
        b.admit(now).unwrap().failure("http_500", None, now);
    }
    assert_eq!(state(&b, now), BreakerState::Disabled);
    b.set_enabled(true, now);
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
            let told = super::core::Result {
                generation: permit.generation,
                ticket: permit.ticket,
                failure: Some("late"),
                took: Duration::ZERO,
                retry_after: None,
            };
            lock(&b.core).record(told, now);
        }
        if round == 500 {
            b.reset("test", now);
        }
    }
    late.clear();
    let after = b.stats(now);
    assert_eq!(after.state, BreakerState::Closed);
    assert_eq!(
        (after.failures, after.generation, after.late),
        (before.failures, before.generation + 1, 1_000_000)
    );
}

/// More racing callers than trials, under thousands of schedules: never more than allowed, none leaked.
/// Seen failing with `>` for `>=` in `refusal`, and with a permit that asks and then enters in two locks.
#[test]
fn racing_callers_never_start_more_trials_than_allowed() {
    interleave::explore(5_000, || {
        use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
        let (b, now) = made(BreakerSettings {
            half_open_trials: 2,
            trial_successes: 3,
            ..BreakerSettings::default()
        });
        trip(&b, now);
        let later = now + Duration::from_secs(2);
        let inside = Arc::new(AtomicU32::new(0));
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let (b, inside) = (Arc::clone(&b), Arc::clone(&inside));
                shuttle::thread::spawn(move || {
                    for _ in 0..2 {
                        let Ok(permit) = b.admit(later) else { continue };
                        if b.stats(later).state == BreakerState::HalfOpen {
                            assert!(inside.fetch_add(1, SeqCst) < 2);
                            shuttle::thread::yield_now();
                            inside.fetch_sub(1, SeqCst);
                        }
                        if caller % 2 == 0 {
                            permit.success(later);
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().unwrap();
        }
        assert_eq!(b.stats(later).trials, 0, "a trial leaked");
    });
}

#[test]
fn slow_calls_open_it_though_they_succeed() {
    let (b, mut now) = made(BreakerSettings {
        slow_ms: 500,
        slow_rate: 0.5,
        ..BreakerSettings::default()
    });
    for i in 0..10u64 {
        let permit = b.admit(now).unwrap();
        now += Duration::from_millis(if i % 2 == 0 { 100 } else { 500 });
        permit.success(now);
    }
    let stats = b.stats(now);
    assert_eq!((stats.state, stats.window_slow), (BreakerState::Open, 5));
    assert!(
        stats.transitions[0]
            .cause
            .contains("5 of 10 calls took 500 ms")
    );
    // A trial that is slow again is no recovery.
    now += Duration::from_secs(2);
    let trial = b.admit(now).unwrap();
    trial.success(now + Duration::from_millis(900));
    assert_eq!(b.stats(now).state, BreakerState::Open);
}

#[test]
fn a_count_window_opens_on_the_last_calls_whatever_came_before() {
    let (b, now) = made(BreakerSettings {
        window: WindowKind::Count,
        window_calls: 10,
        failures: 100,
        ..BreakerSettings::default()
    });
    for _ in 0..100_000 {
        b.admit(now).unwrap().success(now);
    }
    for i in 0..5 {
        assert_eq!(state(&b, now), BreakerState::Closed, "after {i} failures");
        b.admit(now).unwrap().failure("http_500", None, now);
    }
    assert_eq!(state(&b, now), BreakerState::Open);
}

#[test]
fn it_stays_open_until_the_upstreams_own_time_and_no_absurd_one() {
    let (b, now) = made(BreakerSettings {
        failures: 1,
        ..BreakerSettings::default()
    });
    let wait = |b: &Breaker, now| b.admit(now).unwrap_err().retry_in.unwrap().as_secs();
    let asked = Some(Duration::from_secs(120));
    b.admit(now).unwrap().failure("http_503", asked, now);
    assert_eq!(wait(&b, now), 120);
    b.reset("test", now);
    let absurd = Some(Duration::from_secs(86_400 * 365));
    b.admit(now).unwrap().failure("http_503", absurd, now);
    assert_eq!(wait(&b, now), 300);
    b.reset("test", now);
    let shorter = Some(Duration::ZERO);
    b.admit(now).unwrap().failure("http_503", shorter, now);
    assert!(b.admit(now).unwrap_err().retry_in.unwrap() >= Duration::from_millis(800));
}

#[test]
fn several_trials_must_succeed_where_that_is_asked_for() {
    let (b, now) = made(BreakerSettings {
        half_open_trials: 2,
        trial_successes: 2,
        ..BreakerSettings::default()
    });
    trip(&b, now);
    let later = now + Duration::from_secs(2);
    let (first, second) = (b.admit(later).unwrap(), b.admit(later).unwrap());
    assert_eq!(b.stats(later).trials, 2);
    first.success(later);
    assert_eq!(state(&b, later), BreakerState::HalfOpen);
    second.success(later);
    assert_eq!(state(&b, later), BreakerState::Closed);
}

#[test]
fn closed_by_hand_it_forgets_nothing_and_reset_forgets_all() {
    let (b, now) = breaker();
    trip(&b, now);
    b.close("closed by ana", now);
    assert_eq!(state(&b, now), BreakerState::Closed);
    b.admit(now).unwrap().failure("http_503", None, now);
    assert_eq!(
        state(&b, now),
        BreakerState::Open,
        "one more failure opens it again"
    );
    assert!(b.stats(now).open_for_ms >= 1_200, "and for longer");
    b.reset("reset by ana", now);
    b.admit(now).unwrap().failure("http_503", None, now);
    assert_eq!(state(&b, now), BreakerState::Closed);
}

/// Seen failing (never closed again) with the trial's own deadline alone.
#[test]
fn a_trial_gets_the_time_that_its_call_may_take() {
    let (b, now) = breaker();
    trip(&b, now);
    let later = now + Duration::from_secs(2);
    let mut trial = b.admit(later).unwrap();
    trial.sending(Duration::from_secs(300), later);
    let done = later + Duration::from_secs(200);
    assert_eq!(state(&b, done), BreakerState::HalfOpen);
    trial.success(done);
    assert_eq!(state(&b, done), BreakerState::Closed);
}

#[test]
fn what_is_isolated_stays_so_whatever_the_flag_does() {
    let (b, now) = breaker();
    b.set_enabled(false, now);
    b.isolate("by ana", now);
    b.set_enabled(false, now); // any reload says so again
    assert_eq!(state(&b, now), BreakerState::Isolated);
    b.set_enabled(true, now);
    assert_eq!(state(&b, now), BreakerState::Isolated);
    b.set_enabled(false, now);
    b.reset("by ana", now);
    assert_eq!(
        state(&b, now),
        BreakerState::Disabled,
        "the flag is still off"
    );
}

#[test]
fn a_count_window_smaller_than_the_minimum_still_opens() {
    let (b, now) = made(BreakerSettings {
        window: WindowKind::Count,
        window_calls: 4,
        failures: 100,
        open_jitter: f64::NAN,
        ..BreakerSettings::default()
    });
    for _ in 0..4 {
        b.admit(now).unwrap().failure("x", None, now);
    }
    assert_eq!(state(&b, now), BreakerState::Open);
}

/// A wall clock that jumps: nothing here reads it but the marks for people, once.
#[test]
fn a_jump_of_the_wall_clock_by_an_hour_changes_nothing() {
    use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
    struct Jumping(Instant, AtomicI64);
    impl Clock for Jumping {
        fn now(&self) -> Instant {
            self.0
        }
        fn wall_ms(&self) -> i64 {
            self.1.load(SeqCst)
        }
    }
    for jump in [-3_600_000, 3_600_000] {
        let now = Instant::now();
        let clock = Jumping(now, AtomicI64::new(1_000_000_000));
        let settings = BreakerSettings {
            open_jitter: 0.0,
            ..BreakerSettings::default()
        };
        let b = Breaker::new("x", settings, &clock);
        trip(&b, now);
        clock.1.fetch_add(jump, SeqCst);
        assert_eq!(
            b.admit(now).unwrap_err().retry_in,
            Some(Duration::from_secs(1))
        );
        let stats = b.stats(now + Duration::from_millis(999));
        assert_eq!(
            (stats.state, stats.since_ms),
            (BreakerState::Open, 1_000_000_000)
        );
        assert!(b.admit(now + Duration::from_secs(1)).is_ok());
    }
}

proptest! {
    /// Whatever happens in whatever order: never more trials than allowed, and never wedged.
    #[test]
    fn never_wedged(ops in proptest::collection::vec((0u8..5, 0u64..3_000), 1..120), limit in 1u32..4) {
        let (b, mut now) = made(BreakerSettings { half_open_trials: limit, ..BreakerSettings::default() });
        let mut held: Vec<Permit> = Vec::new();
        for (op, ms) in ops {
            now += Duration::from_millis(ms);
            match op {
                0 | 1 => if let Ok(p) = b.admit(now) { held.push(p) },
                2 => if let Some(p) = held.pop() { p.success(now) },
                3 => if !held.is_empty() { held.remove(0).failure("x", None, now) },
                _ => drop(held.pop()),
            }
            prop_assert!(b.stats(now).trials <= limit);
        }
        drop(held);
        now += Duration::from_secs(31);
        prop_assert!(b.admit(now).is_ok());
    }
}

#[test]
fn breaker_observer_sees_every_transition_once_in_order() {
    use std::sync::{Arc, Mutex};
    let (b, now) = breaker();
    b.isolate("before anybody observed", now);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&seen);
    b.observe(Arc::new(move |_, t| {
        into.lock().unwrap().push((t.generation, t.to));
    }));
    b.reset("reset", now);
    trip(&b, now);
    let later = now + Duration::from_secs(60);
    b.admit(later).unwrap().success(later);
    let seen = seen.lock().unwrap();
    let states: Vec<BreakerState> = seen.iter().map(|(_, to)| *to).collect();
    let expected = [
        BreakerState::Isolated,
        BreakerState::Closed,
        BreakerState::Open,
        BreakerState::HalfOpen,
        BreakerState::Closed,
    ];
    assert_eq!(states, expected);
    assert!(seen.windows(2).all(|w| w[0].0 < w[1].0), "in order");
}

#[test]
fn trial_over_a_pause_of_the_process_does_not_expire() {
    for paused in [false, true] {
        let (b, start) = made(BreakerSettings {
            trial_deadline_ms: 30_000,
            ..BreakerSettings::default()
        });
        let pauses = Arc::new(Pauses::default());
        pauses.tick(Instant::now());
        b.allow_for(Arc::clone(&pauses));
        trip(&b, start);
        let half_open = start + Duration::from_secs(3_600);
        let mut trial = b.admit(half_open).unwrap();
        trial.sending(Duration::from_secs(30), half_open);
        let after = half_open + Duration::from_secs(36);
        if paused {
            pauses.tick(Instant::now() + Duration::from_secs(36));
        }
        let wanted = if paused {
            BreakerState::HalfOpen
        } else {
            BreakerState::Open
        };
        assert_eq!(state(&b, after), wanted, "paused: {paused}");
        if paused {
            // The time it had is what it has: no more.
            let over = after + Duration::from_secs(60);
            assert_eq!(state(&b, over), BreakerState::Open);
        }
        drop(trial);
    }
}
