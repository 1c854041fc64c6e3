//! The breaker against a naive model: a list of everything that happened, judged anew at each step.

use proptest::prelude::*;

use super::super::Reason;
use super::*;
use bsm_base::clock::SystemClock;

#[derive(Debug, Clone)]
enum Op {
    Advance(u64),
    Admit,
    /// Which permit, failed, the upstream's own wish in milliseconds.
    Finish(usize, bool, Option<u64>),
    Drop(usize),
    Reset,
    Close,
    Isolate,
    Enable(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0u64..1_500).prop_map(Op::Advance),
        1 => (1_500u64..70_000).prop_map(Op::Advance),
        8 => Just(Op::Admit),
        8 => (any::<usize>(), prop::bool::weighted(0.6), prop::option::weighted(0.1, 0u64..5_000))
            .prop_map(|(i, failed, wish)| Op::Finish(i, failed, wish)),
        2 => any::<usize>().prop_map(Op::Drop),
        1 => prop_oneof![
            Just(Op::Reset), Just(Op::Close), Just(Op::Isolate),
            any::<bool>().prop_map(Op::Enable),
        ],
    ]
}

/// Everything in milliseconds since the start.
struct Naive {
    settings: BreakerSettings,
    enabled: bool,
    state: BreakerState,
    generation: u64,
    until: u64,
    /// (permit, deadline)
    trials: Vec<(usize, u64)>,
    good: u32,
    /// (time, failed, slow) since the window was last forgotten.
    window: Vec<(u64, bool, bool)>,
    in_row: u32,
    opened: u32,
    late: u64,
}

impl Naive {
    fn go(&mut self, state: BreakerState) {
        self.state = state;
        self.generation += 1;
        self.trials.clear();
        self.good = 0;
    }

    fn close(&mut self) {
        if !matches!(self.state, BreakerState::Closed | BreakerState::Disabled) {
            let on = self.enabled;
            self.go(if on {
                BreakerState::Closed
            } else {
                BreakerState::Disabled
            });
        }
    }

    fn open(&mut self, now: u64, wish: Option<u64>) {
        let grown = (0..self.opened).fold(self.settings.open_ms, |t, _| t + (t / 2).max(1));
        let ours = grown.min(self.settings.open_max_ms);
        self.opened += 1;
        self.until = now + ours.max(wish.unwrap_or(0));
        self.go(BreakerState::Open);
    }

    fn expire(&mut self, now: u64) {
        if self.trials.iter().any(|(_, deadline)| now >= *deadline) {
            self.open(now, None);
        }
    }

    fn minimum(&self) -> u32 {
        match self.settings.window {
            WindowKind::Time => self.settings.minimum_calls,
            WindowKind::Count => self.settings.minimum_calls.min(self.settings.window_calls),
        }
    }

    fn in_window(&self, now: u64) -> (u32, u32, u32) {
        let held: Vec<_> = match self.settings.window {
            WindowKind::Time => {
                let oldest = (now / 1_000).saturating_sub(9);
                self.window
                    .iter()
                    .filter(|(t, ..)| t / 1_000 >= oldest)
                    .collect()
            }
            WindowKind::Count => {
                let last = self
                    .window
                    .len()
                    .saturating_sub(self.settings.window_calls as usize);
                self.window[last..].iter().collect()
            }
        };
        let count =
            |which: fn(&(u64, bool, bool)) -> bool| held.iter().filter(|e| which(e)).count() as u32;
        (held.len() as u32, count(|e| e.1), count(|e| e.2))
    }

    /// The time to wait, or none.
    fn admit(&mut self, permit: usize, now: u64) -> Result<(), (Reason, Option<u64>)> {
        self.expire(now);
        if self.state == BreakerState::Open && now >= self.until {
            self.go(BreakerState::HalfOpen);
        }
        match self.state {
            BreakerState::Isolated => return Err((Reason::BreakerIsolated, None)),
            BreakerState::Open => return Err((Reason::BreakerOpen, Some(self.until - now))),
            BreakerState::HalfOpen
                if self.trials.len() as u32 >= self.settings.half_open_trials =>
            {
                let first = self.trials.iter().map(|t| t.1).min().unwrap();
                return Err((Reason::BreakerTrialsTaken, Some(first - now)));
            }
            BreakerState::HalfOpen => {
                self.trials
                    .push((permit, now + self.settings.trial_deadline_ms));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(
        &mut self,
        permit: usize,
        generation: u64,
        failed: bool,
        slow: bool,
        wish: Option<u64>,
        now: u64,
    ) {
        self.expire(now);
        if generation != self.generation {
            self.late += 1;
            return;
        }
        self.trials.retain(|t| t.0 != permit);
        match self.state {
            BreakerState::HalfOpen if failed => self.open(now, wish),
            BreakerState::HalfOpen if slow => self.open(now, None),
            BreakerState::HalfOpen => {
                self.good += 1;
                if self.good >= self.settings.trial_successes {
                    (self.in_row, self.opened) = (0, 0);
                    self.window.clear();
                    self.go(BreakerState::Closed);
                }
            }
            BreakerState::Closed => {
                self.window.push((now, failed, slow));
                self.in_row = if failed { self.in_row + 1 } else { 0 };
                let (calls, failures, slows) = self.in_window(now);
                let over = |part: u32, rate: f64| {
                    calls >= self.minimum() && f64::from(part) >= rate * f64::from(calls)
                };
                if failed
                    && (self.in_row >= self.settings.failures
                        || over(failures, self.settings.failure_rate))
                    || slow && over(slows, self.settings.slow_rate)
                {
                    self.open(now, wish);
                } else if !failed && !slow {
                    self.opened = 0;
                }
            }
            _ => {}
        }
    }
}

fn check(settings: BreakerSettings, ops: Vec<Op>) -> Result<(), TestCaseError> {
    struct Fixed(Instant);
    impl Clock for Fixed {
        fn now(&self) -> Instant {
            self.0
        }
        fn wall_ms(&self) -> i64 {
            0
        }
    }
    let start = SystemClock.now();
    let real = Breaker::new("x", settings, &Fixed(start));
    let mut naive = Naive {
        settings,
        enabled: true,
        state: BreakerState::Closed,
        generation: 0,
        until: 0,
        trials: Vec::new(),
        good: 0,
        window: Vec::new(),
        in_row: 0,
        opened: 0,
        late: 0,
    };
    let mut held: Vec<(usize, u64, u64, Permit<'_>)> = Vec::new();
    let (mut at, mut permits) = (0u64, 0);
    for op in ops {
        let now = start + Duration::from_millis(at);
        match op {
            Op::Advance(ms) => at += ms,
            Op::Admit => {
                permits += 1;
                let expected = naive.admit(permits, at);
                let got = real.admit(now);
                let told = got
                    .as_ref()
                    .map(|_| ())
                    .map_err(|r| (r.reason, r.retry_in.map(|d| d.as_millis() as u64)));
                prop_assert_eq!(told, expected);
                if let Ok(permit) = got {
                    held.push((permits, naive.generation, at, permit));
                }
            }
            Op::Finish(which, failed, wish) if !held.is_empty() => {
                let (id, generation, since, permit) = held.swap_remove(which % held.len());
                let slow = settings.slow_ms > 0 && at - since >= settings.slow_ms;
                naive.finish(id, generation, failed, slow, wish.filter(|_| failed), at);
                if failed {
                    permit.failure("x", wish.map(Duration::from_millis), now);
                } else {
                    permit.success(now);
                }
            }
            Op::Drop(which) if !held.is_empty() => {
                let (id, ..) = held.swap_remove(which % held.len());
                naive.trials.retain(|t| t.0 != id);
            }
            Op::Reset => {
                naive.window.clear();
                (naive.in_row, naive.opened) = (0, 0);
                naive.close();
                real.reset("test", now);
            }
            Op::Close => {
                naive.close();
                real.close("test", now);
            }
            Op::Isolate => {
                if naive.state != BreakerState::Isolated {
                    naive.go(BreakerState::Isolated);
                }
                real.isolate("test", now);
            }
            Op::Enable(on) => {
                naive.enabled = on;
                match (on, naive.state == BreakerState::Disabled) {
                    (false, false) if naive.state != BreakerState::Isolated => {
                        naive.go(BreakerState::Disabled);
                    }
                    (true, true) => {
                        naive.window.clear();
                        naive.in_row = 0;
                        naive.go(BreakerState::Closed);
                    }
                    _ => {}
                }
                real.set_enabled(on, now);
            }
            Op::Finish(..) | Op::Drop(_) => {}
        }
        naive.expire(at);
        let stats = real.stats(start + Duration::from_millis(at));
        prop_assert_eq!(stats.state, naive.state);
        prop_assert_eq!(stats.generation, naive.generation);
        prop_assert_eq!(stats.trials as usize, naive.trials.len());
        prop_assert_eq!(stats.late, naive.late);
        prop_assert_eq!(stats.failures_in_row, naive.in_row);
        prop_assert_eq!(
            (stats.window_calls, stats.window_failures, stats.window_slow),
            naive.in_window(at)
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Seen failing with the generation check of `record` left out, with `trials` kept by `give_back`, and
    /// with a trial's success that does not clear the window.
    #[test]
    fn agrees_with_the_model_on_a_time_window(ops in proptest::collection::vec(op(), 1..150), trials in 1u32..4, successes in 1u32..3, slow in prop_oneof![Just(0u64), Just(800)]) {
        check(BreakerSettings {
            window_ms: 10_000, open_jitter: 0.0, half_open_trials: trials, trial_successes: successes,
            slow_ms: slow, slow_rate: 0.5, failures: 4, minimum_calls: 6, trial_deadline_ms: 5_000,
            ..BreakerSettings::default()
        }, ops)?;
    }

    #[test]
    fn agrees_with_the_model_on_a_count_window(ops in proptest::collection::vec(op(), 1..150), size in 1u32..12) {
        check(BreakerSettings {
            window: WindowKind::Count, window_calls: size, open_jitter: 0.0, failures: 9, minimum_calls: 3,
            trial_deadline_ms: 5_000, ..BreakerSettings::default()
        }, ops)?;
    }
}
