//! The list of runs as a table: the columns of the console, for a pipe or a terminal without one.
//!
//! Why the id last: it is what a script takes, by `awk '{print $NF}'`, however many words a title has.

use crate::engine::protocol::phase::span;
use crate::engine::protocol::run::{Action, RunState};
use crate::engine::protocol::snapshot::RunSummary;
use crate::text::{clean_line, cut};

/// Heads of the columns and the widths of all but the last.
const COLUMNS: [(&str, usize); 11] = [
    ("AGE", 6),
    ("REPO#PR", 22),
    ("TITLE", 32),
    ("AUTHOR", 12),
    ("EVENT", 24),
    ("DECISION", 17),
    ("WHY", 60),
    ("AGENTS", 6),
    ("WAIT/MODEL", 15),
    ("COST", 10),
    ("RUN", 0),
];

/// What a list says of something that nobody knows, or nobody named.
const UNKNOWN: &str = "-";

/// The head, and a line for each run; nothing where there is none.
pub(super) fn lines(runs: &[RunSummary], now_ms: i64) -> Vec<String> {
    if runs.is_empty() {
        return Vec::new();
    }
    let head = COLUMNS.map(|(name, _)| name.to_owned());
    let rows = runs.iter().map(|run| line(&cells(run, now_ms)));
    std::iter::once(line(&head)).chain(rows).collect()
}

/// Cells of one run, in the order of [`COLUMNS`].
fn cells(run: &RunSummary, now_ms: i64) -> [String; 11] {
    let identity = run.identity.as_ref();
    let or_unknown = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let title = identity.and_then(|i| i.title.as_ref());
    let marks: String = run.steps.iter().map(|s| s.mark().sign(false)).collect();
    [
        span(u64::try_from(now_ms - run.created_ms).unwrap_or(0)).replace(' ', ""),
        or_unknown(run.place()),
        or_unknown(title.map(|t| t.line(32))),
        or_unknown(run.author().map(|a| clean_line(&a, 12))),
        run.event.line(24),
        decision(run),
        or_unknown(run.why_at(now_ms)),
        if marks.is_empty() {
            UNKNOWN.to_owned()
        } else {
            marks
        },
        times(run, now_ms),
        cost(run),
        run.id.clone(),
    ]
}

/// The action, or how far a run at work is.
fn decision(run: &RunSummary) -> String {
    match (run.action, run.state) {
        (Some(action), _) => Action::as_str(action).to_owned(),
        (None, RunState::Queued) => "queued".to_owned(),
        (None, RunState::Running) => {
            let (over, all) = run.progress();
            format!("{over} of {all}")
        }
        (None, _) => UNKNOWN.to_owned(),
    }
}

fn times(run: &RunSummary, now_ms: i64) -> String {
    let shown = |ms: Option<u64>| ms.map_or_else(|| UNKNOWN.to_owned(), span);
    format!("{} / {}", shown(run.waited_at(now_ms)), shown(run.model_ms))
}

/// Simulated money is nobody's.
fn cost(run: &RunSummary) -> String {
    match run.micro_usd {
        None => UNKNOWN.to_owned(),
        Some(_) if run.simulated => "simulated".to_owned(),
        Some(micro) => format!("${:.4}", micro as f64 / 1e6),
    }
}

fn line(cells: &[String; 11]) -> String {
    let mut text = String::new();
    for (cell, (_, width)) in cells.iter().zip(COLUMNS) {
        if width == 0 {
            text.push_str(cell);
        } else {
            text.push_str(&format!("{:<width$}  ", cut(cell, width)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(more: serde_json::Value) -> RunSummary {
        let mut run = json!({
            "id": "job_1_aaaaaa", "event": "pull_request.opened", "title": null, "state": "finished",
            "steps": [], "action": "block_pr", "rule": 2, "reason": "r", "evidence": "full",
            "simulated": false, "createdMs": 1_000, "startedMs": 1_000, "finishedMs": 2_000, "durationMs": 5,
        });
        for (key, value) in more.as_object().unwrap() {
            run[key] = value.clone();
        }
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn run_of_today_has_every_column() {
        let step = |status: &str, verdict: &str| json!({"agent": "a", "status": status, "verdict": verdict});
        let run = run(json!({
            "identity": {"repository": "acme/app", "pull": 482, "title": "Retry payments", "author": "usr"},
            "why": "private key deploy/id_rsa:1", "waitedMs": 21_000, "modelMs": 1_900, "microUsd": 14_000,
            "steps": [step("succeeded", "approve"), step("succeeded", "block")],
        }));
        let lines = lines(&[run], 42_000);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            words(&lines[0]),
            "AGE REPO#PR TITLE AUTHOR EVENT DECISION WHY AGENTS WAIT/MODEL COST RUN"
        );
        assert_eq!(
            words(&lines[1]),
            "41s acme/app#482 Retry payments usr pull_request.opened block_pr \
             private key deploy/id_rsa:1 ✓✗ 21 s / 1 s $0.0140 job_1_aaaaaa"
        );
    }

    #[test]
    fn run_of_an_older_journal_says_that_it_is_unknown() {
        let lines = lines(&[run(json!({}))], 42_000);
        let cells: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(
            cells,
            [
                "41s",
                "-",
                "-",
                "-",
                "pull_request.opened",
                "block_pr",
                "-",
                "-",
                "-",
                "/",
                "-",
                "-",
                "job_1_aaaaaa"
            ]
        );
        assert!(super::lines(&[], 0).is_empty());
    }

    #[test]
    fn run_at_work_says_how_far_it_is_and_what_it_waits_for() {
        let phase = json!({
            "kind": "queued", "provider": "openai", "model": "gpt", "attempt": 1, "of": 3, "startedMs": 21_000,
        });
        let run = run(json!({
            "state": "running", "action": null, "finishedMs": null, "waitedMs": 500, "simulated": true,
            "microUsd": 5,
            "steps": [
                {"agent": "a", "status": "succeeded", "verdict": "approve"},
                {"agent": "b", "status": "running", "verdict": null, "phase": phase},
            ],
        }));
        let line = &lines(&[run], 42_000)[1];
        for part in [
            "1 of 2",
            "queued for openai 21 s",
            "✓●",
            "21 s / -",
            "simulated",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}
