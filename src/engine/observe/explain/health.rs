//! Why the engine is as healthy as it is.

use crate::engine::observe::explain::facts::{Seen, help, runbook};
use crate::engine::protocol::impact::{ImpactCause, ImpactKind};
use crate::engine::protocol::snapshot::Health;
use crate::engine::protocol::why::{About, Why};
use crate::resilience::breaker::{BreakerState, BreakerStats};

impl Seen<'_> {
    /// About the whole engine.
    pub fn health(&self) -> Why {
        let s = self.snapshot;
        if let Some(why) = self.worst_breaker() {
            return why;
        }
        // What work feels most has an explanation of its own.
        match s.impact.first().and_then(|i| i.about.as_ref()) {
            Some(About::Pool { name }) => {
                if let Some(pool) = s.pools.iter().find(|p| p.name == *name) {
                    return self.with_outcomes(self.pool(pool));
                }
            }
            Some(About::Provider { name }) => {
                if let Some(breaker) = s.breakers.iter().find(|b| b.name == *name) {
                    return self.with_outcomes(self.provider(breaker));
                }
            }
            _ => {}
        }
        let mut why = Why {
            title: match s.health {
                Health::Healthy if s.impact.first().is_some_and(|i| i.kind <= ImpactKind::Warn) => {
                    "Work suffers".into()
                }
                Health::Healthy => "All is well".into(),
                Health::Degraded => "Degraded".into(),
                Health::Unhealthy => "Unhealthy".into(),
            },
            because: self.because(),
            helps: Vec::new(),
            runbook: s.reasons.first().map(|r| r.runbook.clone()),
        };
        why.because.push(s.outcomes.sentence());
        if s.losses.journal_retries > 0 && s.health == Health::Unhealthy {
            why.because.push(format!(
                "Journal writes were tried again {} times; free disk space, work waits and nothing acknowledged is lost.",
                s.losses.journal_retries
            ));
            why.runbook = runbook("journal");
        } else if s.workspace.kept_last_good || s.workspace.errors > 0 {
            why.helps.push(help(
                "agents",
                "the files, lines and columns that are wrong",
            ));
            why.helps
                .push(help("reload", "read the workspace again after the edit"));
            why.runbook = runbook("workspace");
        }
        if s.drained {
            why.helps.push(help("drain", "take runs again"));
        }
        if s.reasons.is_empty() {
            let ready = s.ready_providers();
            why.because.push(if ready.is_empty() && !s.mode.simulated {
                "No provider can be asked: rules decide alone, and that is enough for a decision."
                    .into()
            } else {
                format!(
                    "{} of {} calls of the last minute were answered; {} callers wait for a place in a pool.",
                    s.call_history.minute.answers(),
                    s.call_history.minute.sum(),
                    s.pools.iter().map(|p| p.queued).sum::<u32>()
                )
            });
        }
        why
    }

    /// The provider that refuses, unless a failed check weighs more.
    fn worst_breaker(&self) -> Option<Why> {
        let s = self.snapshot;
        if s.impact
            .first()
            .is_some_and(|i| i.cause == ImpactCause::Health)
        {
            return None;
        }
        let bad = |b: &&BreakerStats| {
            matches!(
                b.state,
                BreakerState::Open | BreakerState::HalfOpen | BreakerState::Isolated
            )
        };
        let worst = s
            .breakers
            .iter()
            .filter(bad)
            .max_by_key(|b| (b.state == BreakerState::Open, b.rejections, b.trips))?;
        let mut why = self.provider(worst);
        let others: Vec<&str> = s
            .reasons
            .iter()
            .map(|r| r.message.as_str())
            .filter(|r| !r.starts_with(worst.name.as_str()))
            .collect();
        if !others.is_empty() {
            why.because.push(format!("Also: {}.", others.join("; ")));
        }
        why.because.push(s.outcomes.sentence());
        Some(why)
    }

    fn with_outcomes(&self, mut why: Why) -> Why {
        let reasons = self.snapshot.reasons.iter().map(|r| r.message.as_str());
        let others: Vec<&str> = reasons.collect();
        if !others.is_empty() {
            why.because.push(format!("Also: {}.", others.join("; ")));
        }
        why.because.push(self.snapshot.outcomes.sentence());
        why
    }

    /// What work feels, then health's own reasons; nothing twice.
    fn because(&self) -> Vec<String> {
        let s = self.snapshot;
        let now = jiff::Timestamp::from_millisecond(self.now_ms)
            .unwrap_or_default()
            .to_zoned(jiff::tz::TimeZone::system());
        let felt = s
            .impact
            .iter()
            .filter(|i| i.message.is_none() && !is_well(i.kind));
        let felt = felt.map(|i| format!("{}.", i.sentence(&now)));
        felt.chain(s.reasons.iter().map(|r| format!("{}.", r.message)))
            .collect()
    }
}

/// Nothing that work suffers from.
fn is_well(kind: ImpactKind) -> bool {
    matches!(kind, ImpactKind::Idle | ImpactKind::Ok)
}
