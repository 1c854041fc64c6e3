//! Why a run is as it is.

use crate::engine::observe::explain::facts::{Seen, help, tally};
use crate::engine::protocol::run::{RunResult, Step, StepStatus};
use crate::engine::protocol::why::Why;
use crate::text::clean_line;

impl Seen<'_> {
    /// About one run.
    pub fn run(&self, run: &RunResult) -> Why {
        let mut because = Vec::new();
        if let Some(d) = &run.decision {
            because.push(format!(
                "Cause {} (rule {}): {}.",
                d.cause_word(),
                d.rule,
                d.reason.line(240)
            ));
        } else {
            let word = |status| run.agents.iter().filter(|s| s.status == status).count();
            because.push(format!(
                "{} of {} agents have ended, {} are at work.",
                run.agents.iter().filter(|s| s.status.is_over()).count(),
                run.agents.len(),
                word(StepStatus::Running)
            ));
            for p in self.snapshot.pools.iter().filter(|p| p.queued > 0) {
                because.push(format!(
                    "Pool {} is full: {} wait for {} places.",
                    p.name, p.queued, p.allowed
                ));
            }
            for l in &self.snapshot.limiters {
                if let Some(s) = l.paused_s {
                    because.push(format!("{} wants quiet for {s} s more.", l.name));
                }
            }
            let mine = self.calls.iter().filter(|c| c.run == run.run_id);
            let failed = tally(mine.filter(|c| c.failed()).map(|c| c.outcome.as_str()));
            if !failed.is_empty() {
                because.push(format!("Attempts that failed so far: {failed}."));
            }
        }
        for step in run.agents.iter().filter(|s| s.error.is_some()) {
            let error = step.error.as_ref().map(|e| e.line(160)).unwrap_or_default();
            because.push(format!("{}: {error}.", clean_line(&step.agent_id, 40)));
        }
        let slowest = run
            .agents
            .iter()
            .filter(|s| s.duration_ms.is_some())
            .max_by_key(|s| s.duration_ms);
        if let Some(step) = slowest {
            because.push(slow(step));
        }
        if !run.coverage.skipped.is_empty() {
            because.push(format!("{}.", run.coverage.summary()));
        }
        Why {
            title: format!(
                "run {}: {}",
                clean_line(run.run_id.rsplit('_').next().unwrap_or_default(), 20),
                run.decision
                    .as_ref()
                    .map_or("at work", |d| d.action.as_str())
            ),
            because,
            helps: if run.decision.is_some() {
                vec![
                    help("report", "the whole of it"),
                    help("run-logs", "its log lines"),
                    help("run-again", "the same change once more"),
                ]
            } else {
                vec![
                    help("run-logs", "its log lines"),
                    help("cancel", "stop it; what has ended is kept"),
                ]
            },
            runbook: None,
        }
    }
}

/// Where the slowest agent's time went.
fn slow(step: &Step) -> String {
    let total = step.duration_ms.unwrap_or(0);
    let upstream: u64 = step.trace.iter().map(|a| a.upstream_us).sum::<u64>() / 1_000;
    let waited: u64 = step
        .trace
        .iter()
        .map(|a| a.backoff_us + a.limiter_us + a.pool_us)
        .sum::<u64>()
        / 1_000;
    let failed = tally(
        step.trace
            .iter()
            .filter(|a| a.outcome != "ok")
            .map(|a| &*a.outcome),
    );
    let mut text = format!(
        "Slowest was {} with {total} ms: {upstream} ms at providers, {waited} ms waiting",
        clean_line(&step.agent_id, 40)
    );
    if !failed.is_empty() {
        text.push_str(&format!("; {failed}"));
    }
    if let Some(model) = step
        .model
        .as_ref()
        .filter(|_| step.trace.iter().any(|a| a.target > 0))
    {
        text.push_str(&format!(
            "; answered by the fallback {}",
            clean_line(model, 40)
        ));
    }
    text.push('.');
    text
}
