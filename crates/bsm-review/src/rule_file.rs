//! Rule files in gitleaks' TOML form, as they are written: read leniently, merged as gitleaks merges.
//!
//! Why apart from matching: a file may extend another, change a rule by its id, or hold one rule that
//! cannot be read. What is wrong with one rule is said with its name, and takes no other rule with it.
//! Beside gitleaks' keys a rule may say what our own packs say: `severity`, `why`, `help`, examples.

use serde::Deserialize;
use toml::Value;

use super::finding::Severity;
use crate::rule_pattern::{Parts, composed, keywords};
use crate::rule_toml;

/// One file, its rules not yet compiled. Keys are lower-cased, as gitleaks reads them.
#[derive(Debug, Default)]
pub(super) struct RuleFile {
    pub(super) rules: Vec<RawRule>,
    /// Hold for every rule of the file (and of what it extends), or for those they name.
    pub(super) allows: Vec<RawAllow>,
    pub(super) extend: Extend,
    /// Rules that cannot be read: their name, and why.
    pub(super) broken: Vec<(String, String)>,
}

/// What a file builds on.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "lowercase")]
pub(super) struct Extend {
    #[serde(rename = "usedefault")]
    pub(super) use_default: bool,
    pub(super) path: Option<String>,
    pub(super) url: Option<String>,
    #[serde(rename = "disabledrules")]
    pub(super) disabled_rules: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawRule {
    pub(super) id: String,
    pub(super) description: String,
    pub(super) regex: Option<String>,
    pub(super) path: Option<String>,
    pub(super) keywords: Vec<String>,
    pub(super) tags: Vec<String>,
    #[serde(rename = "secretgroup")]
    pub(super) secret_group: usize,
    pub(super) entropy: Option<f64>,
    pub(super) allowlist: Option<RawAllow>,
    pub(super) allowlists: Vec<RawAllow>,
    pub(super) required: Vec<Required>,
    #[serde(rename = "skipreport")]
    pub(super) skip_report: bool,
    /// Ours: how bad a hit is.
    pub(super) severity: Option<Severity>,
    /// Ours: why it matters.
    pub(super) why: String,
    /// Ours: what to do.
    pub(super) help: String,
    /// Ours: by which other names the field knows it.
    pub(super) aliases: Vec<String>,
    /// Ours: what kind of danger it is about; by default its file's.
    pub(super) class: String,
    /// Ours: the languages that it is about (`languages.rs` names them); none: all.
    pub(super) languages: Vec<String>,
    /// Ours: the shape of a token that stands alone, in place of a regex. Its first group is the secret.
    pub(super) token: Option<String>,
    /// Ours: names that stand before a value on its line, in place of a regex; with `value`.
    pub(super) near: Vec<String>,
    /// Ours: the shape of the value after one of the names in `near`.
    pub(super) value: Option<String>,
    /// Ours: values assigned to names of secrets, in place of a regex: `quoted` or `bare` (`assignments/`).
    pub(super) assigned: String,
    /// Ours: how many lines a match may lie on, its keyword among them; 0: as many as is usual for its form. The tag
    /// `anywhere`: a match may be longer, or far from its keywords.
    pub(super) lines: usize,
    /// Ours: `removed`: lines that a change takes away, and that it does not add elsewhere in the file.
    pub(super) side: String,
    /// Ours: fixes that need no thought, two texts each: what to look for in the line, and what to put there.
    pub(super) fix: Vec<String>,
    /// Ours: the shape of the change decides, in code.
    pub(super) check: bool,
    /// Ours: the file in which the examples stand.
    pub(super) file: Option<String>,
    /// Ours: what it must find.
    pub(super) bad: Vec<String>,
    /// Ours: what it must leave alone.
    pub(super) good: Vec<String>,
    /// Of a built-in pack: words of which every path that `path` matches holds one (`build.rs`).
    #[serde(rename = "pathwords")]
    pub(super) path_words: Vec<String>,
    /// It stands in our own packs, whose patterns the tests compile.
    #[serde(skip)]
    pub(super) ours: bool,
}

/// Another rule that must hit near by.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Required {
    pub(super) id: String,
    #[serde(rename = "withinlines")]
    pub(super) within_lines: Option<usize>,
    #[serde(rename = "withincolumns")]
    pub(super) within_columns: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawAllow {
    pub(super) regexes: Vec<String>,
    pub(super) paths: Vec<String>,
    pub(super) stopwords: Vec<String>,
    pub(super) commits: Vec<String>,
    #[serde(rename = "regextarget")]
    pub(super) regex_target: Option<String>,
    pub(super) condition: Option<String>,
    /// In a list of the whole file: the rules it is for.
    #[serde(rename = "targetrules")]
    pub(super) target_rules: Vec<String>,
    /// Of a built-in pack: for each path, words of which every match holds one (`build.rs`).
    #[serde(rename = "pathwords")]
    pub(super) path_words: Vec<Vec<String>>,
    /// It excuses from being reported, never from being redacted.
    #[serde(skip)]
    pub(super) findings_only: bool,
    /// It stands in our own packs, whose patterns the tests compile.
    #[serde(skip)]
    pub(super) ours: bool,
}

impl RuleFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is no TOML, or a table that holds for all of it cannot be read.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut file = rule_toml::table(text)?;
        let mut read = Self::default();
        if let Some(extend) = file.remove("extend") {
            read.extend = extend.try_into().map_err(|e| short("[extend]", &e))?;
        }
        for key in ["allowlist", "allowlists"] {
            let lists = match file.remove(key) {
                Some(Value::Array(lists)) => lists,
                Some(one) => vec![one],
                None => Vec::new(),
            };
            for list in lists {
                read.allows
                    .push(list.try_into().map_err(|e| short(key, &e))?);
            }
        }
        let rules = match file.remove("rules") {
            Some(Value::Array(rules)) => rules,
            Some(_) => return Err("'rules' is not a list of tables".into()),
            None => Vec::new(),
        };
        for (index, value) in rules.into_iter().enumerate() {
            let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
            let name = if id.trim().is_empty() {
                format!("rule {}", index + 1)
            } else {
                id.to_owned()
            };
            match value.try_into::<RawRule>() {
                Ok(rule) if rule.id.trim().is_empty() => {
                    read.broken.push((name, "it has no id".into()));
                }
                Ok(rule) => read.add(rule),
                Err(error) => read.broken.push((name, error.message().to_owned())),
            }
        }
        Ok(read)
    }

    /// Adds a rule, with the regex that its form means.
    pub(super) fn add(&mut self, mut rule: RawRule) {
        match composed(&rule.parts()) {
            Ok(Some(regex)) => {
                rule.regex = Some(regex);
                rule.keywords
                    .extend(rule.near.iter().flat_map(|n| keywords(n)));
                self.rules.push(rule);
            }
            Ok(None) => self.rules.push(rule),
            Err(what) => self.broken.push((rule.id, what)),
        }
    }

    /// Adds what another file of the same pack says.
    pub(super) fn append(&mut self, other: Self) {
        self.rules.extend(other.rules);
        self.allows.extend(other.allows);
        self.broken.extend(other.broken);
    }

    /// Says of everything in it that it is our own.
    pub(super) fn mark_as_ours(&mut self) {
        for rule in &mut self.rules {
            rule.ours = true;
        }
        let of_rules = self
            .rules
            .iter_mut()
            .flat_map(|r| r.allowlist.iter_mut().chain(&mut r.allowlists));
        for list in of_rules.chain(&mut self.allows) {
            list.ours = true;
        }
    }

    /// Puts this file over `base`: rules with the same id are changed, others added, those that it
    /// switches off go. Returns the names it switches off that `base` does not have.
    pub(super) fn over(&mut self, base: Self) -> Vec<String> {
        let mut unknown = Vec::new();
        let disabled = &self.extend.disabled_rules;
        for id in disabled {
            if !base.rules.iter().any(|r| r.is_called(id)) {
                unknown.push(id.clone());
            }
        }
        let mut rules: Vec<RawRule> = base
            .rules
            .into_iter()
            .filter(|r| !disabled.iter().any(|id| r.is_called(id)))
            .collect();
        for own in std::mem::take(&mut self.rules) {
            match rules.iter_mut().find(|r| r.id == own.id) {
                Some(rule) => rule.changed_by(own),
                None => rules.push(own),
            }
        }
        self.rules = rules;
        self.allows.extend(base.allows);
        self.broken.extend(base.broken);
        unknown
    }
}

impl RawRule {
    /// By its id, or by another name it is known by.
    pub(super) fn is_called(&self, id: &str) -> bool {
        self.id == id || self.aliases.iter().any(|a| a == id)
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            token: self.token.as_deref(),
            near: &self.near,
            value: self.value.as_deref(),
            has_regex: self.regex.is_some(),
        }
    }

    /// It says nothing of what to match: it can only change a rule that does.
    pub(super) fn only_changes(&self) -> bool {
        self.regex.is_none() && self.path.is_none() && self.assigned.is_empty() && !self.check
    }

    /// Takes over what another rule of the same id says.
    pub(super) fn changed_by(&mut self, other: Self) {
        self.ours = false;
        if !other.description.is_empty() {
            self.description = other.description;
        }
        self.entropy = other.entropy.filter(|e| *e != 0.0).or(self.entropy);
        if other.secret_group != 0 {
            self.secret_group = other.secret_group;
        }
        self.regex = other.regex.or_else(|| self.regex.take());
        if other.path.is_some() {
            self.path = other.path;
            self.path_words.clear();
        }
        self.severity = other.severity.or(self.severity);
        self.tags.extend(other.tags);
        self.keywords.extend(other.keywords);
        self.allowlists.extend(other.allowlist);
        self.allowlists.extend(other.allowlists);
        self.required.extend(other.required);
        self.skip_report |= other.skip_report;
    }
}

fn short(what: &str, error: &toml::de::Error) -> String {
    format!("{what}: {}", error.message())
}
