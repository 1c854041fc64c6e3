//! Inline ignores: a comment beside a line that says which rule it does not mind, and why.
//!
//! Why a reason is asked for: what is silenced without one is silenced for ever. And why a change that
//! silences is still seen by a person: the comment comes from those who are reviewed.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::diff::{Hunk, Side};
use bsm_base::text::Untrusted;

/// The words that begin one. Put together, so that this file holds none.
const MARK: &str = concat!("bsm", ":ignore");
const NEXT_LINE: &str = "-next-line";
/// Shortest reason, characters.
const SHORTEST: usize = 3;

/// One ignore of a hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ignore {
    /// Index of the line in the hunk that it is for.
    line: usize,
    /// Rules, as written: `pack/id`, `id` or `pack/*`.
    rules: Vec<String>,
    /// Why; `None` where it says nothing, and then it does not count.
    reason: Option<String>,
    /// Index of the line that it stands on, where the change adds that line.
    stands: Option<usize>,
}

/// The ignores of a hunk by the line that they are for.
#[derive(Debug, Default)]
pub(super) struct Ignores(BTreeMap<usize, Vec<Ignore>>);

impl Ignores {
    /// Every ignore in the lines that the new file has.
    pub(super) fn of(hunk: &Hunk) -> Self {
        let mut by_line: BTreeMap<usize, Vec<Ignore>> = BTreeMap::new();
        for ignore in all(hunk) {
            by_line.entry(ignore.line).or_default().push(ignore);
        }
        Self(by_line)
    }

    /// The reason for which a rule's hit in these lines of the hunk is accepted.
    pub(super) fn reason(&self, rule: &str, lines: RangeInclusive<usize>) -> Option<Untrusted> {
        let mut near = self.0.range(lines).flat_map(|(_, ignores)| ignores);
        near.find_map(|ignore| ignore.covers(rule))
    }

    /// The lines on which one stands that says no reason or no rule.
    pub(super) fn without_reason(&self) -> impl Iterator<Item = usize> {
        self.0.values().flatten().filter_map(Ignore::lacks_reason)
    }
}

fn all(hunk: &Hunk) -> Vec<Ignore> {
    let mut found = Vec::new();
    let finder = memchr::memmem::Finder::new(MARK);
    for (index, line) in hunk.lines.iter().enumerate() {
        if line.side == Side::Removed {
            continue;
        }
        let Some(at) = finder.find(&line.text) else {
            continue;
        };
        let rest = String::from_utf8_lossy(&line.text[at + MARK.len()..]).into_owned();
        let (next, rest) = match rest.strip_prefix(NEXT_LINE) {
            Some(rest) => (true, rest),
            None => (false, rest.as_str()),
        };
        let target = if next {
            let after = hunk.lines.iter().enumerate().skip(index + 1);
            match after.into_iter().find(|(_, l)| l.side != Side::Removed) {
                Some((target, _)) => target,
                None => continue,
            }
        } else {
            index
        };
        let (names, reason) = rest.split_once("--").unwrap_or((rest, ""));
        let rules: Vec<String> = names
            .split([',', ' ', '\t'])
            .filter(|n| {
                !n.is_empty()
                    && n.chars()
                        .all(|c| c.is_ascii_alphanumeric() || "-_/*.:".contains(c))
            })
            .map(str::to_owned)
            .collect();
        // The end of the comment is none of the reason.
        let reason = reason.trim().trim_end_matches(['*', '/', '>', '-', ' ']);
        found.push(Ignore {
            line: target,
            rules,
            reason: (reason.chars().count() >= SHORTEST).then(|| reason.to_owned()),
            stands: (line.side == Side::Added).then_some(index),
        });
    }
    found
}

impl Ignore {
    /// The reason for which a rule's hit in its line is accepted.
    fn covers(&self, rule: &str) -> Option<Untrusted> {
        let reason = self.reason.as_ref()?;
        let named = self.rules.iter().any(|name| {
            name == rule
                || name
                    .strip_suffix("/*")
                    .is_some_and(|pack| rule.strip_prefix(pack).is_some_and(|r| r.starts_with('/')))
                || rule.rsplit('/').next() == Some(name)
        });
        named.then(|| Untrusted::new(reason.clone()))
    }

    /// The line on which it stands, where it says no reason or no rule.
    fn lacks_reason(&self) -> Option<usize> {
        self.stands
            .filter(|_| self.reason.is_none() || self.rules.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::diff::Line;
    use super::*;

    fn hunk(lines: &[&str]) -> Hunk {
        Hunk {
            lines: lines
                .iter()
                .enumerate()
                .map(|(i, text)| Line {
                    side: match text.as_bytes()[0] {
                        b'+' => Side::Added,
                        b'-' => Side::Removed,
                        _ => Side::Context,
                    },
                    number: i as u32 + 1,
                    text: text.as_bytes()[1..].to_vec(),
                })
                .collect(),
            repeated: 0,
            held_back: 0,
        }
    }

    #[test]
    fn a_rule_a_pack_or_a_bare_name_on_this_line_or_the_next() {
        let found = Ignores::of(&hunk(&[
            &format!("+x = md5(y)  # {MARK} security/weak-hash -- a cache's key"),
            &format!("+/* {MARK}{NEXT_LINE} weak-hash, quality/* -- as above */"),
            "-gone",
            "+z = md5(y)",
        ]));
        let reason = |rule, lines| found.reason(rule, lines).map(|r| r.raw().to_owned());
        assert_eq!(
            reason("security/weak-hash", 0..=0).unwrap(),
            "a cache's key"
        );
        assert!(reason("security/weak-hash", 1..=2).is_none());
        assert!(reason("security/other", 0..=0).is_none());
        assert_eq!(reason("security/weak-hash", 3..=3).unwrap(), "as above");
        assert!(reason("quality/unfinished", 2..=3).is_some());
        assert!(reason("qualityx/unfinished", 3..=3).is_none());
    }

    #[test]
    fn without_a_reason_it_does_not_count() {
        let found = Ignores::of(&hunk(&[
            &format!("+x // {MARK} security/weak-hash"),
            &format!(" y // {MARK} a --"),
        ]));
        assert!(found.reason("security/weak-hash", 0..=9).is_none());
        let lacking: Vec<_> = found.without_reason().collect();
        assert_eq!(lacking, [0], "the other was there before");
    }
}
