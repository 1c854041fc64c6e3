//! reviewdog's diagnostics, one JSON object a line.

use serde_json::json;

use crate::engine::exporters::Export;
use crate::engine::exporters::Level;
use crate::engine::exporters::level;

/// Every finding that is about a file, a line each.
///
/// # Errors
/// When a value has no JSON; none here has.
pub fn rdjsonl(export: &Export<'_>) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for reported in &export.findings {
        let finding = reported.finding;
        let Some(file) = &finding.file else { continue };
        let mut diagnostic = json!({
            "message": finding.message.block(2_000),
            "location": {"path": file.line(400)},
            "severity": match level(finding.severity) {
                Level::Error => "ERROR",
                Level::Warning => "WARNING",
                Level::Note => "INFO",
            },
            "source": {"name": "bsm"},
            "code": {"value": finding.rule},
        });
        if let Some(line) = finding.line.filter(|l| *l > 0) {
            let mut range = json!({"start": {"line": line}});
            if let (Some(column), Some(end_line), Some(end_column)) =
                (finding.column, finding.end_line, finding.end_column)
            {
                // Columns there are bytes of UTF-8, as ours.
                range = json!({
                    "start": {"line": line, "column": column},
                    "end": {"line": end_line, "column": end_column},
                });
            }
            diagnostic["location"]["range"] = range;
        }
        if let (Some(suggestion), Some(line)) = (&finding.suggestion, finding.line) {
            let end = finding.end_line.unwrap_or(line);
            diagnostic["suggestions"] = json!([{
                "range": {"start": {"line": line}, "end": {"line": end}},
                "text": suggestion.raw(),
            }]);
        }
        out.push_str(&crate::text::json(&diagnostic)?);
        out.push('\n');
    }
    Ok(out)
}
