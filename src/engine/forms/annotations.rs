//! Lines that GitHub's runners turn into annotations of a pull request's files.

use super::super::types::run::RunResult;
use super::{Step, step, told};

/// GitHub shows no more than ten of a kind from one step; more are not worth printing.
const MOST: usize = 50;
/// So that one rule does not take the places of all others.
const MOST_OF_A_RULE: usize = 5;

/// A workflow command for each finding, the worst first, and one for the decision.
pub fn annotations(run: &RunResult) -> String {
    let mut out = String::new();
    let told = told(run);
    let mut of_rule = std::collections::HashMap::new();
    let mut shown = 0;
    for told in &told {
        let finding = told.finding;
        let count: &mut usize = of_rule.entry(finding.rule.as_str()).or_default();
        *count += 1;
        if *count > MOST_OF_A_RULE || shown == MOST {
            continue;
        }
        shown += 1;
        let kind = match step(finding.severity) {
            Step::Error => "error",
            Step::Warning => "warning",
            Step::Note => "notice",
        };
        let mut properties = Vec::new();
        if let Some(file) = &finding.file {
            properties.push(format!("file={}", property(&file.line(400))));
        }
        if let Some(line) = finding.line {
            properties.push(format!("line={line}"));
        }
        properties.push(format!(
            "title={}",
            property(&crate::text::clean_line(&finding.rule, 120))
        ));
        let message = data(&finding.message.block(1_000));
        out.push_str(&format!("::{kind} {}::{message}\n", properties.join(",")));
    }
    if told.len() > shown {
        out.push_str(&format!("::notice::{} more findings\n", told.len() - shown));
    }
    if let Some(decision) = &run.decision {
        let text = format!(
            "{}: {} ({})",
            decision.action.word(),
            decision.reason.line(400),
            run.coverage.words()
        );
        out.push_str(&format!("::notice title=bsm::{}\n", data(&text)));
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
