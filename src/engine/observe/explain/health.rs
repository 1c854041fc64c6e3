//! Why the engine is as healthy as it is.

use crate::engine::observe::explain::facts::{Seen, help, runbook};
use crate::engine::protocol::snapshot::Health;
use crate::engine::protocol::why::Why;
use crate::resilience::breaker::{BreakerState, BreakerStats};

impl Seen<'_> {
    /// About the whole engine.
    pub fn health(&self) -> Why {
        let s = self.snapshot;
        let bad = |b: &&BreakerStats| {
            matches!(
                b.state,
                BreakerState::Open | BreakerState::HalfOpen | BreakerState::Isolated
            )
        };
        if let Some(worst) = s
            .breakers
            .iter()
            .filter(bad)
            .max_by_key(|b| (b.state == BreakerState::Open, b.rejections, b.trips))
        {
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
            return why;
        }
        let mut why = Why {
            title: match s.health {
                Health::Healthy => "All is well".into(),
                Health::Degraded => "Degraded".into(),
                Health::Unhealthy => "Unhealthy".into(),
            },
            because: s
                .reasons
                .iter()
                .map(|r| format!("{}.", r.message))
                .collect(),
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
                    "{} of the last {} calls were answered; {} callers wait for a place in a pool.",
                    self.calls.iter().filter(|c| !c.failed()).count(),
                    self.calls.len(),
                    s.pools.iter().map(|p| p.queued).sum::<u32>()
                )
            });
        }
        why
    }
}
