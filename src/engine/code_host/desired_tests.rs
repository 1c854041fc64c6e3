//! What should be there for every decision and every evidence, a case a line.

use super::*;
use crate::code_host::{Pull, PullNow};
use crate::engine::code_host::published::Published;
use crate::engine::code_host::test_decisions::{DIFF, run_of};
use crate::engine::protocol::run::Decision;
use crate::engine::runs::projection::{RunLabel, summary};
use crate::text::Untrusted;

fn run(action: Action, evidence: Evidence) -> RunResult {
    let mut run = run_of(action, evidence);
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

/// What should be there for a decision, with everything allowed.
fn wanted(run: &RunResult) -> Desired {
    let decided = Decided {
        run: run.clone(),
        diff: DIFF.into(),
        proved: true,
    };
    let now = PullNow {
        head_sha: "a".repeat(40),
        open: true,
        ..PullNow::default()
    };
    desired(&Standing {
        pull: &pull(),
        now: &now,
        decision: Some(&decided),
        under_review: false,
        hold: Hold::Free,
        may_approve: true,
        published: &Published::default(),
        web: None,
    })
}

#[test]
fn desired_state_of_less_than_full_evidence_acts_on_nothing() {
    use Action::{ApproveAndMerge, BlockPr, ManualReview, RequestChanges};
    use Evidence::{Full, Offline, Partial};
    for (action, evidence, state) in [
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
        let desired = wanted(&run(action, evidence));
        assert_eq!(desired.gate.state, state, "{action:?} {evidence:?}");
        assert!(desired.comment.is_some());
        assert_eq!(desired.label.is_some(), evidence == Full);
        assert_eq!(desired.merge, evidence == Full && action == ApproveAndMerge);
        if evidence != Full {
            assert_eq!(desired.review, None, "{action:?} {evidence:?}");
        }
        assert_eq!(desired.remarks.len(), 1, "a finding on a changed line");
    }
    let mut cut_off = run(ApproveAndMerge, Full);
    cut_off.state = RunState::Failed;
    let desired = wanted(&cut_off);
    assert_eq!(
        (desired.gate.state, desired.label, desired.merge),
        ("error", None, false)
    );
}

#[test]
fn desired_state_without_a_decision_or_of_a_draft_is_pending_and_nothing_else() {
    let decided = Decided {
        run: run(Action::ApproveAndMerge, Evidence::Full),
        diff: String::new(),
        proved: true,
    };
    let now = PullNow {
        open: true,
        ..PullNow::default()
    };
    let draft = PullNow {
        draft: true,
        ..now.clone()
    };
    let published = Published::default();
    let standing = Standing {
        pull: &pull(),
        now: &now,
        decision: None,
        under_review: false,
        hold: Hold::Free,
        may_approve: true,
        published: &published,
        web: None,
    };
    let approved = Standing {
        decision: Some(&decided),
        ..standing
    };
    for (standing, state) in [
        (standing, "pending"),
        (
            Standing {
                under_review: true,
                ..standing
            },
            "pending",
        ),
        (
            Standing {
                now: &draft,
                ..approved
            },
            "pending",
        ),
        (
            Standing {
                hold: Hold::Waiting,
                ..approved
            },
            "pending",
        ),
        (
            Standing {
                hold: Hold::Denied,
                ..approved
            },
            "error",
        ),
    ] {
        let desired = desired(&standing);
        assert_eq!(desired.gate.state, state);
        assert_eq!(
            (desired.label, desired.review, desired.merge),
            (None, None, false)
        );
    }
    assert_eq!(desired(&approved).review, Some("APPROVE"));
    let no_right = Standing {
        may_approve: false,
        ..approved
    };
    assert_eq!(
        desired(&no_right).review,
        None,
        "it could not be taken back"
    );
}

#[test]
fn comment_outside_text_mentions_nobody_and_shows_no_image() {
    let run = run(Action::BlockPr, Evidence::Full);
    let desired = wanted(&run);
    let body = desired.comment.unwrap();
    assert!(body.starts_with(comment::MARKER));
    for never in ["@everybody", "<b>", "![img]", "http:"] {
        assert!(!body.contains(never), "{never}: {body}");
    }
    assert!(body.contains("**full: rules and models**"), "{body}");
    assert_eq!(
        body.matches("line 7").count(),
        1,
        "each finding once: {body}"
    );
    let remark = &desired.remarks[0];
    assert_eq!((remark.path.as_str(), remark.line), ("src/a.rs", 7));
    assert!(remark.body.contains(&remark.fingerprint));
    let long = RunResult {
        decision: Some(Decision {
            reason: Untrusted::new("é".repeat(400)),
            ..run.decision.clone().unwrap()
        }),
        ..run
    };
    assert_eq!(state_of(&long).description.chars().count(), 140);
}

#[test]
fn remark_outside_the_hunks_stays_in_the_comment() {
    let mut run = run(Action::RequestChanges, Evidence::Full);
    run.agents[0].findings[1].line = Some(40);
    run.agents[0].findings[1].message = Untrusted::new("elsewhere");
    let desired = wanted(&run);
    assert_eq!(desired.remarks.len(), 1);
    let text = desired.comment.unwrap();
    assert!(
        text.contains("line 40 (`") && text.contains("`): elsewhere"),
        "{text}"
    );
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
        let desired = wanted(&run);
        assert_eq!(desired.gate.state, status_word, "{line}");
        assert_eq!(desired.review.unwrap_or("none"), review, "{line}");
        assert_eq!(desired.label.unwrap_or("none"), label, "{line}");
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
