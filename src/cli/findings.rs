//! What a scan found, as lines for people: the same from `bsm scan` and `bsm rules test`.

use super::runs::place;
use crate::cli::output::say;
use crate::review::finding::Finding;
use crate::review::scan::Scanned;
use crate::text::{clean_line, cut};

/// Findings, and files that were not reviewed.
pub(super) fn print(scanned: &Scanned) {
    for finding in &scanned.findings {
        print_finding(finding);
    }
    for skipped in scanned.coverage.skipped.iter().take(20) {
        say(format!(
            "not reviewed: {} ({})",
            skipped.path.line(160),
            clean_line(&skipped.reason, 120)
        ));
    }
}

fn print_finding(finding: &Finding) {
    let commit = finding.commit.as_deref().map_or_else(String::new, |c| {
        format!("  in {}", clean_line(cut(c, 10), 10))
    });
    say(format!(
        "{:<9} {:<36} {}{commit}",
        finding.severity.as_str(),
        clean_line(&finding.rule, 60),
        place(finding)
    ));
    let excerpt = finding.excerpt.as_ref().filter(|e| !e.raw().is_empty());
    let text = excerpt.map_or_else(|| finding.message.line(200), |e| e.line(160));
    say(format!("          {text}"));
}

/// `, 3 accepted`, or nothing.
pub(super) fn accepted(scanned: &Scanned) -> String {
    match scanned.suppressed.len() {
        0 => String::new(),
        n => format!(", {n} accepted"),
    }
}
