//! Lines that Azure Pipelines' agent turns into errors and warnings of a task.

use crate::engine::exporters::{Export, Level, apart, level};
use crate::text::clean_line;

/// The agent shows no more than ten of a kind; more are not worth printing.
const MOST: usize = 20;

/// A logging command for each finding of medium weight or more, the worst first, and for each file that was not
/// reviewed.
pub fn azure_issues(export: &Export<'_>) -> Vec<String> {
    let findings = export.findings.iter().filter_map(|reported| {
        let finding = reported.finding;
        let kind = match level(finding.severity) {
            Level::Error => "error",
            Level::Warning => "warning",
            // The agent knows no third kind.
            Level::Note => return None,
        };
        let mut properties = format!("type={kind}");
        if let Some(file) = &finding.file {
            properties.push_str(&format!(";sourcepath={}", property(&file.line(400))));
        }
        if let Some(line) = finding.line {
            properties.push_str(&format!(";linenumber={line}"));
        }
        if let Some(column) = finding.column {
            properties.push_str(&format!(";columnnumber={column}"));
        }
        let code = property(&clean_line(&finding.rule, 120));
        let message = azure_data(&finding.message.line(1_000));
        Some(format!(
            "##vso[task.logissue {properties};code={code}]{message}"
        ))
    });
    let unread = export.coverage.skipped.iter().map(|skipped| {
        let path = property(&skipped.path.line(400));
        let reason = azure_data(&clean_line(&skipped.reason, 300));
        format!("##vso[task.logissue type=warning;sourcepath={path}]not reviewed: {reason}")
    });
    findings.take(MOST).chain(unread.take(MOST)).collect()
}

/// A value behind a logging command. A runner looks for one command a line; this way there is no second.
pub fn azure_data(text: &str) -> String {
    apart(text)
        .replace('%', "%AZP25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    azure_data(text).replace(';', "%3B").replace(']', "%5D")
}
