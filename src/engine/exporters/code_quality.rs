//! GitLab's Code Quality report: a JSON list of findings, shown in a merge request.

use serde_json::{Value, json};

use crate::engine::exporters::Export;
use crate::review::finding::Severity;
use crate::text::clean_line;

/// Every finding, and every file that was not reviewed.
pub fn code_quality(export: &Export<'_>) -> Value {
    let any = export.any_file();
    let findings = export.findings.iter().map(|reported| {
        let finding = reported.finding;
        let file = finding.file.as_ref().unwrap_or(&any);
        json!({
            "description": finding.message.line(1_000),
            "check_name": finding.rule,
            "fingerprint": crate::engine::exporters::sarif::identity(finding),
            "severity": match finding.severity {
                Severity::Critical => "blocker",
                Severity::High => "critical",
                Severity::Medium => "major",
                Severity::Low => "minor",
                Severity::Info => "info",
            },
            "location": {
                "path": file.line(400),
                "lines": {"begin": finding.line.filter(|l| *l > 0).unwrap_or(1)},
            },
        })
    });
    let unread = export.coverage.skipped.iter().map(|skipped| {
        let path = skipped.path.line(400);
        json!({
            "description": format!("not reviewed: {}", clean_line(&skipped.reason, 300)),
            "check_name": "bsm/not-reviewed",
            "fingerprint": crate::state::short_hash(format!("bsm/not-reviewed\0{path}").as_bytes()),
            "severity": "major",
            "location": {"path": path, "lines": {"begin": 1}},
        })
    });
    findings.chain(unread).collect()
}
