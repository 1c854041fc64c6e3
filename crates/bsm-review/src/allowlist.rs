//! Allow lists: what excuses a hit, in gitleaks' terms.

use aho_corasick::AhoCorasick;

use super::path_pattern::{FileName, PathPattern};
use super::pattern::Pattern;
use super::rule_file::RawAllow;

/// What an allow list's regexes are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AllowTarget {
    Secret,
    Match,
    Line,
}

/// What excuses a hit.
#[derive(Debug)]
pub(super) struct Allow {
    regexes: Vec<Pattern>,
    paths: Vec<PathPattern>,
    stopwords: Option<AhoCorasick>,
    target: AllowTarget,
    all: bool,
    /// It names commits, which a diff does not have: where all criteria must be met it is never met.
    by_commit: bool,
    pub(super) findings_only: bool,
}

impl Allow {
    pub(super) fn compile(raw: &RawAllow) -> Result<Self, String> {
        let empty = raw.regexes.is_empty()
            && raw.paths.is_empty()
            && raw.stopwords.is_empty()
            && raw.commits.is_empty();
        if empty {
            return Err("it names no regexes, paths, stopwords or commits".into());
        }
        let stopwords = if raw.stopwords.is_empty() {
            None
        } else {
            let words = AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(&raw.stopwords)
                .map_err(|e| e.to_string())?;
            Some(words)
        };
        Ok(Self {
            regexes: Pattern::all(&raw.regexes, raw.ours)?,
            paths: raw
                .paths
                .iter()
                .enumerate()
                .map(|(place, path)| {
                    let words = raw.path_words.get(place).cloned().unwrap_or_default();
                    PathPattern::new(path, words, raw.ours)
                })
                .collect::<Result<_, String>>()?,
            stopwords,
            target: match raw.regex_target.as_deref() {
                Some("match") => AllowTarget::Match,
                Some("line") => AllowTarget::Line,
                None | Some("" | "secret") => AllowTarget::Secret,
                Some(other) => return Err(format!("unknown regexTarget '{other}'")),
            },
            all: match raw.condition.as_deref().map(str::to_ascii_uppercase) {
                None => false,
                Some(word) => match word.as_str() {
                    "" | "OR" | "||" => false,
                    "AND" | "&&" => true,
                    _ => return Err(format!("unknown condition '{word}'")),
                },
            },
            by_commit: !raw.commits.is_empty(),
            findings_only: raw.findings_only,
        })
    }

    /// It excuses the whole file.
    pub(super) fn allows_path(&self, path: &FileName) -> bool {
        let only_paths = self.regexes.is_empty() && self.stopwords.is_none() && !self.by_commit;
        (!self.all || only_paths) && self.paths.iter().any(|r| r.is_match(path))
    }

    pub(super) fn allows<'t>(
        &self,
        path: Option<&FileName>,
        secret: &'t [u8],
        whole: &'t [u8],
        line: impl Fn() -> &'t [u8],
    ) -> bool {
        let text = match self.target {
            AllowTarget::Secret => secret,
            AllowTarget::Match => whole,
            AllowTarget::Line => line(),
        };
        let criteria = [
            (!self.regexes.is_empty()).then(|| self.regexes.iter().any(|r| r.is_match(text))),
            (!self.paths.is_empty())
                .then(|| path.is_some_and(|p| self.paths.iter().any(|r| r.is_match(p)))),
            self.stopwords.as_ref().map(|words| words.is_match(secret)),
            self.by_commit.then_some(false),
        ];
        let mut met = criteria.into_iter().flatten();
        if self.all {
            met.all(|m| m)
        } else {
            met.any(|m| m)
        }
    }
}
