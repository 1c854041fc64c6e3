//! One agent's verdict: what the rules say, what the model's answer says, and the stricter of both.
//!
//! Why so strict about form: the first implementation searched the model's prose for words and merged
//! on "request_changes" in lower case. Here an answer is a JSON object with a known decision, or it is
//! missing evidence. Extraction is lenient (a fence, a reasoning block), validation is not: what is not of the
//! form is never read as something milder.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use super::finding::{Finding, Severity, Source};
use super::pattern::constant;
use bsm_base::text::Untrusted;

/// What an agent concludes; the order is the order of strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing against it.
    Approve,
    /// A person should look.
    Comment,
    /// Must be changed.
    RequestChanges,
    /// Must not be merged.
    Block,
}

impl Verdict {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Comment => "comment",
            Self::RequestChanges => "request_changes",
            Self::Block => "block",
        }
    }
}

/// The verdict of the rules alone: the worst finding decides.
pub fn of_findings(findings: &[Finding]) -> Verdict {
    match findings.iter().map(|f| f.severity).max() {
        Some(Severity::Critical) => Verdict::Block,
        Some(Severity::High) => Verdict::RequestChanges,
        Some(Severity::Medium) => Verdict::Comment,
        Some(Severity::Low | Severity::Info) | None => Verdict::Approve,
    }
}

/// A model's answer, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelVerdict {
    /// What it concludes.
    pub verdict: Verdict,
    /// Its score, 0 to 100, if it gave one.
    pub score: Option<f64>,
    /// Its comments as findings.
    pub findings: Vec<Finding>,
}

/// Why an answer is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoVerdict {
    /// There is no JSON object in it.
    #[error("the answer has no JSON object")]
    NoJson,
    /// The object is not of the form asked for.
    #[error("the answer is not of the form asked for: {0}")]
    Form(String),
}

/// The form of an answer as a JSON schema, for models that can be held to one. Every property is
/// required and no other allowed: strict modes take nothing else.
pub fn schema() -> Arc<serde_json::Value> {
    static SCHEMA: LazyLock<Arc<serde_json::Value>> = LazyLock::new(|| {
        let object = |properties: serde_json::Value| {
            let required: Vec<&String> = properties
                .as_object()
                .into_iter()
                .flatten()
                .map(|(k, _)| k)
                .collect();
            serde_json::json!({
                "type": "object",
                "required": required,
                "additionalProperties": false,
                "properties": properties,
            })
        };
        let comment = object(serde_json::json!({
            "file": {"type": ["string", "null"]},
            "line": {"type": ["integer", "null"]},
            "severity": {"type": "string", "enum": ["info", "low", "medium", "high", "critical"]},
            "message": {"type": "string"},
        }));
        Arc::new(object(serde_json::json!({
            "decision": {"type": "string", "enum": ["approve", "comment", "request_changes", "block"]},
            "score": {"type": "number"},
            "comments": {"type": "array", "items": comment},
        })))
    });
    Arc::clone(&SCHEMA)
}

/// Comments taken from one answer.
const MOST_COMMENTS: usize = 100;

/// Reads a model's answer. A `block` that can be recognised blocks, even where the rest of the answer is not
/// of the form asked for.
///
/// # Errors
/// [`NoVerdict`] when it is anything else than one JSON object with a known `decision`.
pub fn parse(answer: &str) -> Result<ModelVerdict, NoVerdict> {
    read_whole(answer).or_else(|error| {
        if BLOCK.is_match(answer) {
            Ok(ModelVerdict {
                verdict: Verdict::Block,
                score: None,
                findings: Vec::new(),
            })
        } else {
            Err(error)
        }
    })
}

/// A decision to block, in JSON or in what some models write instead.
static BLOCK: LazyLock<regex::Regex> =
    LazyLock::new(|| constant(r#"(?i)["']?\bdecision["']?\s*[:=]\s*["']?block\b"#));

fn read_whole(answer: &str) -> Result<ModelVerdict, NoVerdict> {
    let object = extract(answer)?;
    let form = |what: &str| NoVerdict::Form(what.to_owned());
    only_harmless_beside(&object, &["decision", "score", "comments"])?;
    let decision = object
        .get("decision")
        .and_then(|d| d.as_str())
        .ok_or_else(|| form("no text field 'decision'"))?;
    let verdict = match decision {
        "approve" => Verdict::Approve,
        "comment" => Verdict::Comment,
        "request_changes" => Verdict::RequestChanges,
        "block" => Verdict::Block,
        other => {
            let other = bsm_base::text::clean_line(other, 40);
            return Err(form(&format!(
                "unknown decision '{other}' (want approve, comment, request_changes or block)"
            )));
        }
    };
    let score = match object.get("score") {
        None | Some(serde_json::Value::Null) => None,
        Some(value) => Some(
            value
                .as_f64()
                .filter(|s| (0.0..=100.0).contains(s))
                .ok_or_else(|| form("'score' is not a number from 0 to 100"))?,
        ),
    };
    let findings = match object.get("comments") {
        None | Some(serde_json::Value::Null) => Vec::new(),
        Some(serde_json::Value::String(text)) => vec![comment(text, None, None, None)],
        Some(serde_json::Value::Array(items)) if items.len() > MOST_COMMENTS => {
            return Err(form(&format!(
                "{} comments, more than the {MOST_COMMENTS} that are allowed",
                items.len()
            )));
        }
        Some(serde_json::Value::Array(items)) => {
            items.iter().map(read_comment).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(form("'comments' is not a list")),
    };
    Ok(ModelVerdict {
        verdict,
        score,
        findings,
    })
}

/// Members beside those of the form: text and numbers are passed over, unless they may say what a member of
/// the form says, under another name.
fn only_harmless_beside(
    object: &serde_json::Map<String, serde_json::Value>,
    known: &[&str],
) -> Result<(), NoVerdict> {
    const WEIGHTY: [&str; 24] = [
        "decision",
        "score",
        "comments",
        "verdict",
        "result",
        "conclusion",
        "outcome",
        "status",
        "state",
        "action",
        "recommendation",
        "approve",
        "approved",
        "block",
        "blocked",
        "blocking",
        "severity",
        "level",
        "priority",
        "risk",
        "impact",
        "danger",
        "critical",
        "criticality",
    ];
    for (name, value) in object {
        if known.contains(&name.as_str()) {
            continue;
        }
        let plain = name.trim().to_lowercase();
        let nested = value.is_array() || value.is_object();
        let words = plain.split(|c: char| !c.is_alphanumeric());
        if nested || words.into_iter().any(|word| WEIGHTY.contains(&word)) {
            let name = bsm_base::text::clean_line(name, 40);
            return Err(NoVerdict::Form(format!(
                "an unknown member '{name}' that may matter"
            )));
        }
    }
    Ok(())
}

fn read_comment(value: &serde_json::Value) -> Result<Finding, NoVerdict> {
    match value {
        serde_json::Value::String(text) => Ok(comment(text, None, None, None)),
        serde_json::Value::Object(map) => {
            let known = [
                "message", "comment", "text", "body", "file", "path", "line", "severity",
            ];
            only_harmless_beside(map, &known)?;
            let text = |keys: &[&str]| {
                keys.iter()
                    .find_map(|k| map.get(*k).and_then(|v| v.as_str()))
            };
            let message = text(&["message", "comment", "text", "body"])
                .ok_or_else(|| NoVerdict::Form("a comment has no text".into()))?;
            let line = map
                .get("line")
                .and_then(serde_json::Value::as_u64)
                .and_then(|l| u32::try_from(l).ok());
            let severity = match map.get("severity") {
                None | Some(serde_json::Value::Null) => None,
                Some(value) => Some(
                    value
                        .as_str()
                        .map(str::to_lowercase)
                        .and_then(|s| serde_json::from_value(serde_json::Value::String(s)).ok())
                        .ok_or_else(|| NoVerdict::Form("a comment of unknown severity".into()))?,
                ),
            };
            Ok(comment(message, text(&["file", "path"]), line, severity))
        }
        _ => Err(NoVerdict::Form(
            "a comment is neither text nor an object".into(),
        )),
    }
}

fn comment(
    text: &str,
    file: Option<&str>,
    line: Option<u32>,
    severity: Option<Severity>,
) -> Finding {
    let severity = severity.unwrap_or(Severity::Info);
    Finding {
        source: Source::Model,
        file: file.map(Untrusted::from),
        line,
        ..Finding::whole("model/comment", severity, bsm_base::text::cut(text, 2_000))
    }
}

/// The one JSON object that an answer is: all of it, or what follows a reasoning block, or what stands in its
/// only fence. Prose around it that quotes another object (the diff's own, say) must not be taken for the
/// answer; fences and marks inside the object's own strings change nothing.
fn extract(answer: &str) -> Result<serde_json::Map<String, serde_json::Value>, NoVerdict> {
    let mut error = match object(answer.trim()) {
        Ok(object) => return Ok(object),
        Err(error) => error,
    };
    const THOUGHT: &str = "</think>";
    let after_thought = answer
        .match_indices(THOUGHT)
        .map(|(at, mark)| &answer[at + mark.len()..]);
    for text in after_thought.clone() {
        match object(text.trim()) {
            Ok(object) => return Ok(object),
            Err(other) => error = error.clearer(other),
        }
    }
    for text in std::iter::once(answer).chain(after_thought) {
        match fenced(text) {
            Ok(object) => return Ok(object),
            Err(other) => error = error.clearer(other),
        }
    }
    Err(error)
}

impl NoVerdict {
    /// Of two errors the one that says more.
    fn clearer(self, other: Self) -> Self {
        match self {
            Self::NoJson => other,
            Self::Form(_) => self,
        }
    }
}

/// A text that is one JSON object and nothing else, without a key that stands twice.
fn object(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, NoVerdict> {
    if !text.starts_with('{') {
        return Err(NoVerdict::NoJson);
    }
    match serde_json::from_str::<UniqueKeys>(text) {
        Ok(UniqueKeys(serde_json::Value::Object(object))) => Ok(object),
        Err(error) if error.is_data() => Err(NoVerdict::Form(error.to_string())),
        _ => Err(NoVerdict::NoJson),
    }
}

/// The object in the only fence of a text; words may stand before and after it.
fn fenced(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, NoVerdict> {
    const FENCE: &str = "```";
    let (before, inside) = text.split_once(FENCE).ok_or(NoVerdict::NoJson)?;
    let inside = inside.strip_prefix("json").unwrap_or(inside);
    let start = inside.find('{').ok_or(NoVerdict::NoJson)?;
    if !inside[..start].trim().is_empty() {
        return Err(NoVerdict::NoJson);
    }
    let inside = &inside[start..];
    // The object ends where its braces do, whatever its strings hold.
    let mut values = serde_json::Deserializer::from_str(inside).into_iter::<serde_json::Value>();
    values
        .next()
        .and_then(Result::ok)
        .ok_or(NoVerdict::NoJson)?;
    let end = values.byte_offset();
    let rest = inside[end..].trim_start().strip_prefix(FENCE);
    match rest {
        // Words around it that decide, or hold an object, too: which of the two is meant?
        Some(rest) if [before, rest].into_iter().any(may_decide) => Err(NoVerdict::Form(
            "what stands around the fence may be another decision".into(),
        )),
        Some(rest) if !rest.contains(FENCE) => object(&inside[..end]),
        _ => Err(NoVerdict::NoJson),
    }
}

/// Text that may hold another decision, or be thought that has not ended.
fn may_decide(text: &str) -> bool {
    static DECIDES: LazyLock<regex::Regex> = LazyLock::new(|| {
        constant(
            r"(?i)\{|<think|\brequest[_ ]changes\b|\bchanges requested\b|\bblock(ed)?\b|\breject(ed)?\b|\b(not|cannot|can't|don't|never) (approve|merge)\b|\b(decision|verdict)\W{1,5}(is )?comment\b",
        )
    });
    DECIDES.is_match(text)
}

/// JSON whose objects have no key twice: which of the two counts would be the reader's choice.
struct UniqueKeys(serde_json::Value);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> serde::de::Visitor<'de> for UniqueVisitor {
    type Value = serde_json::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(serde_json::Value::Null)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(
        self,
        mut items: A,
    ) -> Result<Self::Value, A::Error> {
        let mut out = Vec::new();
        while let Some(UniqueKeys(item)) = items.next_element()? {
            out.push(item);
        }
        Ok(out.into())
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(
        self,
        mut members: A,
    ) -> Result<Self::Value, A::Error> {
        let mut out = serde_json::Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let UniqueKeys(value) = members.next_value()?;
            if out.insert(key, value).is_some() {
                return Err(serde::de::Error::custom("a key stands twice"));
            }
        }
        Ok(out.into())
    }
}

/// The stricter of rules and model; the model's findings can never make it milder.
pub fn stricter(rules: Verdict, model: Option<&ModelVerdict>) -> Verdict {
    model.map_or(rules, |m| {
        let worst = of_findings(&m.findings);
        rules.max(m.verdict).max(worst)
    })
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
