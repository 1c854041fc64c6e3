//! Leave to make an attempt: by the upstream's breaker, and by that of the deployment that is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::types::{Classify, ErrorClass, LayerSet};
use crate::Rejection;
use crate::breaker;
use crate::deployment::Deployment;

/// True when a call to it would not be refused by a breaker now.
pub(super) fn is_admitting(guards: &LayerSet, now: Instant) -> bool {
    let own = guards.deployment.as_ref();
    let upstream = guards.breaker.check(now);
    let passes = match upstream {
        Ok(()) => true,
        Err(refusal) => own.is_some_and(|d| d.may_pass(refusal, now)),
    };
    passes && own.is_none_or(|d| d.breaker().check(now).is_ok())
}

/// True when a call to it would be sent at once, as far as breakers and pauses go.
pub(super) fn is_ready(guards: &LayerSet, now: Instant) -> bool {
    let quiet = |d: &Arc<Deployment>| !d.quiet_left(now).is_zero();
    !guards.deployment.as_ref().is_some_and(quiet)
        && !guards.limiter.is_paused(now)
        && is_admitting(guards, now)
}

/// Leave to make one attempt, by the upstream's breaker and the deployment's own.
pub(super) struct Admission<'t> {
    guards: &'t LayerSet,
    /// None where the upstream's breaker is open because of other deployments alone.
    upstream: Option<breaker::Permit<'t>>,
    own: Option<breaker::Permit<'t>>,
    since: Instant,
}

impl<'t> Admission<'t> {
    pub(super) fn ask(guards: &'t LayerSet, now: Instant) -> Result<Self, Rejection> {
        let deployment = guards.deployment.as_ref();
        let upstream = match guards.breaker.admit(now) {
            Ok(permit) => Some(permit),
            Err(refusal) if deployment.is_some_and(|d| d.may_pass(refusal, now)) => None,
            Err(refusal) => return Err(refusal.by(guards.breaker.name())),
        };
        let own = match deployment {
            Some(d) => Some(d.breaker().admit(now).map_err(|r| r.by(d.name()))?),
            None => None,
        };
        Ok(Self {
            guards,
            upstream,
            own,
            since: now,
        })
    }

    pub(super) fn sending(&mut self, limit: Duration, now: Instant) {
        self.since = now;
        for permit in self.upstream.iter_mut().chain(&mut self.own) {
            permit.sending(limit, now);
        }
    }

    /// It was answered; `paused`: the process stood still meanwhile, and how long it took is not known.
    pub(super) fn success(self, paused: bool, now: Instant) {
        let passed_by = self.upstream.is_none();
        for permit in self.upstream.into_iter().chain(self.own) {
            if paused {
                permit.success_after_pause(now);
            } else {
                permit.success(now);
            }
        }
        let Some(deployment) = &self.guards.deployment else {
            return;
        };
        if !paused {
            deployment.record_latency(now.saturating_duration_since(self.since));
        }
        deployment.answered(now);
        if passed_by {
            let cause = format!("{} answers", deployment.name());
            self.guards.breaker.reset(&cause, now);
        }
    }

    /// It failed; the failure is counted in one breaker.
    pub(super) fn failure(self, error: &impl Classify, meaning: ErrorClass, now: Instant) {
        let deployment = self.guards.deployment.as_ref();
        let of_upstream = deployment.is_none_or(|d| d.failed(meaning.whole_upstream, now));
        let permit = if of_upstream { self.upstream } else { self.own };
        if let Some(permit) = permit {
            permit.failure(&error.class(), meaning.retry_after, now);
        }
    }
}
