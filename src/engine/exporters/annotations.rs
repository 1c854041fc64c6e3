//! Lines that GitHub's runners turn into annotations of a pull request's files.

use crate::engine::exporters::Export;
use crate::engine::exporters::Level;
use crate::engine::exporters::apart;
use crate::engine::exporters::level;

/// GitHub shows no more than ten of a kind from one step; more are not worth printing.
const MOST: usize = 50;
/// So that one rule does not take the places of all others.
const MOST_OF_A_RULE: usize = 5;
/// Files that were not reviewed, a line each.
const MOST_UNREAD: usize = 10;

/// A workflow command for each finding, the worst first, one for each file that was not reviewed, and one for
/// the decision.
pub fn annotations(export: &Export<'_>) -> String {
    let mut out = String::new();
    let mut of_rule = std::collections::HashMap::new();
    let mut shown = 0;
    for reported in &export.findings {
        let finding = reported.finding;
        let count: &mut usize = of_rule.entry(finding.rule.as_str()).or_default();
        *count += 1;
        if *count > MOST_OF_A_RULE || shown == MOST {
            continue;
        }
        shown += 1;
        let kind = match level(finding.severity) {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        let mut properties = Vec::new();
        if let Some(file) = &finding.file {
            properties.push(format!("file={}", property(&file.line(400))));
        }
        if let Some(line) = finding.line {
            properties.push(format!("line={line}"));
        }
        if let (Some(line), Some(end)) = (finding.line, finding.end_line)
            && end > line
        {
            properties.push(format!("endLine={end}"));
        }
        properties.push(format!(
            "title={}",
            property(&crate::text::clean_line(&finding.rule, 120))
        ));
        let message = data(&finding.message.block(1_000));
        out.push_str(&format!("::{kind} {}::{message}\n", properties.join(",")));
    }
    if export.findings.len() > shown {
        let more = export.findings.len() - shown;
        out.push_str(&format!("::notice::{more} more findings\n"));
    }
    for skipped in export.coverage.skipped.iter().take(MOST_UNREAD) {
        let (path, reason) = (
            property(&skipped.path.line(400)),
            data(&crate::text::clean_line(&skipped.reason, 300)),
        );
        out.push_str(&format!(
            "::warning file={path},title=not reviewed::{reason}\n"
        ));
    }
    let words = export.coverage.summary();
    let text = match &export.run {
        Some((_, Some(decision), ..)) => format!(
            "{} ({}): {}; {words}",
            decision.action.as_str(),
            decision.cause_word(),
            decision.reason.line(400)
        ),
        _ => words,
    };
    out.push_str(&format!("::notice title=bsm::{}\n", data(&text)));
    out
}

/// A runner also takes `##[...]` from within a line; this way there is none.
fn data(text: &str) -> String {
    apart(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
