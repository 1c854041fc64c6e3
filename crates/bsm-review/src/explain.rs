//! Why a rule does or does not match a line: the answer to "I expected a finding here".
//!
//! Why apart from matching: matching stops at the first reason against a rule; this names it.

use super::budget::Budget;
use super::entropy::entropy;
use super::rule::Rule;
use super::rules::RuleSet;
use crate::languages::comment_start;
use crate::path_pattern::FileName;
use crate::placeholders::is_placeholder;

/// What became of a rule on a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is a finding: where on the line it begins and ends, in bytes from 0.
    Matches {
        /// Offset of its first byte.
        start: usize,
        /// Offset after its last byte.
        end: usize,
    },
    /// The rule looks at names of files only, and this one is not such a name.
    OtherName,
    /// The rule is not about files with this name.
    OtherPath,
    /// The rule is about other languages.
    OtherLanguage {
        /// What the file's name tells.
        language: Option<&'static str>,
    },
    /// The rule is decided by the shape of a whole change.
    NeedsAChange,
    /// None of the words that the rule looks for is in the line.
    NoKeyword,
    /// The pattern does not match.
    NoMatch,
    /// The pattern matches, and the value has too little disorder to be made by a machine.
    LowEntropy {
        /// Bits a byte.
        found: f64,
        /// More than this is needed.
        least: f64,
    },
    /// The value stands for a secret: a sample, a mask, a reference.
    Placeholder,
    /// An allow list excuses it.
    Allowed,
    /// It stands in a comment, and the rule is about code.
    Comment,
    /// The rule is switched off.
    Off,
}

impl Outcome {
    /// In words.
    pub fn summary(&self) -> String {
        match self {
            Self::Matches { start, end } => format!("matches, columns {} to {end}", start + 1),
            Self::OtherName => "looks at names of files; this is no such name".to_owned(),
            Self::OtherPath => "is not about files with this name".to_owned(),
            Self::OtherLanguage { language } => format!(
                "is about other languages (this file: {})",
                language.unwrap_or("not known by its name")
            ),
            Self::NeedsAChange => "needs a whole change (bsm rules test DIFF)".to_owned(),
            Self::NoKeyword => "none of its keywords is in the line".to_owned(),
            Self::NoMatch => "its pattern does not match".to_owned(),
            Self::LowEntropy { found, least } => {
                format!(
                    "matches, but the value's entropy is {found:.2} bits a byte; more than {least:.2} is needed"
                )
            }
            Self::Placeholder => "matches, but the value is a placeholder".to_owned(),
            Self::Allowed => "matches, but an allow list excuses it".to_owned(),
            Self::Comment => "matches, but in a comment".to_owned(),
            Self::Off => "is switched off".to_owned(),
        }
    }
}

impl RuleSet {
    /// What becomes of one rule on a line of the file at `path`; `None`: there is no such rule.
    pub fn explain(&self, id: &str, path: &str, line: &str) -> Option<Outcome> {
        let index = self.rules().iter().position(|r| r.id == id)?;
        let rule = &self.rules()[index];
        let tried = self.prepare(path, line.as_bytes()).tries(index);
        Some(outcome(rule, tried, path, line))
    }
}

fn outcome(rule: &Rule, tried: bool, path: &str, line: &str) -> Outcome {
    if !rule.reports {
        return Outcome::Off;
    }
    if rule.check || rule.removed {
        return Outcome::NeedsAChange;
    }
    let name = FileName::of(path);
    let own = name.language;
    if !rule.docs.languages.is_empty()
        && own.is_none_or(|l| rule.docs.languages.iter().all(|r| r != l))
    {
        return Outcome::OtherLanguage { language: own };
    }
    if rule.is_about_paths() {
        return if rule.applies_to(&name) {
            Outcome::Matches { start: 0, end: 0 }
        } else {
            Outcome::OtherName
        };
    }
    if !rule.applies_to(&name) {
        return Outcome::OtherPath;
    }
    if !tried {
        return Outcome::NoKeyword;
    }
    let text = line.as_bytes();
    let mut hit = None;
    let whole = [(0, text.len())];
    rule.find(
        &name,
        text,
        &whole,
        false,
        &Budget::unlimited(),
        |start, end| {
            hit = Some((start, end));
            false
        },
    );
    if let Some((start, end)) = hit {
        let comment =
            rule.not_in_comments && comment_start(own, text).is_some_and(|at| at <= start);
        return if comment {
            Outcome::Comment
        } else {
            Outcome::Matches { start, end }
        };
    }
    // The pattern alone, to tell what excused it.
    let Some(secret) = rule.first_match(text) else {
        return Outcome::NoMatch;
    };
    match rule.entropy {
        Some(least) if entropy(secret) <= least => Outcome::LowEntropy {
            found: entropy(secret),
            least,
        },
        _ if rule.no_placeholders && is_placeholder(secret) => Outcome::Placeholder,
        _ => Outcome::Allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packs::built_in;

    fn of(id: &str, path: &str, line: &str) -> Outcome {
        built_in().explain(id, path, line).unwrap()
    }

    #[test]
    fn outcome_names_what_kept_a_rule_from_matching() {
        assert_eq!(
            of("security/reverse-shell", "a.sh", "echo"),
            Outcome::NoKeyword
        );
        assert_eq!(
            of("security/reverse-shell", "a.sh", "nc -z host 1"),
            Outcome::NoMatch
        );
        assert_eq!(
            of("security/tls-verification-off", "a.py", "# verify=False"),
            Outcome::Comment
        );
        assert_eq!(
            of("security/memory-unsafe-call", "a.py", "gets(b)"),
            Outcome::OtherLanguage {
                language: Some("python")
            }
        );
        let token = ["ghp", "_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"].concat();
        assert!(matches!(
            of("secrets/github-token", "a", &token),
            Outcome::LowEntropy { .. }
        ));
        assert_eq!(
            of(
                "secrets/doppler-token",
                "a",
                &["dp.pt.", &"x1".repeat(3)].concat()
            )
            .summary(),
            "its pattern does not match"
        );
        assert!(built_in().explain("secrets/no-such", "a", "b").is_none());
    }

    #[test]
    fn outcome_of_a_finding_says_where_it_is() {
        let line = "x = gets(b);";
        assert!(matches!(
            of("security/memory-unsafe-call", "a.c", line),
            Outcome::Matches { .. }
        ));
    }
}
