//! What other linters found, read in: SARIF, or reviewdog's rdjson and rdjsonl.
//!
//! Why: any tool that can look at code becomes part of a review. Its findings are outside text and can only
//! add: pack `lint:TOOL`, which agents may decide by as by any other (`packs: [lint]` takes all tools).

use serde_json::Value;

use super::finding::{Finding, Severity};
use super::redact::Redactor;
use crate::changed_lines::Touched;
use crate::finding::FilterMode;
use crate::percent::unescaped;
use bsm_base::text::Untrusted;

/// The first part of every pack that comes from a linter.
pub const PACK: &str = "lint";
/// True for the pack of one linter (`lint:TOOL`), or of all of them.
pub fn is_pack(pack: &str) -> bool {
    pack.strip_prefix(PACK)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// Most findings of one file that are taken.
const MOST: usize = 1_000;

/// Why a linter's findings cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinterError {
    /// Neither of the forms.
    #[error("neither SARIF 2.1.0 nor rdjson or rdjsonl: {0}")]
    Form(String),
    /// A line of an rdjsonl file.
    #[error("line {0}: {1}")]
    Line(usize, String),
}

/// What was read, and what of it counts.
#[derive(Debug, Default)]
pub struct Read {
    /// Those that count; with a reason: a comment in the source says not to mind it.
    pub findings: Vec<(Finding, Option<Untrusted>)>,
    /// Those elsewhere than the filter looks.
    pub elsewhere: u32,
    /// Those that the tool itself says are suppressed, or no news.
    pub silenced: u32,
    /// More than are taken.
    pub more: u32,
}

/// Reads one file's text.
///
/// # Errors
/// When it is in none of the forms.
pub fn read(
    text: &[u8],
    filter: FilterMode,
    touched: &Touched,
    redactor: &Redactor,
) -> Result<Read, LinterError> {
    let mut out = Read::default();
    let mut take = |found: Found| {
        if found.silenced == Silenced::Elsewhere {
            out.silenced += 1;
            return;
        }
        let file = found
            .file
            .as_deref()
            .map(|f| touched.named(f).unwrap_or(f).to_owned());
        let mut found = Found { file, ..found };
        let reason = match std::mem::take(&mut found.silenced) {
            Silenced::InSource(reason) => Some(Untrusted::new(redactor.text(&reason))),
            _ => None,
        };
        let counts = match (filter, &found.file) {
            (FilterMode::All, _) => true,
            (_, None) => false,
            (FilterMode::File, Some(file)) => touched.named(file).is_some(),
            (FilterMode::Added, Some(file)) => found
                .line
                .is_some_and(|first| touched.has_line(file, first, found.end.unwrap_or(first))),
        };
        if !counts {
            out.elsewhere += 1;
        } else if out.findings.len() >= MOST {
            out.more += 1;
        } else {
            out.findings.push((found.finding(redactor), reason));
        }
    };
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    match serde_json::from_slice::<Value>(text) {
        Ok(Value::Object(object)) if object.get("runs").is_some_and(Value::is_array) => {
            let version = object.get("version").and_then(Value::as_str);
            if let Some(other) = version.filter(|v| !v.starts_with("2.1")) {
                let what = format!("version {} of SARIF", bsm_base::text::clean_line(other, 20));
                return Err(LinterError::Form(what));
            }
            sarif(&object, &mut take);
        }
        Ok(Value::Object(object))
            if object.contains_key("diagnostics")
                || (object.contains_key("source") && !object.contains_key("message")) =>
        {
            let tool = name(object.get("source"));
            let severity = object.get("severity");
            let all = object.get("diagnostics").and_then(Value::as_array);
            for diagnostic in all.into_iter().flatten() {
                take(rdjson(diagnostic, tool.as_deref(), severity));
            }
        }
        whole => {
            let lines = text.split(|b| *b == b'\n').enumerate();
            let mut any = false;
            for (index, line) in lines.filter(|(_, l)| !l.trim_ascii().is_empty()) {
                let value: Value = serde_json::from_slice(line).map_err(|e| match &whole {
                    Err(error) if !any => LinterError::Form(error.to_string()),
                    _ => LinterError::Line(index + 1, e.to_string()),
                })?;
                if value.get("message").is_none() || value.get("location").is_none() {
                    let what = "no 'message' and 'location'".to_owned();
                    return Err(if any {
                        LinterError::Line(index + 1, what)
                    } else {
                        LinterError::Form(what)
                    });
                }
                any = true;
                take(rdjson(&value, None, None));
            }
        }
    }
    Ok(out)
}

/// One finding as a linter says it.
#[derive(Debug, Default)]
struct Found {
    tool: String,
    rule: String,
    severity: Option<Severity>,
    file: Option<String>,
    line: Option<u32>,
    end: Option<u32>,
    column: Option<u32>,
    message: String,
    silenced: Silenced,
    /// What it found is a secret.
    secret: bool,
    /// The text that it quotes.
    snippet: Option<String>,
}

/// Tools that look for secrets and nothing else.
const SECRET_SCANNERS: [&str; 14] = [
    "gitleaks",
    "betterleaks",
    "trufflehog",
    "detect-secrets",
    "ggshield",
    "gitguardian",
    "secretlint",
    "noseyparker",
    "nosey parker",
    "kingfisher",
    "talisman",
    "whispers",
    "titus",
    "ripsecrets",
];

/// By the tool, or by what a tool for everything says of its rule.
fn is_secret(tool: &str, id: &str, rule: Option<&Value>, result: &Value) -> bool {
    let tool = tool.to_ascii_lowercase();
    if SECRET_SCANNERS.iter().any(|t| tool.starts_with(t)) {
        return true;
    }
    let id = id.to_ascii_lowercase();
    let by_name = [
        "secret",
        "credential",
        "password",
        "private-key",
        "api-key",
        "token",
    ]
    .iter()
    .any(|word| id.contains(word))
        && [
            "hardcoded",
            "hard-coded",
            "hardcode",
            "detected",
            "secrets.",
        ]
        .iter()
        .any(|word| id.contains(word));
    let tags = [Some(result), rule]
        .into_iter()
        .flatten()
        .flat_map(|v| v["properties"]["tags"].as_array().into_iter().flatten())
        .filter_map(Value::as_str);
    by_name
        || tags.map(str::to_ascii_lowercase).any(|tag| {
            matches!(tag.as_str(), "secret" | "secrets")
                || tag.ends_with("cwe-798")
                || tag.contains("cwe-798:")
        })
}

/// Whether the tool minds its own finding.
#[derive(Debug, Default, PartialEq, Eq)]
enum Silenced {
    #[default]
    No,
    /// A comment in the source says not to; why.
    InSource(String),
    /// Its own baseline or setting says so, or it is no finding at all.
    Elsewhere,
}

impl Found {
    fn finding(self, redactor: &Redactor) -> Finding {
        // A name becomes part of an id: only what ids are made of.
        let plain = |text: &str, most: usize| {
            let text = redactor.text(text);
            let text: String = text
                .chars()
                .map(|c| match c {
                    c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
                    _ => '-',
                })
                .take(most)
                .collect();
            let text = text.trim_matches('-').to_owned();
            if text.is_empty() {
                "unnamed".to_owned()
            } else {
                text
            }
        };
        let tool = plain(&self.tool.to_ascii_lowercase(), 40);
        let rule = plain(&self.rule, 80);
        // A secret that another linter found counts for the agents that decide by our secret rules.
        let (id, severity) = if self.secret {
            (format!("secrets/{tool}-{rule}"), Severity::Critical)
        } else {
            let severity = self.severity.unwrap_or(Severity::Medium);
            (format!("{PACK}:{tool}/{rule}"), severity)
        };
        let message = match &self.snippet {
            Some(snippet) => self.message.replace(snippet.as_str(), "‹redacted›"),
            None => self.message,
        };
        let message = redactor.text(&message);
        Finding {
            file: self.file.map(|f| Untrusted::new(redactor.text(&f))),
            line: self.line,
            end_line: self.end,
            column: self.column,
            ..Finding::whole(&id, severity, bsm_base::text::cut(&message, 1_000))
        }
    }
}

fn sarif(log: &serde_json::Map<String, Value>, take: &mut impl FnMut(Found)) {
    for run in log["runs"].as_array().into_iter().flatten() {
        let tool = &run["tool"];
        let name = tool["driver"]["name"].as_str().unwrap_or("unnamed");
        for result in run["results"].as_array().into_iter().flatten() {
            let rule = rule_of(tool, result);
            let physical = &result["locations"][0]["physicalLocation"];
            let number = |key: &str| {
                let line = physical["region"][key].as_u64()?;
                u32::try_from(line).ok().filter(|l| *l > 0)
            };
            let artifact = &physical["artifactLocation"];
            let uri = artifact["uri"].as_str().or_else(|| {
                let index = usize::try_from(artifact["index"].as_u64()?).ok()?;
                run["artifacts"][index]["location"]["uri"].as_str()
            });
            let named = result["ruleId"]
                .as_str()
                .or_else(|| result["rule"]["id"].as_str())
                .or_else(|| rule?["id"].as_str());
            let named = named.unwrap_or("unnamed");
            let snippet = physical["region"]["snippet"]["text"].as_str();
            take(Found {
                tool: name.to_owned(),
                secret: is_secret(name, named, rule, result),
                snippet: snippet.filter(|s| s.len() >= 4).map(str::to_owned),
                column: None,
                rule: named.to_owned(),
                severity: Some(sarif_severity(result, rule)),
                file: uri.map(path_of_uri),
                line: number("startLine"),
                end: number("endLine"),
                message: message_of(&result["message"], rule),
                silenced: silenced(result),
            });
        }
    }
}

/// The description of a result's rule, in the driver or in the extension that it names.
fn rule_of<'a>(tool: &'a Value, result: &'a Value) -> Option<&'a Value> {
    let reference = &result["rule"];
    let id = result["ruleId"]
        .as_str()
        .or_else(|| reference["id"].as_str());
    let component = match reference["toolComponent"]["index"].as_u64() {
        Some(index) => &tool["extensions"][usize::try_from(index).ok()?],
        None => &tool["driver"],
    };
    let index = result["ruleIndex"]
        .as_u64()
        .or_else(|| reference["index"].as_u64());
    let by_index = index
        .and_then(|i| component["rules"].get(usize::try_from(i).ok()?))
        // An index into another list than we think finds a stranger.
        .filter(|rule| id.is_none() || rule["id"].as_str() == id);
    let everywhere = std::iter::once(&tool["driver"])
        .chain(tool["extensions"].as_array().into_iter().flatten())
        .flat_map(|c| c["rules"].as_array().into_iter().flatten());
    by_index.or_else(|| {
        everywhere
            .into_iter()
            .find(|r| id.is_some() && r["id"].as_str() == id)
    })
}

fn message_of(message: &Value, rule: Option<&Value>) -> String {
    let text = message["text"].as_str().or_else(|| {
        let id = message["id"].as_str()?;
        rule?["messageStrings"][id]["text"].as_str()
    });
    let mut text = text.unwrap_or_default().to_owned();
    let arguments = message["arguments"].as_array().into_iter().flatten();
    for (n, argument) in arguments.enumerate().take(20) {
        text = text.replace(&format!("{{{n}}}"), argument.as_str().unwrap_or_default());
    }
    text
}

fn silenced(result: &Value) -> Silenced {
    let no_news = matches!(
        result["baselineState"].as_str(),
        Some("unchanged" | "absent")
    );
    let no_finding = matches!(
        result["kind"].as_str(),
        Some("pass" | "notApplicable" | "informational" | "open")
    );
    let in_force = result["suppressions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| !matches!(one["status"].as_str(), Some("rejected" | "underReview")));
    match in_force {
        _ if no_news || no_finding => Silenced::Elsewhere,
        Some(one) if one["kind"].as_str() == Some("inSource") => {
            let why = one["justification"]
                .as_str()
                .unwrap_or("the linter's own comment");
            Silenced::InSource(why.to_owned())
        }
        Some(_) => Silenced::Elsewhere,
        None => Silenced::No,
    }
}

/// `security-severity` (0 to 10) where the tool gives one, else its level.
fn sarif_severity(result: &Value, rule: Option<&Value>) -> Severity {
    let score = [Some(result), rule].into_iter().flatten().find_map(|v| {
        let score = &v["properties"]["security-severity"];
        score.as_f64().or_else(|| score.as_str()?.parse().ok())
    });
    if let Some(score) = score {
        return match score {
            s if s >= 9.0 => Severity::Critical,
            s if s >= 7.0 => Severity::High,
            s if s >= 4.0 => Severity::Medium,
            _ => Severity::Low,
        };
    }
    let level = result["level"]
        .as_str()
        .or_else(|| rule?["defaultConfiguration"]["level"].as_str());
    match level {
        Some("error") => Severity::High,
        Some("note") => Severity::Low,
        Some("none") => Severity::Info,
        _ => Severity::Medium,
    }
}

/// A path beneath the repository, as diffs have it.
fn path_of_uri(uri: &str) -> String {
    let path = uri.strip_prefix("file://").unwrap_or(uri);
    plain_path(&String::from_utf8_lossy(&unescaped(path, b'%')))
}

/// Without `.`, and with each `..` taken back.
fn plain_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for (index, part) in path.split('/').enumerate() {
        match part {
            "." => {}
            "" if index > 0 => {}
            ".." if parts.last().is_some_and(|p| !p.is_empty() && *p != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

fn name(source: Option<&Value>) -> Option<String> {
    source?["name"].as_str().map(str::to_owned)
}

fn rdjson(diagnostic: &Value, tool: Option<&str>, severity: Option<&Value>) -> Found {
    let number = |at: &str| {
        let line = diagnostic["location"]["range"][at]["line"].as_u64()?;
        u32::try_from(line).ok().filter(|l| *l > 0)
    };
    let code = &diagnostic["code"];
    let level = diagnostic.get("severity").or(severity);
    let tool = name(diagnostic.get("source"))
        .or_else(|| tool.map(str::to_owned))
        .unwrap_or_else(|| "unnamed".into());
    let rule = code["value"].as_str().or_else(|| code.as_str());
    let rule = rule.unwrap_or("unnamed").to_owned();
    let column = diagnostic["location"]["range"]["start"]["column"].as_u64();
    Found {
        secret: is_secret(&tool, &rule, None, diagnostic),
        snippet: None,
        column: column
            .and_then(|c| u32::try_from(c).ok())
            .filter(|c| *c > 0),
        tool,
        rule,
        severity: Some(
            match (level.and_then(Value::as_str), level.and_then(Value::as_u64)) {
                (Some("ERROR"), _) | (_, Some(1)) => Severity::High,
                (Some("INFO"), _) | (_, Some(3)) => Severity::Low,
                _ => Severity::Medium,
            },
        ),
        file: diagnostic["location"]["path"].as_str().map(plain_path),
        line: number("start"),
        end: number("end"),
        message: diagnostic["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        silenced: Silenced::No,
    }
}
