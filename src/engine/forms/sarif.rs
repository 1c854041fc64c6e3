//! SARIF 2.1.0 (OASIS): what code hosts and editors show.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::types::run::{Action, RunResult, RunState};
use super::{Step, step, told};
use crate::review::finding::{Finding, Severity, Source, Suppressed, SuppressedBy};
use crate::review::packs;

/// The run as a SARIF log with one run.
pub fn sarif(run: &RunResult) -> Value {
    let told = told(run);
    let suppressed = run.suppressed.iter().map(|s| &s.finding);
    let mut rules: BTreeMap<&str, usize> = told
        .iter()
        .map(|t| t.finding)
        .chain(suppressed)
        .map(|f| (f.rule.as_str(), 0))
        .collect();
    for (index, place) in rules.values_mut().enumerate() {
        *place = index;
    }
    let mut results: Vec<Value> = told
        .iter()
        .map(|t| {
            let mut result = result(t.finding, &rules);
            result["properties"]["agents"] = json!(t.agents);
            result
        })
        .collect();
    results.extend(run.suppressed.iter().map(|s| silenced(s, &rules)));
    let decision = run.decision.as_ref();
    let skipped: Vec<Value> = run
        .coverage
        .skipped
        .iter()
        .map(|s| {
            json!({
                "level": "warning",
                "message": {"text": format!("not looked at: {}", crate::text::clean_line(&s.reason, 200))},
                "locations": [{"physicalLocation": {"artifactLocation": place(s.path.raw())}}],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "bsm",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.keys().map(|id| rule(id)).collect::<Vec<_>>(),
            }},
            "automationDetails": {
                "id": format!("bsm/{}/{}", crate::text::clean_line(&run.event, 80), run.run_id),
            },
            "invocations": [{
                "executionSuccessful": run.state == RunState::Finished,
                "exitCode": decision.map_or(1, |d| d.action.exit_code()),
                "toolExecutionNotifications": skipped,
            }],
            "columnKind": "utf16CodeUnits",
            "results": results,
            "properties": {
                "decision": decision.map(|d| d.action.word()),
                "reason": decision.map(|d| d.reason.line(400)),
                "approved": decision.is_some_and(|d| matches!(d.action, Action::ApproveAndMerge | Action::Pass)),
                "evidence": run.evidence.word(),
                "coverage": run.coverage.words(),
                "simulated": run.simulated,
            },
        }],
    })
}

fn rule(id: &str) -> Value {
    let Some(rule) = packs::built_in().rule(id) else {
        return json!({"id": id});
    };
    let docs = &rule.docs;
    let pack = id.split('/').next().unwrap_or_default();
    let mut described = json!({
        "id": id,
        "shortDescription": {"text": docs.title()},
        "fullDescription": {"text": format!("{}. {}", docs.title().trim_end_matches('.'), docs.why)},
        "help": {"text": docs.help},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": [pack]},
    });
    if matches!(
        pack,
        "secrets" | "security" | "supply-chain" | "hidden-text"
    ) {
        // By this code hosts take a rule for one about security, and sort it: 0 to 10.
        described["properties"]["security-severity"] = json!(score(rule.severity));
    }
    described
}

fn result(finding: &Finding, rules: &BTreeMap<&str, usize>) -> Value {
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": rules.get(finding.rule.as_str()),
        "level": level(finding.severity),
        "message": {"text": finding.message.block(2_000)},
        "properties": {
            "severity": finding.severity.word(),
            "source": match finding.source {
                Source::Rule => "rule",
                Source::Model => "model",
            },
        },
    });
    if let Some(file) = &finding.file {
        let mut physical = json!({"artifactLocation": place(file.raw())});
        if let Some(line) = finding.line.filter(|l| *l > 0) {
            physical["region"] = json!({"startLine": line});
            if let Some(excerpt) = &finding.excerpt {
                physical["region"]["snippet"] = json!({"text": excerpt.line(200)});
            }
        }
        result["locations"] = json!([{"physicalLocation": physical}]);
    }
    let fingerprint = finding.fingerprint.clone().unwrap_or_else(|| {
        let file = finding.file.as_ref().map_or("", |f| f.raw());
        let of = format!("{}\0{file}\0{}", finding.rule, finding.message.raw());
        crate::state::short_hash(of.as_bytes())
    });
    result["partialFingerprints"] = json!({"bsm/v1": fingerprint});
    result
}

fn silenced(suppressed: &Suppressed, rules: &BTreeMap<&str, usize>) -> Value {
    let mut result = result(&suppressed.finding, rules);
    let mut suppression = json!({
        "kind": match suppressed.by {
            SuppressedBy::Inline | SuppressedBy::Standing => "inSource",
            SuppressedBy::Baseline => "external",
        },
    });
    if let Some(reason) = &suppressed.reason {
        suppression["justification"] = json!(reason.line(200));
    }
    result["suppressions"] = json!([suppression]);
    result
}

/// A path as a relative URI.
fn place(path: &str) -> Value {
    use std::fmt::Write as _;
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@+,=!$'()*".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    json!({"uri": uri, "uriBaseId": "%SRCROOT%"})
}

fn level(severity: Severity) -> &'static str {
    match step(severity) {
        Step::Error => "error",
        Step::Warning => "warning",
        Step::Note => "note",
    }
}

fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Info => "1.0",
    }
}
