//! SARIF 2.1.0 (OASIS), as GitHub's code scanning accepts it whole: every result has a location, every rule
//! its texts, and what is left out is said.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::engine::exporters::Export;
use crate::engine::exporters::Level;
use crate::review::finding::{Finding, Severity, Source, Suppressed, SuppressedBy};
use crate::review::packs;
use crate::text::{Untrusted, clean_line};

/// Results that code scanning shows of one run.
const MOST_RESULTS: usize = 5_000;
/// Notes about files that were not reviewed.
const MOST_NOTES: usize = 500;

/// A SARIF log with one run.
pub fn sarif(export: &Export<'_>) -> Value {
    let any = export.any_file();
    let listed = || export.findings.iter().take(MOST_RESULTS);
    let suppressed = || {
        let room = MOST_RESULTS.saturating_sub(export.findings.len());
        export.suppressed.iter().take(room)
    };
    let mut rules: BTreeMap<&str, usize> = listed()
        .map(|r| r.finding)
        .chain(suppressed().map(|s| &s.finding))
        .map(|f| (f.rule.as_str(), 0))
        .collect();
    for (index, place) in rules.values_mut().enumerate() {
        *place = index;
    }
    let mut results: Vec<Value> = listed()
        .map(|r| {
            let mut result = result(r.finding, &rules, &any);
            if !r.agents.is_empty() {
                result["properties"]["agents"] = json!(r.agents);
            }
            result
        })
        .collect();
    results.extend(suppressed().map(|s| silenced(s, &rules, &any)));
    let left_out = export.findings.len() + export.suppressed.len() - results.len();
    let mut run = json!({
        "tool": {"driver": {
            "name": "bsm",
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules.keys().map(|id| rule(id)).collect::<Vec<_>>(),
        }},
        // The last part tells runs of one category apart.
        "automationDetails": {"id": format!("bsm/{}/{}", export.category, export.run.map_or("", |r| r.0))},
        "invocations": [{
            "executionSuccessful": export.complete,
            "exitCode": export.exit_code,
            "toolExecutionNotifications": notifications(export, left_out),
        }],
        "columnKind": "utf16CodeUnits",
        "results": results,
        "properties": {
            "coverage": export.coverage.summary(),
        },
    });
    if let Some((_, decision, evidence, simulated)) = export.run {
        run["properties"] = json!({
            "decision": decision.map(|d| d.action.as_str()),
            "cause": decision.map(crate::engine::protocol::run::Decision::cause_word),
            "reason": decision.map(|d| d.reason.line(400)),
            "approved": decision.is_some_and(|d| d.action.exit_code() == 0),
            "evidence": evidence.as_str(),
            "coverage": export.coverage.summary(),
            "simulated": simulated,
        });
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    })
}

/// What was not reviewed, and what is not listed.
fn notifications(export: &Export<'_>, left_out: usize) -> Vec<Value> {
    let skipped = &export.coverage.skipped;
    let mut notes: Vec<Value> = skipped
        .iter()
        .take(MOST_NOTES)
        .map(|s| {
            json!({
                "level": "warning",
                "message": {"text": format!("not reviewed: {}", clean_line(&s.reason, 200))},
                "locations": [{"physicalLocation": {"artifactLocation": place(s.path.raw())}}],
            })
        })
        .collect();
    let more = skipped.len().saturating_sub(MOST_NOTES) + export.coverage.skipped_more as usize;
    for (count, what) in [
        (more, "more files were not reviewed"),
        (
            left_out,
            "results are left out: more than code scanning shows",
        ),
    ] {
        if count > 0 {
            notes.push(json!({"level": "warning", "message": {"text": format!("{count} {what}")}}));
        }
    }
    notes
}

fn rule(id: &str) -> Value {
    let pack = id.split(['/', ':']).next().unwrap_or_default();
    let built_in = packs::built_in().rule(id);
    let (title, why, help, severity) = match built_in {
        Some(rule) => {
            let docs = &rule.docs;
            (
                docs.title(),
                docs.why.as_str(),
                docs.help.as_str(),
                rule.severity,
            )
        }
        None if id.starts_with("model/") => (
            "A remark of a model.",
            "A language model that reviewed the change says so.",
            "Look at the place that it names.",
            Severity::Medium,
        ),
        None => (
            "A finding of another tool or of a rule of the workspace.",
            "What it means stands in its message.",
            "See the documentation of the tool that the rule's id names.",
            Severity::Medium,
        ),
    };
    let or = |text: &str, other: &str| {
        if text.is_empty() {
            other.to_owned()
        } else {
            text.to_owned()
        }
    };
    let mut described = json!({
        "id": id,
        "shortDescription": {"text": title},
        "fullDescription": {"text": format!("{}. {why}", title.trim_end_matches('.')).trim_end()},
        "help": {"text": or(help, "Look at the place, and decide.")},
        "defaultConfiguration": {"level": word(severity)},
        "properties": {"tags": [pack]},
    });
    if matches!(
        pack,
        "secrets" | "security" | "supply-chain" | "hidden-text"
    ) {
        // By this code hosts take a rule for one about security, and sort it: 0 to 10.
        described["properties"]["tags"] = if pack == "security" {
            json!([pack])
        } else {
            json!([pack, "security"])
        };
        described["properties"]["security-severity"] = json!(score(severity));
    }
    described
}

fn result(finding: &Finding, rules: &BTreeMap<&str, usize>, any: &Untrusted) -> Value {
    let file = finding.file.as_ref().unwrap_or(any);
    let mut region = json!({"startLine": finding.line.filter(|l| *l > 0).unwrap_or(1)});
    if let (Some(column), Some(end_line), Some(end_column)) =
        (finding.column, finding.end_line, finding.end_column)
    {
        let (column, end_column) = finding.utf16_columns.unwrap_or((column, end_column));
        region["startColumn"] = json!(column);
        region["endLine"] = json!(end_line);
        region["endColumn"] = json!(end_column);
    }
    if let Some(excerpt) = finding.excerpt.as_ref().filter(|e| !e.is_empty()) {
        region["snippet"] = json!({"text": excerpt.line(200)});
    }
    let identity = identity(finding);
    let message = finding.message.block(2_000);
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": rules.get(finding.rule.as_str()),
        "level": word(finding.severity),
        "message": {"text": if message.trim().is_empty() { finding.rule.clone() } else { message }},
        "locations": [{"physicalLocation": {"artifactLocation": place(file.raw()), "region": region}}],
        "partialFingerprints": {"primaryLocationLineHash": identity, "bsm/v2": identity},
        "properties": {
            "severity": finding.severity.as_str(),
            "source": match finding.source {
                Source::Rule => "rule",
                Source::Model => "model",
            },
        },
    });
    if let (Some(suggestion), Some(line)) = (&finding.suggestion, finding.line) {
        let end = finding.end_line.unwrap_or(line);
        // The whole lines: from the first character of the first to the end of the last.
        result["fixes"] = json!([{
            "description": {"text": "Replace the line."},
            "artifactChanges": [{
                "artifactLocation": place(file.raw()),
                "replacements": [{
                    "deletedRegion": {"startLine": line, "endLine": end},
                    "insertedContent": {"text": suggestion.raw()},
                }],
            }],
        }]);
    }
    result
}

/// The same on every machine; of a model's remark, made of its words.
pub(super) fn identity(finding: &Finding) -> String {
    finding.identity.clone().unwrap_or_else(|| {
        let file = finding.file.as_ref().map_or("", |f| f.raw());
        let of = format!("{}\0{file}\0{}", finding.rule, finding.message.raw());
        crate::state::short_hash(of.as_bytes())
    })
}

fn silenced(suppressed: &Suppressed, rules: &BTreeMap<&str, usize>, any: &Untrusted) -> Value {
    let mut result = result(&suppressed.finding, rules, any);
    let mut suppression = json!({
        "kind": match suppressed.by {
            SuppressedBy::Inline | SuppressedBy::Standing => "inSource",
            SuppressedBy::Baseline | SuppressedBy::Dismissed => "external",
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
    for byte in path.trim_start_matches('/').bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@+,=!$'()*".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    json!({"uri": uri, "uriBaseId": "%SRCROOT%"})
}

fn word(severity: Severity) -> &'static str {
    match crate::engine::exporters::level(severity) {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
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
