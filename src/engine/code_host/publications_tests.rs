//! What is published for every decision and every evidence, a case a line.

use super::*;
use crate::engine::protocol::run::Decision;
use crate::engine::protocol::run::{Input, Plan};
use crate::engine::runs::projection::first_view;
use crate::engine::runs::projection::{RunLabel, summary};
use crate::journal::NewRun;
use crate::review::finding::{Coverage, Finding};
use crate::text::Untrusted;

fn run(action: Action, evidence: Evidence) -> RunResult {
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "strategy": "parallel", "outcome": "review", "agents": ["security-agent"],
        "stepTimeoutMs": 1, "ownRule": true, "offline": false, "modelsWanted": true,
        "simulated": false, "policyHash": "p", "rulesHash": "r", "rulesComplete": true,
    }))
    .unwrap();
    let input: Input = serde_json::from_value(serde_json::json!({
        "payload": null, "findings": [], "coverage": Coverage::default(),
        "size": crate::review::finding::ChangeSize::default(),
        "hasDiff": true, "nothingToReview": false, "missing": null, "notKept": [],
    }))
    .unwrap();
    let new = NewRun {
        id: "job_1_abc".into(),
        created_ms: 0,
        event: "pull_request.opened".into(),
        requested_event: "pull_request.opened".into(),
        correlation: "c".into(),
        actor: "github".into(),
        idempotency: None,
        plan: String::new(),
        input: String::new(),
        diff: String::new(),
        report_name: String::new(),
    };
    let mut run = first_view(&new, &plan, &input);
    run.state = RunState::Finished;
    run.evidence = evidence;
    run.decision = Some(Decision {
        cause: None,
        action,
        reason: Untrusted::new("because @everybody <b>says</b> so"),
        rule: 5,
        automated: true,
    });
    let finding = Finding {
        file: Some(Untrusted::new("src/a.rs")),
        line: Some(7),
        ..Finding::whole("security/x", Severity::High, "![img](http://evil) | pipe")
    };
    run.agents[0].findings = vec![finding.clone(), finding];
    run
}

fn pull() -> Pull {
    Pull {
        repository: "acme/shop".into(),
        number: 7,
        head_sha: "a".repeat(40),
        ..Pull::default()
    }
}

fn kinds(run: &RunResult, wanted: Publish, merges: bool) -> Vec<&'static str> {
    of(run, &pull(), wanted, merges)
        .iter()
        .map(Publication::kind)
        .collect()
}

fn state(run: &RunResult) -> &'static str {
    status(run).0
}

#[test]
fn status_says_what_the_decision_says_and_only_full_evidence_acts() {
    use Action::{ApproveAndMerge, BlockPr, ManualReview, RequestChanges};
    use Evidence::{Full, Offline, Partial};
    for (action, evidence, wanted) in [
        (ApproveAndMerge, Full, "success"),
        // Proven documentation, or the operator's own word.
        (ApproveAndMerge, Offline, "success"),
        (ApproveAndMerge, Partial, "error"),
        (ManualReview, Full, "pending"),
        (ManualReview, Offline, "pending"),
        (ManualReview, Partial, "error"),
        (RequestChanges, Offline, "failure"),
        (BlockPr, Full, "failure"),
        (BlockPr, Partial, "failure"),
    ] {
        let run = run(action, evidence);
        assert_eq!(state(&run), wanted, "{action:?} {evidence:?}");
        let all = kinds(
            &run,
            Publish {
                merge: true,
                ..Publish::default()
            },
            true,
        );
        if evidence == Full {
            assert_eq!(&all[..4], ["comment", "status", "label", "review"]);
            assert_eq!(all.contains(&"merge"), action == ApproveAndMerge);
        } else {
            assert_eq!(all, ["comment", "status"], "{action:?} {evidence:?}");
        }
    }
    let mut cut_off = run(ApproveAndMerge, Full);
    cut_off.state = RunState::Failed;
    assert_eq!(state(&cut_off), "error");
    assert_eq!(
        kinds(&cut_off, Publish::default(), true),
        ["comment", "status"]
    );
}

#[test]
fn a_merge_is_off_until_it_is_wanted_and_proved() {
    let run = run(Action::ApproveAndMerge, Evidence::Full);
    assert!(!kinds(&run, Publish::default(), true).contains(&"merge"));
    let merging = Publish {
        merge: true,
        ..Publish::default()
    };
    assert!(!kinds(&run, merging, false).contains(&"merge"));
    assert!(kinds(&run, merging, true).contains(&"merge"));
}

#[test]
fn outside_text_mentions_nobody_and_shows_no_image() {
    let run = run(Action::BlockPr, Evidence::Full);
    let all = of(&run, &pull(), Publish::default(), false);
    let Publication::Comment { marker, body } = &all[0] else {
        panic!("a comment comes first")
    };
    assert!(body.starts_with(marker.as_str()));
    for never in ["@everybody", "<b>", "![img]"] {
        assert!(!body.contains(never), "{never}: {body}");
    }
    assert!(body.contains("**full: rules and models**"));
    assert_eq!(body.matches("src/a.rs:7").count(), 1, "each finding once");
    let Publication::Review { comments, .. } = &all[3] else {
        panic!("a review comes last")
    };
    assert_eq!((comments.len(), comments[0].line), (1, 7));
    let long = RunResult {
        decision: Some(Decision {
            reason: Untrusted::new("é".repeat(400)),
            ..run.decision.clone().unwrap()
        }),
        ..run
    };
    assert_eq!(status(&long).1.chars().count(), 140);
}

/// `docs/decisions.md` has one table of decision, evidence and face; this is what holds it to the program.
#[test]
fn every_face_says_what_the_table_of_decisions_says() {
    use crate::engine::exporters::{Export, annotations, sarif};
    use crate::engine::protocol::run::Cause;
    use crate::engine::runs::report;

    let text = include_str!("../../../docs/decisions.md");
    let table = text
        .split("<!-- faces: read by a test -->")
        .nth(1)
        .and_then(|t| t.split("<!-- /faces -->").next())
        .unwrap();
    let plain = |word: &str| serde_json::Value::from(word);
    let mut causes = std::collections::BTreeSet::new();
    let mut rows = 0;
    for line in table.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = line
            .trim_matches('|')
            .split('|')
            .map(|c| c.trim().trim_matches('`'))
            .collect();
        let [
            action,
            cause,
            evidence,
            exit,
            status_word,
            review,
            label,
            approved,
        ] = cells[..]
        else {
            panic!("{line}");
        };
        rows += 1;
        causes.insert(cause.to_owned());
        let decided: Cause = serde_json::from_value(plain(cause)).unwrap();
        let mut run = run(
            serde_json::from_value(plain(action)).unwrap(),
            serde_json::from_value(plain(evidence)).unwrap(),
        );
        run.simulated = evidence == "simulated";
        run.state = match decided {
            Cause::Cancelled => RunState::Cancelled,
            Cause::Quarantined => RunState::Failed,
            _ => RunState::Finished,
        };
        let decision = run.decision.as_mut().unwrap();
        decision.cause = Some(decided);
        assert_eq!(decision.action.exit_code().to_string(), exit, "{line}");
        assert_eq!(decision.cause_word(), cause, "{line}");
        assert_eq!(state(&run), status_word, "{line}");
        let all = of(&run, &pull(), Publish::default(), true);
        let found_review = all.iter().find_map(|p| match p {
            Publication::Review { event, .. } => Some(event.as_str()),
            _ => None,
        });
        let found_label = all.iter().find_map(|p| match p {
            Publication::Label { add, .. } => Some(add.as_str()),
            _ => None,
        });
        assert_eq!(found_review.unwrap_or("none"), review, "{line}");
        assert_eq!(found_label.unwrap_or("none"), label, "{line}");
        let log = sarif(&Export::of_run(&run));
        let properties = &log["runs"][0]["properties"];
        assert_eq!(properties["approved"].to_string(), approved, "{line}");
        assert_eq!(
            (
                &properties["decision"],
                &properties["cause"],
                &properties["evidence"]
            ),
            (&plain(action), &plain(cause), &plain(evidence))
        );
        let json = serde_json::to_value(&run).unwrap();
        assert_eq!(
            (
                &json["decision"]["action"],
                &json["decision"]["cause"],
                &json["evidence"]
            ),
            (&plain(action), &plain(cause), &plain(evidence))
        );
        let written = report::render(&run);
        let said = format!("**{action}** ({})", cause.replace('_', "\\_"));
        assert!(
            written.contains(&said) && written.contains(&format!("Evidence: {evidence}")),
            "{written}"
        );
        assert!(annotations(&Export::of_run(&run)).contains(&format!("{action} ({cause})")));
        let label = RunLabel::default();
        let brief = summary(&run, &label, None, None, None);
        assert_eq!(
            (brief.action.map(Action::as_str), brief.cause),
            (Some(action), Some(decided))
        );
    }
    assert!(rows >= 20, "{rows}");
    for cause in Cause::ALL {
        assert!(
            causes.contains(cause.as_str()),
            "{} is not in the table",
            cause.as_str()
        );
        assert!(
            text.contains(&format!("| `{}` |", cause.as_str())),
            "{}",
            cause.as_str()
        );
    }
}
