//! Each form from a run with everything odd in it.

use super::*;
use crate::engine::protocol::run::{Action, Decision, Evidence, RunState, StepStatus};
use crate::review::finding::{ChangeSize, Coverage, Source, Suppressed, SuppressedBy};
use crate::text::Untrusted;
use crate::workspace::events::Strategy;

fn finding(rule: &str, severity: Severity, file: Option<&str>, line: Option<u32>) -> Finding {
    Finding {
        line,
        file: file.map(Untrusted::from),
        excerpt: Some("x\u{1b}[2J".into()),
        fingerprint: Some("0123456789abcdef".into()),
        ..Finding::whole(
            rule,
            severity,
            "first\nsecond, with % and ::error::\u{202e}",
        )
    }
}

fn run() -> RunResult {
    use crate::engine::protocol::run::Step;
    let shared = finding(
        "security/weak-hash",
        Severity::Low,
        Some("a b:c,é.rs"),
        Some(3),
    );
    let one = Step {
        status: StepStatus::Succeeded,
        findings: vec![
            shared.clone(),
            finding("lint:clippy/needless", Severity::High, Some("b.rs"), None),
        ],
        ..Step::queued("one")
    };
    let two = Step {
        findings: vec![
            shared,
            finding("quality/large-change", Severity::Medium, None, None),
        ],
        ..one.clone()
    };
    let mut coverage = Coverage {
        files_seen: 2,
        files_total: 3,
        ..Coverage::default()
    };
    coverage.skip(&Untrusted::from("logo.png"), "binary");
    RunResult {
        schema_version: 2,
        run_id: "job_1_abc".into(),
        correlation_id: "c".into(),
        event: "pull_request.opened".into(),
        requested_event: None,
        state: RunState::Finished,
        strategy: Strategy::Parallel,
        simulated: false,
        evidence: Evidence::Offline,
        stale: false,
        coverage,
        size: ChangeSize::default(),
        documentation: crate::review::documentation::Documentation::default(),
        decision: Some(Decision {
            cause: Some(crate::engine::protocol::run::Cause::Finding),
            action: Action::RequestChanges,
            reason: "because".into(),
            rule: 4,
            automated: true,
        }),
        agents: vec![
            one,
            Step {
                agent_id: "two".into(),
                ..two
            },
        ],
        suppressed: vec![Suppressed {
            finding: Finding {
                source: Source::Rule,
                ..finding("secrets/jwt", Severity::High, Some("t.txt"), Some(1))
            },
            by: SuppressedBy::Baseline,
            reason: Some("a fixture".into()),
        }],
        report: None,
        created_at: 0,
        duration_ms: Some(1),
        notes: vec![],
    }
}

#[test]
fn sarif_holds_every_finding_once_and_what_is_not_minded() {
    let text = crate::text::json_pretty(&sarif(&Export::of_run(&run()))).unwrap();
    assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}'));
    // The field's own types, made from the standard's schema, read it.
    let log: serde_sarif::sarif::Sarif = serde_json::from_str(&text).unwrap();
    let run = &log.runs[0];
    let results = run.results.as_ref().unwrap();
    assert_eq!(results.len(), 4);
    assert_eq!(
        results.iter().filter(|r| r.suppressions.is_some()).count(),
        1
    );
    let rules = run.tool.driver.rules.as_ref().unwrap();
    for result in results {
        let index = usize::try_from(result.rule_index.unwrap()).unwrap();
        assert_eq!(Some(&rules[index].id), result.rule_id.as_ref());
    }
    let value = sarif(&Export::of_run(&self::run()));
    let shared = &value["runs"][0]["results"][2];
    assert_eq!(
        shared["properties"]["agents"],
        serde_json::json!(["one", "two"])
    );
    assert_eq!(
        shared["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "a%20b%3Ac,%C3%A9.rs"
    );
}

#[test]
fn rdjsonl_is_read_back_by_our_own_reader() {
    let text = rdjsonl(&Export::of_run(&run())).unwrap();
    assert_eq!(
        text.lines().count(),
        2,
        "a finding about no file has no place here"
    );
    let redactor = crate::review::redact::Redactor::built_in(&[], [1; 32]);
    let read = crate::review::linters::read(
        text.as_bytes(),
        crate::review::finding::FilterMode::All,
        &crate::review::changed_lines::Touched::default(),
        &redactor,
    )
    .unwrap();
    assert_eq!(read.findings[0].0.severity, Severity::High);
    assert_eq!(read.findings[0].0.rule, "lint:bsm/lint-clippy-needless");
    assert_eq!(read.findings[1].0.line, Some(3));
}

#[test]
fn annotations_are_lines_that_nothing_outside_can_break() {
    let text = annotations(&Export::of_run(&run()));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(
        lines[0].starts_with(
            "::error file=b.rs,title=lint%3Aclippy/needless::first%0Asecond, with %25"
        )
    );
    assert!(lines[2].contains("file=a b%3Ac%2Cé.rs,line=3"));
    assert_eq!(
        lines[3],
        "::warning file=logo.png,title=not reviewed::binary"
    );
    assert!(lines[4].contains("request_changes (finding): because; files reviewed: 2 of 3"));
}

#[test]
fn sarif_has_what_code_scanning_asks_of_it() {
    let mut run = run();
    // A finding about nothing in particular, one of a model, one with columns; more than are shown.
    run.coverage.first_file = Some("first.rs".into());
    let step = &mut run.agents[0];
    step.findings.push(Finding {
        source: Source::Model,
        ..Finding::whole("model/comment", Severity::High, "")
    });
    step.findings.push(Finding {
        column: Some(5),
        end_line: Some(3),
        end_column: Some(9),
        utf16_columns: Some((4, 8)),
        ..finding("security/weak-hash", Severity::Low, Some("é.rs"), Some(3))
    });
    let small = sarif(&Export::of_run(&run));
    for number in 0..5_100u32 {
        run.agents[0].findings.push(Finding {
            line: Some(number + 1),
            ..finding("quality/unfinished", Severity::Info, Some("x.rs"), None)
        });
    }
    let large = sarif(&Export::of_run(&run));
    for log in [&small, &large] {
        let one = &log["runs"][0];
        let rules = one["tool"]["driver"]["rules"].as_array().unwrap();
        for rule in rules {
            for key in ["shortDescription", "fullDescription", "help"] {
                assert!(
                    !rule[key]["text"].as_str().unwrap().trim().is_empty(),
                    "{rule}"
                );
            }
            let tags = rule["properties"]["tags"].as_array().unwrap();
            let unique: std::collections::BTreeSet<_> =
                tags.iter().map(ToString::to_string).collect();
            assert!(tags.len() == unique.len() && tags.len() <= 10, "{rule}");
        }
        let results = one["results"].as_array().unwrap();
        assert!(results.len() <= 5_000);
        for result in results {
            let place = &result["locations"][0]["physicalLocation"];
            assert!(
                !place["artifactLocation"]["uri"]
                    .as_str()
                    .unwrap()
                    .is_empty(),
                "{result}"
            );
            assert!(
                place["region"]["startLine"].as_u64().unwrap() >= 1,
                "{result}"
            );
            assert!(
                !result["message"]["text"]
                    .as_str()
                    .unwrap()
                    .trim()
                    .is_empty(),
                "{result}"
            );
            assert!(result["partialFingerprints"]["primaryLocationLineHash"].is_string());
            assert!(result["ruleIndex"].as_u64().unwrap() < rules.len() as u64);
        }
        assert!(
            one["automationDetails"]["id"]
                .as_str()
                .unwrap()
                .starts_with("bsm/pull_request.opened/")
        );
    }
    let columns = small["runs"][0]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["locations"][0]["physicalLocation"]["region"])
        .find(|r| r["startColumn"].is_u64())
        .unwrap();
    assert_eq!(
        (&columns["startColumn"], &columns["endColumn"]),
        (&4.into(), &8.into())
    );
    let notes = large["runs"][0]["invocations"][0]["toolExecutionNotifications"].to_string();
    assert!(notes.contains("results are left out"), "{notes}");
}

#[test]
fn junit_and_code_quality_are_well_formed_and_name_what_was_not_reviewed() {
    let run = run();
    let export = Export::of_run(&run);
    let xml = junit(&export);
    for (mark, count) in [("<testcase ", 5), ("<failure ", 5), ("</testsuites>", 1)] {
        assert_eq!(xml.matches(mark).count(), count, "{mark}: {xml}");
    }
    assert!(xml.contains("not reviewed: binary") && xml.contains("decision: request_changes"));
    assert!(!xml.contains('\u{1b}') && !xml.contains("& "), "{xml}");
    let list = code_quality(&export);
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 4);
    for entry in list {
        for key in ["description", "check_name", "fingerprint", "severity"] {
            assert!(
                entry[key].as_str().is_some_and(|v| !v.is_empty()),
                "{entry}"
            );
        }
        assert!(entry["location"]["lines"]["begin"].as_u64().unwrap() >= 1);
    }
    assert_eq!(list[3]["check_name"], "bsm/not-reviewed");
}

#[test]
fn azure_issues_are_one_command_each_whatever_is_in_them() {
    let mut run = run();
    run.agents[0].findings.push(finding(
        "x/y",
        Severity::High,
        Some("a;b]###vso[task.complete]%.rs"),
        Some(7),
    ));
    let lines = azure_issues(&Export::of_run(&run));
    assert!(
        lines.iter().all(|l| l.matches("##").count() == 1),
        "{lines:?}"
    );
    assert!(!lines.iter().any(|l| l.contains('\n')), "{lines:?}");
    let wanted = "##vso[task.logissue type=error;sourcepath=a%3Bb%5D# # #vso[task.complete%5D%AZP25.rs;linenumber=7;code=x/y]first";
    assert!(lines.iter().any(|l| l.starts_with(wanted)), "{lines:?}");
    // What is low has no place there; what was not reviewed has.
    assert!(!lines.iter().any(|l| l.contains("weak-hash")));
    assert!(lines.iter().any(|l| l.ends_with("]not reviewed: binary")));
}
