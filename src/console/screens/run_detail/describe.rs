//! All fields of a run in lines: what it is about first, then every field of its document, those of a part indented
//! below its name.

use serde_json::Value;

use crate::console::format::Zone;
use crate::engine::protocol::run::RunResult;
use crate::engine::protocol::snapshot::RunSummary;
use crate::text::{Untrusted, clean_line};

/// Characters of one value that are shown; the JSON has all of it.
const LONGEST: usize = 4_000;
/// Columns of a field's name.
const NAME: usize = 22;
/// What stands for a field that nobody knows.
const UNKNOWN: &str = "-";

/// The lines; `entry`: what lists know of the run.
pub(super) fn lines(run: &RunResult, entry: Option<&RunSummary>, zone: Zone) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(entry) = entry {
        about(entry, &mut out);
    }
    match serde_json::to_value(run) {
        Ok(value) => fields(&value, 0, zone, &mut out),
        Err(error) => out.push(format!("the run cannot be written: {error}")),
    }
    out
}

/// What the run is about.
fn about(entry: &RunSummary, out: &mut Vec<String>) {
    let text = |t: Option<&Untrusted>| t.map_or_else(|| UNKNOWN.to_owned(), |t| t.line(LONGEST));
    let known = |t: Option<&String>| t.map_or_else(|| UNKNOWN.to_owned(), |t| clean_line(t, 200));
    let i = entry.identity.clone().unwrap_or_default();
    let pull = i.pull.map_or_else(|| UNKNOWN.to_owned(), |n| n.to_string());
    out.push("about".to_owned());
    for (name, value) in [
        ("repository", text(i.repository.as_ref())),
        ("pull request", pull),
        ("title", text(i.title.as_ref().or(entry.title.as_ref()))),
        ("author", text(i.author.as_ref())),
        ("branch", text(i.branch.as_ref())),
        ("commit", known(i.head_sha.as_ref())),
        ("started by", known(i.started_by.as_ref())),
        ("why", text(entry.why.as_ref())),
    ] {
        put(1, name, &value, out);
    }
}

/// `camelCase` as words.
fn words(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push(' ');
        }
        out.push(c.to_ascii_lowercase());
    }
    clean_line(&out, 60)
}

fn put(depth: usize, name: &str, value: &str, out: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let mut rows = value.lines();
    let first = rows.next().unwrap_or_default();
    let width = NAME.saturating_sub(indent.len());
    let line = format!("{indent}{name:<width$} {}", clean_line(first, LONGEST));
    out.push(line.trim_end().to_owned());
    for row in rows {
        let line = format!("{:NAME$} {}", "", clean_line(row, LONGEST));
        out.push(line.trim_end().to_owned());
    }
}

/// A value in words; `None`: it has parts.
fn scalar(name: &str, value: &Value, zone: Zone) -> Option<String> {
    match value {
        Value::Null => Some(UNKNOWN.to_owned()),
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        Value::Number(n) => Some(match n.as_i64() {
            Some(ms) if name.ends_with("At") || name.ends_with("AtMs") => {
                let at = zone.at(ms).strftime("%Y-%m-%d %H:%M:%S");
                format!("{at} ({ms})")
            }
            _ if name.ends_with("Ms") => format!("{n} ms"),
            _ => n.to_string(),
        }),
        Value::String(text) if text.is_empty() => Some("(empty)".to_owned()),
        Value::String(text) => Some(text.clone()),
        Value::Array(all) if all.is_empty() => Some("none".to_owned()),
        Value::Array(all) if all.iter().all(|v| !v.is_object() && !v.is_array()) => {
            let each = all.iter().filter_map(|v| scalar(name, v, zone));
            Some(each.collect::<Vec<_>>().join(", "))
        }
        Value::Object(all) if all.is_empty() => Some("none".to_owned()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn fields(value: &Value, depth: usize, zone: Zone, out: &mut Vec<String>) {
    let Value::Object(all) = value else {
        return;
    };
    for (name, value) in all {
        if let Some(text) = scalar(name, value, zone) {
            put(depth, &words(name), &text, out);
            continue;
        }
        let indent = "  ".repeat(depth);
        let Value::Array(items) = value else {
            out.push(format!("{indent}{}", words(name)));
            fields(value, depth + 1, zone, out);
            continue;
        };
        for (n, item) in items.iter().enumerate() {
            out.push(format!(
                "{indent}{} {} of {}",
                words(name),
                n + 1,
                items.len()
            ));
            match scalar(name, item, zone) {
                Some(text) => put(depth + 1, "", &text, out),
                None => fields(item, depth + 1, zone, out),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_line_and_no_text_leaves_its_own() {
        let value = serde_json::json!({
            "runId": "job_1", "createdAt": 1_795_269_720_000_i64, "durationMs": 412,
            "report": null, "stale": false, "notes": [],
            "agents": [{"agentId": "a", "said": "one\ntwo\u{1b}[2J"}],
        });
        let mut out = Vec::new();
        fields(&value, 0, Zone::Utc, &mut out);
        let text = out.join("\n");
        for wanted in [
            "run id                 job_1",
            "created at             2026-11-21 14:02:00 (1795269720000)",
            "duration ms            412 ms",
            "report                 -",
            "stale                  no",
            "notes                  none",
            "agents 1 of 1",
            "  agent id             a",
            "  said                 one",
            "                       two",
        ] {
            assert!(text.contains(wanted), "'{wanted}' in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
