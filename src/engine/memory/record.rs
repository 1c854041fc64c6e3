//! What is remembered of a step's review and of a run's decision.

use crate::engine::protocol::run::{Input, RunResult, Step};
use crate::journal::{MemoryKind, NewMemory};
use crate::memory::cut;
use crate::text::clean_line;

/// Bytes of a review that are kept.
pub const REVIEW: usize = 4_000;

/// What a step leaves. Without a diff there is nothing to find it by.
pub fn of_step(
    run: &str,
    event: &str,
    input: &Input,
    diff: &str,
    step: &Step,
) -> Option<NewMemory> {
    let code = added(diff);
    if code.is_empty() {
        return None;
    }
    let verdict = step.verdict?;
    let mut review = verdict.as_str().to_owned();
    for finding in &step.findings {
        review.push_str(&format!(
            "\n{} {}: {}",
            finding.severity.as_str(),
            finding.rule,
            finding.message.raw()
        ));
    }
    let rules: Vec<&str> = step.findings.iter().map(|f| f.rule.as_str()).collect();
    Some(NewMemory {
        id: format!("{run}/{}", step.agent_id),
        kind: MemoryKind::CodeReview,
        code,
        review: crate::text::cut(&review, REVIEW).to_owned(),
        metadata: serde_json::json!({
            "agent": step.agent_id,
            "event": event,
            "repository": repository(input),
            "verdict": verdict.as_str(),
            "rules": rules,
            "model": step.model,
        }),
        created_ms: step.started_at.unwrap_or(0),
        run: Some(run.to_owned()),
    })
}

/// What a run leaves.
pub fn of_run(view: &RunResult, input: &Input, at_ms: i64) -> Option<NewMemory> {
    let decision = view.decision.as_ref().filter(|_| !view.simulated)?;
    let rejecting: Vec<&str> = view
        .agents
        .iter()
        .filter(|s| {
            s.verdict
                .is_some_and(|v| v >= crate::review::verdict::Verdict::RequestChanges)
        })
        .map(|s| s.agent_id.as_str())
        .collect();
    let mut rules: Vec<&str> = view
        .agents
        .iter()
        .flat_map(|s| &s.findings)
        .filter(|f| f.severity >= crate::review::finding::Severity::Medium)
        .map(|f| f.rule.as_str())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    let reason = crate::text::cut(decision.reason.raw(), 1_000).to_owned();
    Some(NewMemory {
        id: view.run_id.clone(),
        kind: MemoryKind::OrchestrationDecision,
        code: reason,
        review: decision.action.as_str().to_owned(),
        metadata: serde_json::json!({
            "event": view.event,
            "repository": repository(input),
            "action": decision.action.as_str(),
            "rule": decision.rule,
            "evidence": view.evidence.as_str(),
            "agents": rejecting,
            "rules": rules,
        }),
        created_ms: at_ms,
        run: Some(view.run_id.clone()),
    })
}

/// The added lines of a diff, as far as they count.
pub fn added(diff: &str) -> String {
    let mut code = String::new();
    let lines = diff
        .lines()
        .filter(|l| l.starts_with('+') && !l.starts_with("+++"));
    for line in lines {
        code.push_str(&line[1..]);
        code.push('\n');
        if code.len() > 4 * crate::memory::CUT {
            break;
        }
    }
    cut(code.trim()).to_owned()
}

/// The repository that the payload names, `owner/name`.
pub fn repository(input: &Input) -> Option<String> {
    let place = input.payload.pointer("/repository/full_name")?.as_str()?;
    Some(clean_line(place, 120))
}
