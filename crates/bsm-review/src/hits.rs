//! Hits of rules in a text, and which of them are kept: one finding a secret, and only in the company a rule asks for.

use super::budget::Budget;
use super::path_pattern::FileName;
use super::rule::Rule;
use super::rule_file::Required;

/// A hit inside the text that was matched: byte offsets of the whole match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Index into the rules of the set.
    pub rule: usize,
    /// Start of the match.
    pub start: usize,
    /// End of the match.
    pub end: usize,
}

/// Of a rule that requires others, only the hits that have all of them near by.
pub(super) fn keep_accompanied(
    rules: &[Rule],
    rule: &Rule,
    name: &FileName,
    text: &[u8],
    hits: &mut Vec<Hit>,
    first: usize,
    budget: &Budget,
) {
    let places = |offset: usize| {
        let before = &text[..offset];
        let line = memchr::memchr_iter(b'\n', before).count();
        let column = memchr::memrchr(b'\n', before).map_or(offset, |at| offset - at - 1);
        (line, column)
    };
    let others: Vec<(&Required, Vec<(usize, usize)>)> = rule
        .required
        .iter()
        .zip(&rule.required_at)
        .map(|(required, at)| {
            let mut found = Vec::new();
            let whole = [(0, text.len())];
            rules[*at].find(name, text, &whole, false, budget, |start, _| {
                found.push(places(start));
                true
            });
            (required, found)
        })
        .collect();
    let mut kept = first;
    for index in first..hits.len() {
        let (line, column) = places(hits[index].start);
        let near = |required: &Required, other: &(usize, usize)| {
            let within = |limit: Option<usize>, a: usize, b: usize| {
                limit.is_none_or(|most| a.abs_diff(b) <= most)
            };
            within(required.within_lines, line, other.0)
                && within(required.within_columns, column, other.1)
        };
        if others.len() == rule.required.len()
            && others
                .iter()
                .all(|(required, found)| found.iter().any(|other| near(required, other)))
        {
            hits[kept] = hits[index];
            kept += 1;
        }
    }
    hits.truncate(kept);
}

/// One finding a secret: a general rule gives way to one that knows its kind, and a rule of ours to
/// one of the same name that the operator brought.
pub(super) fn keep_the_closest(rules: &[Rule], hits: &mut Vec<Hit>) {
    let secrets = hits.iter().filter(|h| rules[h.rule].secret);
    if secrets.count() < 2 {
        return;
    }
    let bare = |rule: &Rule| rule.id.split_once('/').map_or("", |(_, id)| id).to_owned();
    let gives_way = |hit: &Hit, to: &Hit| {
        let (rule, better) = (&rules[hit.rule], &rules[to.rule]);
        to.rule != hit.rule
            && ((rule.generic && !better.generic) || rule.docs.aliases.contains(&bare(better)))
    };
    // In the order of the text, each with those that are still open where it begins: of one rule no two
    // overlap, so these are few.
    let mut order: Vec<usize> = (0..hits.len())
        .filter(|i| rules[hits[*i].rule].secret)
        .collect();
    order.sort_by_key(|i| hits[*i].start);
    let mut open: Vec<usize> = Vec::new();
    let mut gone = vec![false; hits.len()];
    for index in order {
        let hit = hits[index];
        open.retain(|other| hits[*other].end > hit.start);
        for other in &open {
            gone[index] |= gives_way(&hit, &hits[*other]);
            gone[*other] |= gives_way(&hits[*other], &hit);
        }
        open.push(index);
    }
    let mut index = 0;
    hits.retain(|_| {
        index += 1;
        !gone[index - 1]
    });
}
