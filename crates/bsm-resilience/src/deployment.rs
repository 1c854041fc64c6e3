//! What is known of one deployment (one model at one upstream): whether it fails, and until when it is quiet.
//!
//! Why beside the upstream's own breaker: one model's outage or 429 says little about the models next to
//! it. A failure is counted in exactly one breaker. It is the upstream's where the whole upstream is
//! concerned (no connection), or where no other deployment of it answers; else it is the deployment's own.
//! Where the upstream's breaker was opened by one deployment alone, the others are still admitted: the
//! first that answers closes it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::breaker::{Breaker, BreakerSettings, TransitionObserver};
use super::{Reason, Refusal};
use bsm_base::clock::{Clock, lock};

/// How long what a deployment did speaks for or against its upstream.
const MEMORY: Duration = Duration::from_secs(60);
/// Deployments that one upstream keeps state for; the one that was used longest ago goes first.
const MOST: usize = 512;

/// When a deployment last answered and last failed.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    answered: Option<Instant>,
    failed: Option<Instant>,
}

impl Seen {
    fn is_failing(self, now: Instant) -> bool {
        let recent = self.failed.filter(|at| is_recent(*at, now));
        recent.is_some_and(|failed| self.answered.is_none_or(|at| at < failed))
    }

    fn is_well(self, now: Instant) -> bool {
        self.answered.is_some_and(|at| is_recent(at, now)) && !self.is_failing(now)
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < MEMORY
}

/// What all deployments of one upstream say together.
#[derive(Debug, Default)]
struct UpstreamHealth {
    seen: Mutex<BTreeMap<Arc<str>, Seen>>,
    whole_failed: Mutex<Option<Instant>>,
}

impl UpstreamHealth {
    fn another_is_well(&self, name: &str, now: Instant) -> bool {
        let seen = lock(&self.seen);
        seen.iter().any(|(n, s)| **n != *name && s.is_well(now))
    }

    fn whole_failed(&self, now: Instant) -> bool {
        lock(&self.whole_failed).is_some_and(|at| is_recent(at, now))
    }
}

/// One deployment. Shared by all calls to it.
#[derive(Debug)]
pub struct Deployment {
    name: Arc<str>,
    breaker: Arc<Breaker>,
    quiet_until: Mutex<Option<Instant>>,
    in_flight: AtomicU32,
    /// Moving average of the time to an answer, microseconds; 0: not known.
    latency_us: AtomicU64,
    used_at_ms: AtomicU64,
    upstream: Arc<UpstreamHealth>,
}

/// Counts a call as under way until it is dropped.
pub struct InFlight(Arc<Deployment>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Deployment {
    /// `upstream/model`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its breaker: it counts the failures that are this deployment's alone.
    pub fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    /// It asked for quiet (a 429): nothing is sent for `wait`.
    pub fn pause(&self, wait: Duration, now: Instant) {
        let until = now.checked_add(wait).unwrap_or(now);
        let mut quiet = lock(&self.quiet_until);
        *quiet = Some(quiet.map_or(until, |old| old.max(until)));
    }

    /// It may be asked again at once.
    pub fn resume(&self) {
        *lock(&self.quiet_until) = None;
    }

    /// How long it still wants quiet; zero: it does not.
    pub fn quiet_left(&self, now: Instant) -> Duration {
        let mut quiet = lock(&self.quiet_until);
        let left = quiet.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        if left.is_zero() {
            *quiet = None;
        }
        left
    }

    /// A call begins; it is counted until the result is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Calls under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Time to an answer, a moving average; zero: nothing was measured yet.
    pub fn latency(&self) -> Duration {
        Duration::from_micros(self.latency_us.load(Relaxed))
    }

    /// Takes the time of one answer into the average.
    pub fn record_latency(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let old = self.latency_us.load(Relaxed);
        let new = if old == 0 {
            took
        } else {
            old - old / 8 + took / 8
        };
        self.latency_us.store(new.max(1), Relaxed);
    }

    /// It answered: its upstream as a whole can be reached.
    pub(crate) fn answered(&self, now: Instant) {
        lock(&self.upstream.seen)
            .entry(Arc::clone(&self.name))
            .or_default()
            .answered = Some(now);
        *lock(&self.upstream.whole_failed) = None;
    }

    /// It failed; true when the failure counts against the whole upstream.
    pub(crate) fn failed(&self, whole: bool, now: Instant) -> bool {
        lock(&self.upstream.seen)
            .entry(Arc::clone(&self.name))
            .or_default()
            .failed = Some(now);
        if whole {
            *lock(&self.upstream.whole_failed) = Some(now);
        }
        whole || !self.upstream.another_is_well(&self.name, now)
    }

    /// Whether a refusal by the upstream's breaker does not hold for this deployment: others alone failed.
    pub(crate) fn may_pass(&self, refusal: Refusal, now: Instant) -> bool {
        let open = matches!(
            refusal.reason,
            Reason::BreakerOpen | Reason::BreakerTrialsTaken
        );
        let failing = lock(&self.upstream.seen)
            .get(&self.name)
            .is_some_and(|seen| seen.is_failing(now));
        let another = lock(&self.upstream.seen)
            .iter()
            .any(|(name, seen)| **name != *self.name && seen.is_failing(now));
        open && another && !failing && !self.upstream.whole_failed(now)
    }
}

/// The deployments of one upstream.
pub struct Deployments {
    upstream: Arc<str>,
    clock: Arc<dyn Clock>,
    settings: Mutex<BreakerSettings>,
    enabled: AtomicBool,
    all: Mutex<BTreeMap<String, Arc<Deployment>>>,
    health: Arc<UpstreamHealth>,
    observer: Mutex<Option<TransitionObserver>>,
}

impl Deployments {
    /// None is known yet.
    pub fn new(upstream: &str, settings: BreakerSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            upstream: Arc::from(upstream),
            clock,
            settings: Mutex::new(settings),
            enabled: AtomicBool::new(true),
            all: Mutex::default(),
            health: Arc::default(),
            observer: Mutex::default(),
        }
    }

    /// The deployment of one model; its state begins with the first call.
    pub fn get(&self, model: &str) -> Arc<Deployment> {
        let used = u64::try_from(self.clock.wall_ms()).unwrap_or(0);
        let mut all = lock(&self.all);
        if let Some(known) = all.get(model) {
            known.used_at_ms.store(used, Relaxed);
            return Arc::clone(known);
        }
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, d)| d.used_at_ms.load(Relaxed));
            if let Some(oldest) = oldest.map(|(model, _)| model.clone()) {
                all.remove(&oldest);
                let name = format!("{}/{oldest}", self.upstream);
                lock(&self.health.seen).remove(name.as_str());
            }
        }
        let name = format!("{}/{model}", self.upstream);
        let breaker = Breaker::new(&name, *lock(&self.settings), self.clock.as_ref());
        if !self.enabled.load(Relaxed) {
            breaker.set_enabled(false, self.clock.now());
        }
        if let Some(observer) = &*lock(&self.observer) {
            breaker.observe(Arc::clone(observer));
        }
        let made = Arc::new(Deployment {
            name: Arc::from(name),
            breaker,
            quiet_until: Mutex::default(),
            in_flight: AtomicU32::new(0),
            latency_us: AtomicU64::new(0),
            used_at_ms: AtomicU64::new(used),
            upstream: Arc::clone(&self.health),
        });
        all.insert(model.to_owned(), Arc::clone(&made));
        made
    }

    /// Those that are known, by name.
    pub fn list(&self) -> Vec<Arc<Deployment>> {
        lock(&self.all).values().map(Arc::clone).collect()
    }

    /// The longest quiet that one of them still wants; zero: none does.
    pub fn longest_quiet(&self, now: Instant) -> Duration {
        let all = self.list();
        let left = all.iter().map(|d| d.quiet_left(now));
        left.max().unwrap_or_default()
    }

    /// Forgets failures and pauses; `cause` is kept with each transition.
    pub fn reset(&self, cause: &str, now: Instant) {
        for deployment in self.list() {
            deployment.breaker.reset(cause, now);
            deployment.resume();
        }
        lock(&self.health.seen).clear();
        *lock(&self.health.whole_failed) = None;
    }

    /// Changes the breakers' settings while running.
    pub fn reconfigure(&self, settings: BreakerSettings, now: Instant) {
        *lock(&self.settings) = settings;
        for deployment in self.list() {
            deployment.breaker.reconfigure(settings, now);
        }
    }

    /// Switches the breakers off or on again.
    pub fn set_enabled(&self, enabled: bool, now: Instant) {
        self.enabled.store(enabled, Relaxed);
        for deployment in self.list() {
            deployment.breaker.set_enabled(enabled, now);
        }
    }

    /// Hands every transition of every breaker to `observer`, of deployments that come later too.
    pub fn observe(&self, observer: &TransitionObserver) {
        *lock(&self.observer) = Some(Arc::clone(observer));
        for deployment in self.list() {
            deployment.breaker.observe(Arc::clone(observer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsm_base::clock::SystemClock;

    fn two() -> (Deployments, Arc<Deployment>, Arc<Deployment>) {
        let clock = Arc::new(SystemClock);
        let all = Deployments::new("cloud", BreakerSettings::default(), clock);
        let (a, b) = (all.get("a"), all.get("b"));
        (all, a, b)
    }

    const OPEN: Refusal = Refusal {
        reason: Reason::BreakerOpen,
        retry_in: None,
    };

    #[test]
    fn failure_while_another_answers_is_the_deployments_own() {
        let (_, a, b) = two();
        let now = Instant::now();
        assert!(a.failed(false, now), "nothing is known of the others");
        b.answered(now);
        assert!(!a.failed(false, now));
        assert!(a.failed(true, now), "no connection concerns all");
        // What was long ago says nothing.
        assert!(a.failed(false, now + MEMORY));
    }

    #[test]
    fn open_upstream_admits_whoever_did_not_fail() {
        let (_, a, b) = two();
        let now = Instant::now();
        assert!(!b.may_pass(OPEN, now), "nobody is known to have failed");
        a.failed(false, now);
        assert!(b.may_pass(OPEN, now) && !a.may_pass(OPEN, now));
        let isolated = Refusal {
            reason: Reason::BreakerIsolated,
            ..OPEN
        };
        assert!(!b.may_pass(isolated, now));
        a.failed(true, now);
        assert!(!b.may_pass(OPEN, now), "the connection is gone for all");
    }

    #[test]
    fn pause_ends_and_names_are_paths() {
        let (all, a, _) = two();
        let now = Instant::now();
        a.pause(Duration::from_secs(2), now);
        a.pause(Duration::from_secs(1), now);
        assert_eq!(all.longest_quiet(now), Duration::from_secs(2));
        assert_eq!(a.quiet_left(now + Duration::from_secs(2)), Duration::ZERO);
        assert_eq!(&**a.name(), "cloud/a");
        let begun = a.begin();
        assert_eq!(a.in_flight(), 1);
        drop(begun);
        assert_eq!(a.in_flight(), 0);
    }

    #[test]
    fn deployments_are_bounded() {
        let (all, _, _) = two();
        for n in 0..2 * MOST {
            all.get(&format!("m{n}"));
        }
        assert_eq!(all.list().len(), MOST);
    }
}
