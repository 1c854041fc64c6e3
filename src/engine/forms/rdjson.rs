//! reviewdog's diagnostics, one JSON object a line.

use serde_json::json;

use super::super::types::run::RunResult;
use super::{Step, step, told};

/// Every finding that is about a file, a line each.
///
/// # Errors
/// When a value has no JSON; none here has.
pub fn rdjsonl(run: &RunResult) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for told in told(run) {
        let finding = told.finding;
        let Some(file) = &finding.file else { continue };
        let mut diagnostic = json!({
            "message": finding.message.block(2_000),
            "location": {"path": file.line(400)},
            "severity": match step(finding.severity) {
                Step::Error => "ERROR",
                Step::Warning => "WARNING",
                Step::Note => "INFO",
            },
            "source": {"name": "bsm"},
            "code": {"value": finding.rule},
        });
        if let Some(line) = finding.line.filter(|l| *l > 0) {
            diagnostic["location"]["range"] = json!({"start": {"line": line}});
        }
        out.push_str(&crate::text::json(&diagnostic)?);
        out.push('\n');
    }
    Ok(out)
}
