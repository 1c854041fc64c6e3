//! Rules in gitleaks' TOML format: loading, and matching over one piece of text.
//!
//! Why that format: it is the field's own, so teams bring theirs. Beside gitleaks' keys a rule may say
//! `severity` and `help`; a gitleaks rule without them is a critical secret. Regexes work on bytes with
//! ASCII classes, as RE2's do; keywords are looked for first, all at once.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::finding::Severity;

/// Largest compiled size of one regex, bytes.
const REGEX_SIZE: usize = 8 << 20;

#[derive(Debug, Deserialize)]
struct RawFile {
    #[serde(default)]
    rules: Vec<RawRule>,
    #[serde(default)]
    allowlist: Option<RawAllow>,
    #[serde(default)]
    allowlists: Vec<RawAllow>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRule {
    id: String,
    #[serde(default)]
    description: String,
    regex: Option<String>,
    path: Option<String>,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    secret_group: usize,
    entropy: Option<f64>,
    severity: Option<Severity>,
    help: Option<String>,
    allowlist: Option<RawAllow>,
    #[serde(default)]
    allowlists: Vec<RawAllow>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAllow {
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    stopwords: Vec<String>,
    #[serde(default)]
    regex_target: Option<String>,
    #[serde(default)]
    condition: Option<String>,
}

/// What an allow list's regexes are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AllowTarget {
    Secret,
    Match,
    Line,
}

#[derive(Debug)]
struct Allow {
    regexes: Vec<Regex>,
    paths: Vec<Regex>,
    stopwords: Vec<String>,
    target: AllowTarget,
    all: bool,
}

/// One rule, compiled.
#[derive(Debug)]
pub struct Rule {
    /// `pack/id`.
    pub id: String,
    /// How bad a hit is.
    pub severity: Severity,
    /// What a hit means and what to do.
    pub message: String,
    /// It is about a file that changes (tag `change`): a look at a folder leaves it out.
    pub change_only: bool,
    /// What it matches is a secret and must never be shown.
    pub secret: bool,
    regex: Option<Regex>,
    path: Option<Regex>,
    secret_group: usize,
    entropy: Option<f64>,
    allows: Vec<Allow>,
}

/// A rule that could not be used, and why. The pack is then incomplete and cannot prove an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleWarning {
    /// `pack/id`, or the pack.
    pub rule: String,
    /// What is wrong.
    pub what: String,
}

/// A hit inside the text that was matched: byte offsets of the whole match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Index into [`RuleSet::rules`].
    pub rule: usize,
    /// Start of the match.
    pub start: usize,
    /// End of the match.
    pub end: usize,
}

/// Several packs, ready to match.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    keywords: Option<AhoCorasick>,
    /// For each keyword pattern, the rules that asked for it.
    asked_by: Vec<Vec<usize>>,
    /// Rules without keywords: always tried.
    always: Vec<usize>,
    warnings: Vec<RuleWarning>,
}

impl RuleSet {
    /// Loads packs: (name, TOML, whether a rule without a `severity` is a secret).
    pub fn load(packs: &[(&str, &str, bool)]) -> Self {
        let mut set = Self::default();
        let mut patterns: HashMap<String, Vec<usize>> = HashMap::new();
        for (pack, text, secrets) in packs {
            match toml::from_str::<RawFile>(text) {
                Ok(file) => set.add(pack, file, *secrets, &mut patterns),
                Err(error) => set.warnings.push(RuleWarning {
                    rule: (*pack).to_owned(),
                    what: error.to_string(),
                }),
            }
        }
        let mut keys: Vec<(String, Vec<usize>)> = patterns.into_iter().collect();
        keys.sort();
        match AhoCorasick::builder()
            .ascii_case_insensitive(true)
            // A few megabytes more, and twice as fast.
            .kind(Some(AhoCorasickKind::DFA))
            .build(keys.iter().map(|(k, _)| k))
        {
            Ok(automaton) => {
                set.keywords = Some(automaton);
                set.asked_by = keys.into_iter().map(|(_, rules)| rules).collect();
            }
            // Without the prefilter every rule is tried: slower, never less.
            Err(_) => set.always = (0..set.rules.len()).collect(),
        }
        set
    }

    fn add(
        &mut self,
        pack: &str,
        file: RawFile,
        secrets: bool,
        patterns: &mut HashMap<String, Vec<usize>>,
    ) {
        let shared: Vec<RawAllow> = file.allowlist.into_iter().chain(file.allowlists).collect();
        for raw in file.rules {
            let id = format!("{pack}/{}", raw.id);
            let keywords = raw.keywords.clone();
            match Rule::compile(id.clone(), raw, secrets, &shared) {
                Ok(rule) => {
                    let index = self.rules.len();
                    self.rules.push(rule);
                    if keywords.is_empty() {
                        self.always.push(index);
                    }
                    for keyword in keywords {
                        patterns
                            .entry(keyword.to_ascii_lowercase())
                            .or_default()
                            .push(index);
                    }
                }
                Err(what) => self.warnings.push(RuleWarning { rule: id, what }),
            }
        }
    }

    /// All compiled rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Rules that could not be used.
    pub fn warnings(&self) -> &[RuleWarning] {
        &self.warnings
    }

    /// Every hit in `text`, a file's piece; rules that have a `path` only where it matches.
    /// `secrets_only` tries only rules whose match must be redacted.
    pub fn find(&self, path: &str, text: &[u8], secrets_only: bool) -> Vec<Hit> {
        self.find_wanted(&self.wanted(text), path, text, secrets_only)
    }

    /// Which rules may hit in `text`, by their keywords. The one pass over all of the text; a caller that
    /// looks for findings and for secrets makes it once.
    pub fn wanted(&self, text: &[u8]) -> Vec<bool> {
        let mut wanted = vec![false; self.rules.len()];
        for index in &self.always {
            wanted[*index] = true;
        }
        if let Some(keywords) = &self.keywords {
            for found in keywords.find_overlapping_iter(text) {
                for index in &self.asked_by[found.pattern().as_usize()] {
                    wanted[*index] = true;
                }
            }
        }
        wanted
    }

    /// As [`RuleSet::find`], where it is known which rules may hit.
    pub fn find_wanted(
        &self,
        wanted: &[bool],
        path: &str,
        text: &[u8],
        secrets_only: bool,
    ) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            if wanted[index] && (rule.secret || !secrets_only) && rule.applies_to(path) {
                rule.find(path, text, secrets_only, |start, end| {
                    hits.push(Hit {
                        rule: index,
                        start,
                        end,
                    });
                });
            }
        }
        hits
    }

    /// Rules about a path alone that the path meets.
    pub fn path_hits<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Rule> {
        self.rules
            .iter()
            .filter(move |r| r.regex.is_none() && r.path.is_some() && r.applies_to(path))
    }
}

impl Rule {
    fn compile(
        id: String,
        raw: RawRule,
        secrets: bool,
        shared: &[RawAllow],
    ) -> Result<Self, String> {
        if raw.regex.is_none() && raw.path.is_none() {
            return Err("it has neither a regex nor a path".into());
        }
        let own = raw.allowlist.iter().chain(&raw.allowlists);
        let allows = own
            .chain(shared)
            .map(Allow::compile)
            .collect::<Result<Vec<_>, _>>()?;
        let message = match raw.help {
            Some(help) if raw.description.is_empty() => help,
            Some(help) => format!("{} {help}", raw.description),
            None => raw.description,
        };
        let severity = raw.severity.unwrap_or(if secrets {
            Severity::Critical
        } else {
            Severity::Medium
        });
        let regex = raw.regex.as_deref().map(compile).transpose()?;
        if regex
            .as_ref()
            .is_some_and(|r| raw.secret_group >= r.captures_len())
        {
            return Err(format!(
                "secretGroup {} is not in its regex",
                raw.secret_group
            ));
        }
        let path = raw.path.as_deref().map(compile).transpose()?;
        Ok(Self {
            id,
            severity,
            message,
            change_only: raw.tags.iter().any(|t| t == "change"),
            secret: secrets,
            regex,
            path,
            secret_group: raw.secret_group,
            entropy: raw.entropy,
            allows,
        })
    }

    fn applies_to(&self, path: &str) -> bool {
        self.path
            .as_ref()
            .is_none_or(|p| p.is_match(path.as_bytes()))
    }

    /// `redacting`: a path that is excused from findings is not excused from redaction.
    fn find(&self, path: &str, text: &[u8], redacting: bool, mut hit: impl FnMut(usize, usize)) {
        let path = if redacting { None } else { Some(path) };
        let Some(regex) = &self.regex else { return };
        for captures in regex.captures_iter(text) {
            let Some(whole) = captures.get(0).filter(|m| !m.is_empty()) else {
                continue;
            };
            let secret = match self.secret_group {
                0 => (1..captures.len())
                    .find_map(|i| captures.get(i))
                    .unwrap_or(whole),
                group => captures.get(group).unwrap_or(whole),
            };
            if self
                .entropy
                .is_some_and(|least| entropy(secret.as_bytes()) <= least)
            {
                continue;
            }
            let line = line_around(text, whole.start(), whole.end());
            if self
                .allows
                .iter()
                .any(|a| a.allows(path, secret.as_bytes(), whole.as_bytes(), line))
            {
                continue;
            }
            hit(whole.start(), whole.end());
        }
    }
}

impl Allow {
    fn compile(raw: &RawAllow) -> Result<Self, String> {
        let all = |list: &[String]| {
            list.iter()
                .map(|r| compile(r))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            regexes: all(&raw.regexes)?,
            paths: all(&raw.paths)?,
            stopwords: raw
                .stopwords
                .iter()
                .map(|w| w.to_ascii_lowercase())
                .collect(),
            target: match raw.regex_target.as_deref() {
                Some("match") => AllowTarget::Match,
                Some("line") => AllowTarget::Line,
                _ => AllowTarget::Secret,
            },
            all: raw
                .condition
                .as_deref()
                .is_some_and(|c| c.eq_ignore_ascii_case("and")),
        })
    }

    fn allows(&self, path: Option<&str>, secret: &[u8], whole: &[u8], line: &[u8]) -> bool {
        let text = match self.target {
            AllowTarget::Secret => secret,
            AllowTarget::Match => whole,
            AllowTarget::Line => line,
        };
        let lower = secret.to_ascii_lowercase();
        let has = |word: &String| {
            lower
                .windows(word.len().max(1))
                .any(|w| w == word.as_bytes())
        };
        let criteria = [
            (!self.regexes.is_empty()).then(|| self.regexes.iter().any(|r| r.is_match(text))),
            (!self.paths.is_empty())
                .then(|| path.is_some_and(|p| self.paths.iter().any(|r| r.is_match(p.as_bytes())))),
            (!self.stopwords.is_empty()).then(|| self.stopwords.iter().any(has)),
        ];
        let mut met = criteria.into_iter().flatten().peekable();
        if self.all {
            met.peek().is_some() && met.all(|m| m)
        } else {
            met.any(|m| m)
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(REGEX_SIZE)
        .build()
        .map_err(|e| e.to_string())
}

/// Shannon entropy, bits a byte.
pub fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let length = bytes.len() as f64;
    counts
        .iter()
        .filter(|c| **c > 0)
        .map(|c| f64::from(*c) / length)
        .map(|p| -p * p.log2())
        .sum()
}

fn line_around(text: &[u8], start: usize, end: usize) -> &[u8] {
    let from = text[..start]
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let to = text[end..]
        .iter()
        .position(|b| *b == b'\n')
        .map_or(text.len(), |at| end + at);
    &text[from..to]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: &str = r#"
        [allowlist]
        paths = ['''^vendor/''']
        [[rules]]
        id = "token"
        description = "A token."
        regex = '''tok_([a-z0-9]{8,})'''
        keywords = ["tok_"]
        entropy = 2.0
        [rules.allowlist]
        stopwords = ["example"]
        [[rules]]
        id = "broken"
        regex = '''(?=lookahead)'''
        [[rules]]
        id = "pem"
        path = '''\.pem$'''
        severity = "high"
    "#;

    #[test]
    fn gitleaks_semantics() {
        let set = RuleSet::load(&[("t", PACK, true)]);
        let count = |path: &str, text: &str| set.find(path, text.as_bytes(), false).len();
        assert_eq!(count("a.txt", "x tok_a1b2c3d4e5 y"), 1);
        assert_eq!(count("a.txt", "TOK_ tok_aaaaaaaaaa"), 0, "low entropy");
        assert_eq!(count("a.txt", "tok_example1b2c3"), 0, "stop word");
        assert_eq!(count("vendor/a", "tok_a1b2c3d4e5"), 0, "global allow list");
        assert_eq!(set.path_hits("keys/a.pem").count(), 1);
        assert_eq!(set.warnings().len(), 1);
        assert!(set.warnings()[0].rule == "t/broken");
        assert_eq!(
            RuleSet::load(&[("x", "not toml [", true)]).warnings().len(),
            1
        );
    }
}
