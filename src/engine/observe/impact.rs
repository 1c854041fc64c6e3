//! What the state means for work: one judge on top of health, so that console, CLI and API say the same.
//!
//! A pure function of the snapshot. Never `ok` when work was refused or ended undecided within the last
//! 15 minutes; never `ok` from what is not known.

use std::collections::BTreeSet;

use crate::engine::protocol::health::{Level, Reason};
use crate::engine::protocol::impact::{Impact, ImpactCause, ImpactKind, SLOW_P50_MS, SLOW_P99_MS};
use crate::engine::protocol::provider_row::{KeyState, ProviderRow};
use crate::engine::protocol::snapshot::Snapshot;
use crate::engine::protocol::why::About;
use crate::resilience::breaker::BreakerState;
use crate::telemetry::availability::OutcomeStats;
use crate::telemetry::latency::ENOUGH;

/// Most findings.
const MOST: usize = 12;
/// A reason begins when it is noticed, this much after its first effect at most, milliseconds.
const NOTICED_MS: i64 = 2_000;
/// A wait below this is not worth a finding, milliseconds.
const WAIT_MS: i64 = 1_000;
/// A share of unanswered calls above this is a finding.
const FAILING: f64 = 0.1;

/// What the judge is told beside the snapshot.
pub struct ImpactFacts<'a> {
    /// Wall time, milliseconds.
    pub now_ms: i64,
    /// How runs came out since a wall time in milliseconds.
    pub outcomes_since: &'a dyn Fn(i64) -> OutcomeStats,
}

/// Everything that work feels, the worst first; at least one.
pub fn judge(snapshot: &Snapshot, facts: &ImpactFacts<'_>) -> Vec<Impact> {
    let judge = Judge { snapshot, facts };
    let mut found = Vec::new();
    judge.failed_checks(&mut found);
    judge.providers(&mut found);
    judge.not_ready(&mut found);
    judge.calls(&mut found);
    judge.runs(&mut found);
    judge.queues(&mut found);
    judge.rate_limits(&mut found);
    judge.slow_answers(&mut found);
    judge.warnings(&mut found);
    judge.modes(&mut found);
    if found.is_empty() {
        found.push(judge.at_rest_or_work());
    }
    found.sort_by_key(|f| f.kind);
    found.truncate(MOST);
    found
}

/// Codes that have a finding of their own here.
const COVERED: [&str; 5] = [
    "drained",
    "breaker-open",
    "breaker-isolated",
    "breaker-recovering",
    "keys-refused",
];
/// Codes that say that something is not known.
const NOT_KNOWN: [&str; 2] = ["journal-not-yet-known", "disk-not-known"];

struct Judge<'a> {
    snapshot: &'a Snapshot,
    facts: &'a ImpactFacts<'a>,
}

impl Judge<'_> {
    fn failed_checks(&self, found: &mut Vec<Impact>) {
        let fails = self.snapshot.reasons.iter();
        for reason in fails.filter(|r| r.level == Level::Fail) {
            let outcomes = (self.facts.outcomes_since)(reason.since_ms - NOTICED_MS);
            found.push(Impact {
                refused: outcomes.refused,
                undecided: outcomes.undecided,
                of: outcomes.asked(),
                ..of_reason(ImpactKind::Down, ImpactCause::Health, reason)
            });
        }
    }

    fn warnings(&self, found: &mut Vec<Impact>) {
        for reason in &self.snapshot.reasons {
            let code = reason.code.as_str();
            if reason.level != Level::Warn || COVERED.contains(&code) {
                continue;
            }
            found.push(if NOT_KNOWN.contains(&code) {
                of_reason(ImpactKind::Unknown, ImpactCause::NotKnown, reason)
            } else {
                of_reason(ImpactKind::Warn, ImpactCause::Health, reason)
            });
        }
    }

    /// Providers that refuse. Where another one takes over and no run suffers, that is a warning.
    fn providers(&self, found: &mut Vec<Impact>) {
        let set_up = || self.snapshot.provider_rows.iter().filter(|r| r.is_set_up());
        let down: Vec<&ProviderRow> = set_up().filter(|r| r.is_down()).collect();
        let somebody = set_up().any(|r| r.ready && !r.is_down());
        if down.len() > 1 && !somebody {
            found.push(self.all_down(&down));
            return;
        }
        for row in down {
            let outcomes = self.outcomes_since(row.down_since_ms);
            let suffers = outcomes.without_decision() > 0;
            let kind = if suffers || !somebody {
                ImpactKind::Down
            } else {
                ImpactKind::Warn
            };
            let (cause, action) = match row.breaker {
                BreakerState::Isolated => (ImpactCause::ProviderIsolated, "reset-breaker"),
                BreakerState::Open | BreakerState::HalfOpen => {
                    (ImpactCause::ProviderRefuses, "reset-breaker")
                }
                BreakerState::Closed | BreakerState::Disabled => (ImpactCause::KeysRefused, "why"),
            };
            found.push(Impact {
                subjects: vec![row.name.clone()],
                about: Some(About::Provider {
                    name: row.name.clone(),
                }),
                since_ms: row.down_since_ms,
                undecided: outcomes.undecided,
                refused: outcomes.refused,
                of: outcomes.asked(),
                window_s: row.down_since_ms.map_or(outcomes.window_s, |_| 0),
                fell_back: row.figures.fell_back,
                fallback: row.figures.fallback.clone(),
                next_attempt_ms: row.next_attempt_ms,
                runbook: Some("docs/runbooks/breaker-open.md".into()),
                ..Impact::new(kind, cause, action)
            });
        }
    }

    /// A provider has a key, and another reason keeps it from being asked.
    fn not_ready(&self, found: &mut Vec<Impact>) {
        let rows = &self.snapshot.provider_rows;
        if self.snapshot.mode.offline || !rows.iter().any(|r| r.ready) {
            return; // said as a mode
        }
        for row in rows
            .iter()
            .filter(|r| r.is_set_up() && !r.ready && !r.is_down())
        {
            found.push(Impact {
                subjects: vec![row.name.clone()],
                about: Some(About::Provider {
                    name: row.name.clone(),
                }),
                message: row.reason.clone(),
                runbook: Some("docs/runbooks/provider-not-ready.md".into()),
                ..Impact::new(ImpactKind::Warn, ImpactCause::ProviderNotReady, "why")
            });
        }
    }

    fn all_down(&self, down: &[&ProviderRow]) -> Impact {
        // All of them are down since the last one went down.
        let since_ms = down.iter().filter_map(|r| r.down_since_ms).max();
        let outcomes = self.outcomes_since(since_ms);
        Impact {
            subjects: down.iter().map(|r| r.name.clone()).collect(),
            about: Some(About::Health),
            since_ms,
            undecided: outcomes.undecided,
            refused: outcomes.refused,
            of: outcomes.asked(),
            window_s: since_ms.map_or(outcomes.window_s, |_| 0),
            next_attempt_ms: down.iter().filter_map(|r| r.next_attempt_ms).min(),
            runbook: Some("docs/runbooks/breaker-open.md".into()),
            ..Impact::new(
                ImpactKind::Down,
                ImpactCause::AllProvidersRefuse,
                "reset-breaker",
            )
        }
    }

    /// Since a provider went down; of late where nobody knows since when.
    fn outcomes_since(&self, since_ms: Option<i64>) -> OutcomeStats {
        since_ms.map_or(self.snapshot.decisions_hour.recent, |at| {
            (self.facts.outcomes_since)(at)
        })
    }

    /// Calls that are not answered, whatever the breakers think of it.
    fn calls(&self, found: &mut Vec<Impact>) {
        let minute = &self.snapshot.call_history.minute;
        let unanswered = minute.sum() - minute.answers();
        let impact = |kind, cause| Impact {
            about: Some(About::Health),
            calls: unanswered,
            calls_of: minute.sum(),
            window_s: 60,
            ..Impact::new(kind, cause, "why")
        };
        let is_covered = found
            .iter()
            .any(|f| f.kind == ImpactKind::Down && f.about.is_some());
        if unanswered > 0 && minute.answers() == 0 && !is_covered {
            found.push(impact(ImpactKind::Down, ImpactCause::NoAnswer));
        } else if minute.sum() >= ENOUGH && minute.error_share().is_some_and(|s| s > FAILING) {
            found.push(impact(ImpactKind::Warn, ImpactCause::CallsFail));
        }
    }

    /// Runs that ended undecided or were not accepted of late.
    fn runs(&self, found: &mut Vec<Impact>) {
        let decisions = &self.snapshot.decisions_hour;
        let recent = &decisions.recent;
        let ended = recent.full + recent.partial + recent.undecided;
        let is_said = found.iter().any(|f| f.undecided + f.refused > 0);
        if decisions.refused > 0 && !is_said {
            let why = if decisions.refused > recent.refused {
                "the queue was full"
            } else {
                "they could not be kept"
            };
            found.push(Impact {
                message: Some(why.to_owned()),
                refused: decisions.refused,
                of: ended + decisions.refused,
                window_s: recent.window_s,
                ..Impact::new(ImpactKind::Down, ImpactCause::RunsRefused, "runs")
            });
        }
        if recent.undecided > 0 && !is_said {
            let kind = if recent.undecided == ended {
                ImpactKind::Down
            } else {
                ImpactKind::Warn
            };
            found.push(Impact {
                undecided: recent.undecided,
                of: ended,
                window_s: recent.window_s,
                ..Impact::new(kind, ImpactCause::RunsUndecided, "runs")
            });
        }
    }

    /// Pools in which calls wait.
    fn queues(&self, found: &mut Vec<Impact>) {
        let mut seen = BTreeSet::new();
        for row in &self.snapshot.provider_rows {
            if !seen.insert(&row.pool) || row.queued == 0 || row.in_use < row.allowed {
                continue;
            }
            let sharing = self
                .snapshot
                .provider_rows
                .iter()
                .filter(|r| r.pool == row.pool);
            let (waited, came) = sharing.fold((0, 0), |(waited, came), r| {
                (waited + r.figures.waited_pool, came + r.figures.came)
            });
            let queued = u64::from(row.queued);
            let waits_long = row
                .oldest_ms
                .is_some_and(|at| self.facts.now_ms - at >= WAIT_MS);
            if !waits_long && (came < ENOUGH || waited * 2 < came) {
                continue;
            }
            found.push(Impact {
                subjects: vec![row.pool.clone()],
                about: Some(About::Pool {
                    name: row.pool.clone(),
                }),
                calls: waited + queued,
                calls_of: came + queued,
                waiting: queued,
                allowed: Some(row.allowed),
                limit: Some(row.limit),
                oldest_ms: row.oldest_ms,
                runbook: Some("docs/runbooks/pool-full.md".into()),
                ..Impact::new(ImpactKind::Slow, ImpactCause::PoolFull, "resize-pool")
            });
        }
    }

    fn rate_limits(&self, found: &mut Vec<Impact>) {
        for row in &self.snapshot.provider_rows {
            let minute = &row.figures.minute;
            if row.backoff_s.is_none() && minute.rate_limited == 0 {
                continue;
            }
            found.push(Impact {
                subjects: vec![row.name.clone()],
                about: Some(About::Provider {
                    name: row.name.clone(),
                }),
                calls: minute.rate_limited,
                calls_of: minute.sent(),
                window_s: 60,
                waiting: row.queued.into(),
                allowed: Some(row.allowed),
                limit: Some(row.limit),
                oldest_ms: row.oldest_ms,
                backoff_s: row.backoff_s,
                runbook: Some("docs/runbooks/pool-full.md".into()),
                ..Impact::new(ImpactKind::Slow, ImpactCause::RateLimited, "why")
            });
        }
    }

    fn slow_answers(&self, found: &mut Vec<Impact>) {
        for row in &self.snapshot.provider_rows {
            let figures = &row.figures;
            let slow = figures.p50_ms.is_some_and(|ms| ms > SLOW_P50_MS)
                || figures.p99_ms.is_some_and(|ms| ms > SLOW_P99_MS);
            if !slow {
                continue;
            }
            found.push(Impact {
                subjects: vec![row.name.clone()],
                about: Some(About::Provider {
                    name: row.name.clone(),
                }),
                calls_of: figures.answered_n.into(),
                p50_ms: figures.p50_ms.map(u64::from),
                p99_ms: figures.p99_ms.map(u64::from),
                runbook: Some("docs/runbooks/latency.md".into()),
                ..Impact::new(ImpactKind::Slow, ImpactCause::SlowAnswers, "why")
            });
        }
    }

    fn modes(&self, found: &mut Vec<Impact>) {
        let s = self.snapshot;
        let counts = |kind, cause, action| Impact {
            decided: s.decisions_hour.hour.sum(),
            full: s.outcomes.full,
            at_work: u64::from(s.counts.running),
            ..Impact::new(kind, cause, action)
        };
        if s.drained {
            let reason = s.reasons.iter().find(|r| r.code == "drained");
            found.push(Impact {
                since_ms: reason.map(|r| r.since_ms),
                runbook: reason.map(|r| r.runbook.clone()),
                ..counts(ImpactKind::Drained, ImpactCause::Drained, "drain")
            });
        }
        if s.mode.simulated {
            found.push(Impact {
                micro_usd: s.money.today_micro_usd,
                ..counts(ImpactKind::Simulated, ImpactCause::Simulated, "why")
            });
        } else if s.mode.offline {
            found.push(counts(ImpactKind::Offline, ImpactCause::Offline, "why"));
        } else if !s.provider_rows.iter().any(|r| r.ready || r.is_down()) {
            let set_up = s.provider_rows.iter().find(|r| r.is_set_up());
            let missing = s
                .provider_rows
                .iter()
                .filter(|r| r.key == KeyState::Missing);
            let variables = missing.filter_map(|r| r.variables.last().cloned());
            found.push(Impact {
                message: set_up.and_then(|r| r.reason.clone()),
                variables: if set_up.is_some() {
                    Vec::new()
                } else {
                    variables.take(4).collect()
                },
                runbook: Some("docs/runbooks/provider-not-ready.md".into()),
                ..counts(ImpactKind::Offline, ImpactCause::NoModel, "why")
            });
        }
    }

    /// Nothing is wrong.
    fn at_rest_or_work(&self) -> Impact {
        let s = self.snapshot;
        let decided = s.outcomes.asked();
        let at_work = u64::from(s.counts.running + s.counts.queued);
        let p99_ms = s.call_history.latency.p99_ms;
        if decided > 0 || at_work > 0 {
            return Impact {
                decided,
                full: s.outcomes.full,
                at_work,
                micro_usd: s.money.today_micro_usd,
                p99_ms,
                ..Impact::new(ImpactKind::Ok, ImpactCause::Working, "runs")
            };
        }
        Impact {
            last_run_ms: s.decisions_hour.last_run_ms,
            last_answer_ms: s.call_history.last_answer_ms,
            ..Impact::new(ImpactKind::Idle, ImpactCause::Idle, "run")
        }
    }
}

fn of_reason(kind: ImpactKind, cause: ImpactCause, reason: &Reason) -> Impact {
    Impact {
        subjects: vec![reason.check.clone()],
        about: Some(About::Health),
        message: Some(reason.message.clone()),
        since_ms: Some(reason.since_ms),
        runbook: Some(reason.runbook.clone()),
        ..Impact::new(kind, cause, "why")
    }
}
