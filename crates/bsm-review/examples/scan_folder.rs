//! Findings of a folder, one JSON object a line: `cargo run -p bsm-review --example scan_folder -- DIR`.
//! `benches/` measures with it, so it lists everything that is found.
#![allow(
    clippy::allow_attributes,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example"
)]

use std::path::PathBuf;

use bsm_review::folder;
use bsm_review::redact::Redactor;
use bsm_review::scan::{ScanLimits, Scanner};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    let redactor = Redactor::built_in(&[], [0; 32]);
    let limits = ScanLimits {
        kept_bytes: 0,
        findings: 1_000_000,
        ..ScanLimits::default()
    };
    let scanned = folder::scan(&dir, Scanner::new(&redactor, limits, &|| false))?;
    for finding in &scanned.findings {
        let file = finding.file.as_ref().map_or("", |f| f.raw());
        let place = serde_json::json!({
            "path": file,
            "line": finding.line,
            "endLine": finding.end_line,
            "rule": finding.rule,
            "severity": finding.severity,
        });
        println!("{place}");
    }
    eprintln!("{}", scanned.coverage.summary());
    Ok(())
}
