//! Whether work is accepted, decided and published in time.

use super::code::Code;
use super::facts::Facts;
use super::finding::Findings;
use crate::engine::protocol::snapshot::Snapshot;

/// Fewer runs than this in the window say nothing about the share with full evidence.
const ENOUGH_RUNS: u64 = 5;
/// A smaller share of runs with full evidence is a warning, percent.
const EVIDENCE_PERCENT: f64 = 95.0;
/// A queued run older than this is a warning.
const QUEUE_MS: i64 = 600_000;
/// A waiting publication older than this is a warning.
const OUTBOX_MS: i64 = 1_800_000;

pub(super) fn judge(snapshot: &Snapshot, facts: &Facts, found: &mut Findings) {
    if snapshot.drained {
        found.warn(Code::Drained, "drained: no run is accepted");
    }
    if let Some(share) = snapshot.outcomes.availability()
        && snapshot.outcomes.asked() >= ENOUGH_RUNS
        && share < EVIDENCE_PERCENT
    {
        // Whole percent: a figure that moves with every run would never stand still.
        found.warn(
            Code::EvidenceMissing,
            format!("only {share:.0} % of the last hour's runs ended with full evidence"),
        );
    }
    let older = |at_ms: Option<i64>, limit_ms: i64| {
        at_ms.is_some_and(|at| facts.now_ms.saturating_sub(at) > limit_ms)
    };
    if older(facts.oldest_queued_ms, QUEUE_MS) {
        found.warn(
            Code::QueueOld,
            "the oldest queued run has waited for over 10 minutes",
        );
    }
    if older(facts.oldest_publication_ms, OUTBOX_MS) {
        found.warn(
            Code::OutboxOld,
            "the oldest publication has waited for over 30 minutes",
        );
    }
    if facts.clock_was_set {
        found.warn(
            Code::ClockSet,
            "the wall clock was set while the engine runs",
        );
    }
    let money = snapshot.money;
    if money.day_budget_usd > 0.0 && money.today_micro_usd as f64 >= money.day_budget_usd * 1e6 {
        found.warn(Code::BudgetUsed, "the day's budget is used up");
    }
}
