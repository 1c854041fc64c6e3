//! A text that rules are held against: its keywords and its encoded pieces are looked for once, whatever is asked of
//! it.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::budget::Budget;
use crate::decoding::{self, Piece};
use crate::hits::{Hit, keep_accompanied, keep_the_closest};
use crate::path_pattern::FileName;
use crate::regions::Parts;
use crate::rules::{Looking, RuleSet};

/// Most hits of one rule in one piece of text that are handed on as findings.
const MOST_HITS: usize = 1_000;

/// A piece of a file, ready to be asked what rules find in it.
#[derive(Debug)]
pub struct PreparedText<'a> {
    set: &'a RuleSet,
    name: FileName<'a>,
    text: &'a [u8],
    /// The rules that may hit, ascending, and where.
    pub(super) tried: Vec<(usize, Parts)>,
    /// What rules for secrets find in encoded pieces.
    encoded: OnceCell<Vec<Hit>>,
}

impl RuleSet {
    /// Every hit in `text`, a file's piece; rules that have a `path` only where it matches.
    pub fn find(&self, path: &str, text: &[u8], looking: Looking) -> Vec<Hit> {
        self.prepare(path, text).find(looking, &Budget::unlimited())
    }

    /// Looks for the keywords of all rules, once for all that is asked of the text.
    pub fn prepare<'a>(&'a self, path: &'a str, text: &'a [u8]) -> PreparedText<'a> {
        let name = FileName::of(path);
        PreparedText {
            set: self,
            text,
            tried: self.regions(&name, text).sorted(),
            name,
            encoded: OnceCell::new(),
        }
    }
}

impl<'a> PreparedText<'a> {
    /// The text as it is.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The rule is for this file, and a word that it asks for stands in the text.
    pub fn tries(&self, rule: usize) -> bool {
        self.place(rule).is_ok()
    }

    /// Every hit; rules that have a `path` only where it matches.
    pub fn find(&self, looking: Looking, budget: &Budget) -> Vec<Hit> {
        let mut hits = Vec::new();
        for tried in &self.tried {
            if budget.look() {
                break;
            }
            self.find_in(tried, looking, budget, &mut hits);
        }
        if looking != Looking::Removed && self.set.holds_secrets() {
            let encoded = self.encoded.get_or_init(|| self.find_encoded(budget));
            let rules = self.set.rules();
            hits.extend(encoded.iter().filter(|h| looking.tries(&rules[h.rule])));
        }
        if looking == Looking::Findings {
            keep_the_closest(self.set.rules(), &mut hits);
        }
        hits
    }

    /// The hits of one rule, where it is tried at all.
    pub fn find_rule(&self, index: usize, looking: Looking, budget: &Budget, hits: &mut Vec<Hit>) {
        if let Ok(place) = self.place(index) {
            self.find_in(&self.tried[place], looking, budget, hits);
        }
    }

    /// Where a rule stands among those that are tried.
    fn place(&self, rule: usize) -> Result<usize, usize> {
        self.tried.binary_search_by_key(&rule, |(r, _)| *r)
    }

    fn find_in(
        &self,
        (index, regions): &(usize, Parts),
        looking: Looking,
        budget: &Budget,
        hits: &mut Vec<Hit>,
    ) {
        let index = *index;
        let rule = &self.set.rules()[index];
        if !looking.tries(rule) {
            return;
        }
        let secrets_only = looking == Looking::Secrets;
        let first = hits.len();
        // What is listed of one rule is bounded; what must be redacted is not.
        let most = if secrets_only || !rule.required.is_empty() {
            usize::MAX
        } else {
            MOST_HITS
        };
        rule.find(
            &self.name,
            self.text,
            regions,
            secrets_only,
            budget,
            |start, end| {
                hits.push(Hit {
                    rule: index,
                    start,
                    end,
                });
                hits.len() - first < most
            },
        );
        if hits.len() > first && !rule.required.is_empty() {
            keep_accompanied(
                self.set.rules(),
                rule,
                &self.name,
                self.text,
                hits,
                first,
                budget,
            );
        }
    }

    fn find_encoded(&self, budget: &Budget) -> Vec<Hit> {
        let mut hits = Vec::new();
        in_pieces(
            self.set,
            self.name.path,
            self.text,
            decoding::DEEPEST,
            budget,
            |rule, piece| {
                hits.push(Hit {
                    rule,
                    start: piece.start,
                    end: piece.end,
                });
            },
        );
        hits
    }
}

/// Calls `hit` with every rule for secrets that finds something in an encoded piece of `text`, and with the piece.
fn in_pieces(
    set: &RuleSet,
    path: &str,
    text: &[u8],
    depth: usize,
    budget: &Budget,
    mut hit: impl FnMut(usize, &Piece),
) {
    decoding::pieces(text, |piece| {
        for rule in secrets_in(set, path, &piece.text, depth - 1, budget) {
            hit(rule, &piece);
        }
        !budget.is_over()
    });
}

/// The rules for secrets that find something in a text, or in what is encoded in it.
fn secrets_in(
    set: &RuleSet,
    path: &str,
    text: &[u8],
    depth: usize,
    budget: &Budget,
) -> BTreeSet<usize> {
    let mut found: BTreeSet<usize> = BTreeSet::new();
    let prepared = set.prepare(path, text);
    for (index, regions) in &prepared.tried {
        let rule = &set.rules()[*index];
        if rule.secret && rule.required.is_empty() {
            rule.find(&prepared.name, text, regions, false, budget, |_, _| {
                found.insert(*index);
                false
            });
        }
    }
    if depth > 0 {
        in_pieces(set, path, text, depth, budget, |rule, _| {
            found.insert(rule);
        });
    }
    found
}
