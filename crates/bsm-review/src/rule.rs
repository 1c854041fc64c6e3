//! One rule, compiled: what it says of itself, and what it finds in a piece of text.

use std::sync::Arc;

use regex::bytes::Captures;

use super::budget::Budget;
use super::finding::Severity;
use super::pattern::Pattern;
use super::rule_file::{RawRule, Required};
use crate::allowlist::Allow;
use crate::assignments::{self, Form};
use crate::entropy::entropy;
use crate::path_pattern::{FileName, PathPattern};
use crate::placeholders::is_placeholder;
use crate::regions::Reach;
use crate::rule_pattern::{VALUE_GROUP, stands_alone};

/// What a rule says of itself, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Docs {
    /// What a hit is.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub help: String,
    /// Other names the field knows it by.
    pub aliases: Vec<String>,
    /// What kind of danger it is about.
    pub class: String,
    /// The languages that it is about; none: all.
    pub languages: Vec<String>,
    /// What it must find; `{{kind:length}}` stands for something random.
    pub bad: Vec<String>,
    /// What it must leave alone.
    pub good: Vec<String>,
    /// The file in which the examples stand.
    pub file: Option<String>,
}

impl Docs {
    /// What is said of a hit: what it is, what is particular about this one, what to do.
    pub fn message(&self, detail: Option<&str>) -> String {
        [
            self.what.as_str(),
            detail.unwrap_or_default(),
            self.help.as_str(),
        ]
        .into_iter()
        .filter(|t| !t.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
    }

    /// What a hit is, without a hit.
    pub fn title(&self) -> &str {
        self.what.trim_end_matches(':')
    }
}

/// How many lines a match of one of our rules may lie on, where it says nothing else.
const LINES: usize = 5;

/// Bytes of the longest match that is no secret, beside those of its lines.
const LONGEST: usize = 1_000;
const LONGEST_LINE: usize = 200;

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
    /// It is about what changes in a file that was there (tag `existing`): a new file says nothing.
    pub existing_only: bool,
    /// What it matches is a secret and must never be shown.
    pub secret: bool,
    /// Hits are reported. A rule that is switched off still redacts.
    pub reports: bool,
    /// The shape of the change decides, in code.
    pub check: bool,
    /// It is about a folder as a whole (tag `folder`).
    pub folder: bool,
    /// It names a kind of secret that other rules know more closely (tag `generic`).
    pub generic: bool,
    /// It looks at lines that a change takes away.
    pub removed: bool,
    /// It is about a file that a change deletes (tag `deleted`).
    pub deleted: bool,
    /// What stands in a comment is no hit (tag `code`).
    pub not_in_comments: bool,
    /// Its form says enough: its values are not judged (tag `exact`).
    pub(super) exact: bool,
    /// Values that only stand for a secret are no hits (but with tag `exact`: its form says enough).
    pub(super) no_placeholders: bool,
    /// It looks for values that are assigned to names of secrets, in this form, instead of a regex.
    pub(super) assigned: Option<Form>,
    /// It looks for a value after a name (`rule_pattern.rs`).
    pub(super) named: bool,
    /// How many lines a match may lie on; `None`: unknown.
    lines: Option<usize>,
    /// Fixes that need no thought: what to look for in the line, and what to put there. The first that changes it
    /// is offered.
    pub(super) fix: Vec<(Pattern, String)>,
    /// For people.
    pub docs: Docs,
    pub(super) regex: Option<Pattern>,
    pub(super) path: Option<PathPattern>,
    pub(super) secret_group: usize,
    pub(super) entropy: Option<f64>,
    pub(super) allows: Vec<Arc<Allow>>,
    pub(super) required: Vec<Required>,
    /// Indices of the required rules, in their order.
    pub(super) required_at: Vec<usize>,
}

impl Rule {
    pub(super) fn compile(
        pack: &str,
        raw: RawRule,
        secrets: bool,
        allows: Vec<Arc<Allow>>,
    ) -> Result<Self, String> {
        if raw.only_changes() {
            return Err("it has neither a regex nor a path".into());
        }
        let severity = raw.severity.unwrap_or(if secrets {
            Severity::Critical
        } else {
            Severity::Medium
        });
        let pattern = |text: &String| Pattern::new(text, raw.ours);
        let regex = raw.regex.as_ref().map(pattern).transpose()?;
        let has_group = |r: &Pattern| raw.secret_group < r.captures_len();
        if !raw.ours && regex.as_ref().is_some_and(|r| !has_group(r)) {
            return Err(format!(
                "secretGroup {} is not in its regex",
                raw.secret_group
            ));
        }
        let path = raw
            .path
            .as_ref()
            .map(|path| PathPattern::new(path, raw.path_words, raw.ours))
            .transpose()?;
        if raw.fix.len() % 2 == 1 {
            return Err("a fix is two texts: what to look for, what to put there".into());
        }
        let fix = raw
            .fix
            .chunks_exact(2)
            .map(|pair| Ok((Pattern::new(&pair[0], raw.ours)?, pair[1].clone())))
            .collect::<Result<Vec<_>, String>>()?;
        let tagged = |tag: &str| raw.tags.iter().any(|t| t == tag);
        let exact = tagged("exact");
        let composed = raw.value.is_some() || raw.token.is_some();
        let lines = match raw.lines {
            _ if !raw.ours || tagged("anywhere") => None,
            0 if !raw.assigned.is_empty() => Some(1),
            0 if composed => Some(2),
            0 => Some(LINES),
            lines => Some(lines),
        };
        let docs = Docs {
            what: raw.description,
            why: raw.why,
            help: raw.help,
            aliases: raw.aliases,
            class: raw.class,
            languages: raw.languages,
            bad: raw.bad,
            good: raw.good,
            file: raw.file,
        };
        Ok(Self {
            severity,
            message: docs.message(None),
            change_only: tagged("change"),
            existing_only: tagged("existing"),
            generic: tagged("generic") || raw.id.to_ascii_lowercase().contains("generic"),
            secret: secrets,
            reports: !raw.skip_report,
            check: raw.check,
            folder: tagged("folder"),
            removed: raw.side == "removed",
            deleted: tagged("deleted"),
            not_in_comments: tagged("code"),
            no_placeholders: secrets
                && !exact
                && (raw.ours || raw.token.is_some() || raw.value.is_some()),
            assigned: match raw.assigned.as_str() {
                "" => None,
                "quoted" => Some(Form::Quoted),
                "bare" => Some(Form::Bare),
                other => return Err(format!("assigned = '{other}': quoted or bare")),
            },
            fix,
            docs,
            id: format!("{pack}/{}", raw.id),
            regex,
            path,
            secret_group: if raw.value.is_some() {
                VALUE_GROUP
            } else {
                raw.secret_group
            },
            exact,
            named: raw.value.is_some(),
            lines,
            entropy: raw.entropy.filter(|e| *e != 0.0),
            allows,
            required: raw.required,
            required_at: Vec::new(),
        })
    }

    /// It has a pattern that is held against the text of files.
    pub(super) fn looks_into_files(&self) -> bool {
        self.regex.is_some() || self.assigned.is_some()
    }

    /// It looks at names of files, not into them.
    pub fn is_about_paths(&self) -> bool {
        !self.looks_into_files() && self.path.is_some()
    }

    /// It is about files with this name.
    pub(super) fn applies_to(&self, name: &FileName) -> bool {
        let languages = &self.docs.languages;
        (languages.is_empty()
            || name
                .language
                .is_some_and(|l| languages.iter().any(|own| own == l)))
            && self.path.as_ref().is_none_or(|p| p.is_match(name))
    }

    /// How far from one of its keywords a match may lie.
    pub(super) fn reach(&self) -> Reach {
        self.lines.map_or(Reach::Anywhere, Reach::Lines)
    }

    /// Calls `hit` with each match in the `regions` of `text` until it says stop or the time is over. `redacting`: a
    /// path that is excused from findings is not excused from redaction.
    pub(super) fn find(
        &self,
        name: &FileName,
        text: &[u8],
        regions: &[(usize, usize)],
        redacting: bool,
        budget: &Budget,
        mut hit: impl FnMut(usize, usize) -> bool,
    ) {
        let excusing = (!redacting).then_some(name);
        if let Some(form) = self.assigned {
            assignments::find(name.language, text, regions, form, |assigned| {
                let found = Match {
                    whole: (assigned.start, assigned.value.1),
                    secret: assigned.value,
                };
                !budget.is_over()
                    && (self.is_excused(excusing, text, found, redacting)
                        || hit(assigned.value.0, assigned.value.1))
            });
            return;
        }
        let Some(regex) = &self.regex else { return };
        for (start, end) in regions {
            // What stands before a region is looked at by borders of words, what stands behind it is not.
            let (until, mut at) = (&text[..*end], *start);
            while let Some(captures) = regex.captures_at(until, at) {
                let Some(whole) = captures.get(0).filter(|_| !budget.is_over()) else {
                    return;
                };
                at = whole.end() + usize::from(whole.is_empty());
                let goes_on = self
                    .matched(text, &captures, whole, excusing, redacting)
                    .is_none_or(|(start, end)| hit(start, end));
                if !goes_on {
                    return;
                }
                if at > until.len() {
                    break;
                }
            }
        }
    }

    /// Where a match is a hit: what of it counts.
    fn matched(
        &self,
        text: &[u8],
        captures: &Captures,
        whole: regex::bytes::Match,
        excusing: Option<&FileName>,
        redacting: bool,
    ) -> Option<(usize, usize)> {
        let secret = self.secret_of(captures).unwrap_or(whole);
        if self.named {
            let name = captures.get(1).unwrap_or(whole);
            let digit = secret.as_bytes().iter().any(u8::is_ascii_digit);
            if !stands_alone(text, name.start(), name.end()) || !(digit || self.exact) {
                return None;
            }
        }
        let found = Match {
            whole: (whole.start(), whole.end()),
            secret: (secret.start(), secret.end()),
        };
        if whole.is_empty()
            || self.is_too_long(whole.len())
            || self.is_excused(excusing, text, found, redacting)
        {
            return None;
        }
        // A line break at an end of the match belongs to no secret.
        let matched = whole.as_bytes();
        let before = matched.iter().take_while(|b| **b == b'\n').count();
        let after = matched.iter().rev().take_while(|b| **b == b'\n').count();
        (before + after < matched.len()).then(|| (whole.start() + before, whole.end() - after))
    }

    /// Parts of a match that stand so far from each other have nothing to do with each other: a program on one line.
    fn is_too_long(&self, bytes: usize) -> bool {
        let most = |lines: usize| LONGEST + lines * LONGEST_LINE;
        !self.secret && self.lines.is_some_and(|lines| bytes > most(lines))
    }

    /// The secret of the first match, whatever excuses it.
    pub(super) fn first_match<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        let captures = self.regex.as_ref()?.captures(text)?;
        let secret = self.secret_of(&captures).or(captures.get(0))?;
        Some(secret.as_bytes())
    }

    /// The group of a match that is its secret: the one that the rule names, else the first that is not empty.
    fn secret_of<'t>(&self, captures: &Captures<'t>) -> Option<regex::bytes::Match<'t>> {
        match self.secret_group {
            0 => (1..captures.len())
                .filter_map(|group| captures.get(group))
                .find(|m| !m.is_empty()),
            group => captures.get(group),
        }
    }

    /// Too little entropy, a placeholder, or an allow list excuses a match.
    fn is_excused(
        &self,
        path: Option<&FileName>,
        text: &[u8],
        found: Match,
        redacting: bool,
    ) -> bool {
        let (secret, whole) = (
            &text[found.secret.0..found.secret.1],
            &text[found.whole.0..found.whole.1],
        );
        if self.entropy.is_some_and(|least| entropy(secret) <= least)
            || (self.no_placeholders && !secret.contains(&b'\n') && is_placeholder(secret))
        {
            return true;
        }
        // Only looked for where it is asked for: a line may be long, and hold a thousand hits.
        let line = || line_around(text, found.whole.0, found.whole.1);
        self.allows
            .iter()
            .filter(|a| !(redacting && a.findings_only))
            .any(|a| a.allows(path, secret, whole, line))
    }
}

/// A match, and what of it is the secret: byte offsets.
#[derive(Debug, Clone, Copy)]
struct Match {
    whole: (usize, usize),
    secret: (usize, usize),
}

fn line_around(text: &[u8], start: usize, end: usize) -> &[u8] {
    let from = memchr::memrchr(b'\n', &text[..start]).map_or(0, |at| at + 1);
    let to = memchr::memchr(b'\n', &text[end..]).map_or(text.len(), |at| end + at);
    &text[from..to]
}
