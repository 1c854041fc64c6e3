//! Findings of a diff from standard input: `git diff | cargo run -p bsm-review --example review_diff`.
#![allow(clippy::allow_attributes, clippy::print_stdout, reason = "an example")]

use bsm_review::diff::parse;
use bsm_review::redact::Redactor;
use bsm_review::scan::{ScanLimits, Scanner};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redactor = Redactor::built_in(&[], [0; 32]);
    let mut scanner = Scanner::new(&redactor, ScanLimits::default(), &|| false);
    parse(std::io::stdin().lock(), &mut scanner)?;
    let scanned = scanner.finish();
    for finding in &scanned.findings {
        let file = finding
            .file
            .as_ref()
            .map_or_else(String::new, |f| f.line(100));
        let line = finding.line.unwrap_or(0);
        println!("{:?} {file}:{line} {}", finding.severity, finding.rule);
    }
    println!("{}", scanned.coverage.summary());
    Ok(())
}
