//! What a rule or a model found, and how much of the change was looked at.

use serde::{Deserialize, Serialize};

use bsm_base::text::Untrusted;

/// How bad it is; the order is the order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Small.
    Low,
    /// A person should look.
    Medium,
    /// Must be changed.
    High,
    /// Must not be merged.
    Critical,
}

impl Severity {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What an operator makes of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Weight {
    /// It is not reported.
    Off,
    /// As bad as this.
    As(Severity),
}

impl TryFrom<String> for Weight {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        if word == "off" {
            return Ok(Self::Off);
        }
        let severity = serde_json::from_value(serde_json::Value::String(word.clone()));
        severity.map(Self::As).map_err(|_| {
            let word = bsm_base::text::clean_line(&word, 40);
            format!("'{word}' is no weight; use off, info, low, medium, high or critical")
        })
    }
}

impl From<Weight> for &'static str {
    fn from(weight: Weight) -> Self {
        match weight {
            Weight::Off => "off",
            Weight::As(severity) => severity.as_str(),
        }
    }
}

/// Who found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A rule, here.
    Rule,
    /// A model.
    Model,
}

/// One finding. A found secret is never in it, only its rule, place and salted fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// `pack/rule`, or `model/comment`.
    pub rule: String,
    /// Rule or model.
    pub source: Source,
    /// How bad.
    pub severity: Severity,
    /// The file, where there is one.
    pub file: Option<Untrusted>,
    /// The line in the new file, from 1.
    pub line: Option<u32>,
    /// Where on that line it begins, from 1, in bytes of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The line on which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// One past its last byte on that line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// Both columns in UTF-16 code units, where they are others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utf16_columns: Option<(u32, u32)>,
    /// The commit that adds it, where commits are looked at one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What it means; from a rule our own words, from a model outside text.
    pub message: Untrusted,
    /// The line, redacted and cut, or the mark of what was redacted.
    pub excerpt: Option<Untrusted>,
    /// Salted hash of what matched: the same secret twice has the same one, on this installation alone.
    pub fingerprint: Option<String>,
    /// The same on every machine, and never made of a secret: SHA-256 over rule, path, the redacted line
    /// and its occurrence, 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The line as it should be, where the fix needs no thought; it stands for the lines from `line` to `end_line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Untrusted>,
}

impl Finding {
    /// The pack its rule belongs to.
    pub fn pack(&self) -> &str {
        self.rule.split('/').next().unwrap_or_default()
    }

    /// A rule's finding about the change as a whole.
    pub fn whole(rule: &str, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            rule: rule.to_owned(),
            source: Source::Rule,
            severity,
            file: None,
            line: None,
            column: None,
            end_line: None,
            end_column: None,
            utf16_columns: None,
            commit: None,
            message: Untrusted::new(message),
            excerpt: None,
            fingerprint: None,
            identity: None,
            suggestion: None,
        }
    }

    /// A rule's finding about one file.
    pub fn about_file(
        rule: &str,
        severity: Severity,
        file: &Untrusted,
        message: impl Into<String>,
    ) -> Self {
        Self {
            file: Some(file.clone()),
            ..Self::whole(rule, severity, message)
        }
    }
}

/// A file that was not looked at, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// The file.
    pub path: Untrusted,
    /// Why not.
    pub reason: String,
}

/// How much was looked at. Never overstated: a file counts as seen only when all of it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Files looked at wholly.
    pub files_seen: u32,
    /// Files in the change.
    pub files_total: u32,
    /// The others, with reasons (the first 200; `skipped_more` counts the rest).
    pub skipped: Vec<Skipped>,
    /// Skipped files beyond the list.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped_more: u32,
    /// Files that the operator's `.bsmignore` leaves out; they are none of `files_total`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ignored: u32,
    /// A file of the change, for what is about all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_file: Option<Untrusted>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if wants a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Coverage {
    /// True when something was looked at and nothing was left out.
    pub fn is_complete(&self) -> bool {
        self.files_total > 0 && self.files_seen == self.files_total && self.skipped.is_empty()
    }

    /// In words, the same on every face.
    pub fn summary(&self) -> String {
        let mut words = format!(
            "files reviewed: {} of {}",
            self.files_seen, self.files_total
        );
        if self.ignored > 0 {
            words.push_str(&format!(", {} ignored", self.ignored));
        }
        words
    }

    /// What is left out of a complete look is no more than a floor (percent of the files) allows.
    pub fn reaches(&self, floor: u8) -> bool {
        if floor >= 100 {
            return self.is_complete();
        }
        self.files_total > 0
            && u64::from(self.files_seen) * 100 >= u64::from(floor) * u64::from(self.files_total)
    }

    /// Notes a file that was not, or not wholly, looked at.
    pub fn skip(&mut self, path: &Untrusted, reason: impl Into<String>) {
        const LISTED: usize = 200;
        if self.skipped.len() < LISTED {
            self.skipped.push(Skipped {
                path: path.clone(),
                reason: reason.into(),
            });
        } else {
            self.skipped_more += 1;
        }
    }
}

/// What accepted a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SuppressedBy {
    /// A comment in what was reviewed.
    Inline,
    /// A comment that stood there before, beside the change.
    Standing,
    /// The operator's baseline.
    Baseline,
    /// Somebody with write access dismissed it in the repository where it is.
    Dismissed,
}

/// An accepted finding, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suppressed {
    /// The finding.
    pub finding: Finding,
    /// Who said so.
    pub by: SuppressedBy,
    /// Why, if it says.
    pub reason: Option<Untrusted>,
}

/// Lines and files a change touches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeSize {
    /// Files in the change.
    pub files: u32,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
}

/// Which findings count, by where they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilterMode {
    /// On lines that the change adds.
    #[default]
    Added,
    /// In files that the change touches.
    File,
    /// Anywhere.
    All,
}
