//! Which rules may hit in a text, by the words they ask for: the one pass over all of it.
//!
//! Why two automata: a table of all transitions reads text twice as fast and takes two megabytes, which an
//! engine that reads little more than its own log lines need not hold. It is built once enough was read.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Bytes after which the larger automaton pays.
const WORTH_IT: usize = 1 << 20;

/// The words of all rules, looked for at once.
#[derive(Debug)]
pub(super) struct Keywords {
    words: Vec<String>,
    /// For each word, the rules that asked for it.
    asked_by: Vec<Vec<usize>>,
    small: AhoCorasick,
    fast: OnceLock<Option<AhoCorasick>>,
    /// Bytes that were read.
    read: AtomicUsize,
}

impl Keywords {
    /// Words in lower case, each with the rules that ask for it. `None`: they cannot be looked for, so that
    /// every rule must be tried.
    pub(super) fn new(words: BTreeMap<String, Vec<usize>>) -> Option<Self> {
        let (words, asked_by): (Vec<String>, Vec<Vec<usize>>) = words.into_iter().unzip();
        let small = built(&words, AhoCorasickKind::ContiguousNFA)?;
        Some(Self {
            words,
            asked_by,
            small,
            fast: OnceLock::new(),
            read: AtomicUsize::new(0),
        })
    }

    /// Calls `wanted` with every rule whose word stands in `text`, perhaps more than once.
    pub(super) fn each(&self, text: &[u8], mut wanted: impl FnMut(usize)) {
        for found in self.automaton(text.len()).find_overlapping_iter(text) {
            for rule in &self.asked_by[found.pattern().as_usize()] {
                wanted(*rule);
            }
        }
    }

    fn automaton(&self, more: usize) -> &AhoCorasick {
        let read = self.read.fetch_add(more, Ordering::Relaxed);
        if read.saturating_add(more) < WORTH_IT {
            return &self.small;
        }
        self.fast
            .get_or_init(|| built(&self.words, AhoCorasickKind::DFA))
            .as_ref()
            .unwrap_or(&self.small)
    }
}

fn built(words: &[String], kind: AhoCorasickKind) -> Option<AhoCorasick> {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(kind))
        .build(words)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_automata_want_the_same_rules() {
        let words = [("token", vec![0, 2]), ("ken", vec![1]), ("-----", vec![3])];
        let words = words.map(|(word, rules)| (word.to_owned(), rules));
        let keywords = Keywords::new(words.into()).unwrap();
        let wanted = |text: &str| {
            let mut rules = Vec::new();
            keywords.each(text.as_bytes(), |rule| rules.push(rule));
            rules.sort_unstable();
            rules.dedup();
            rules
        };
        let expected = [
            ("a ToKeN", vec![0, 1, 2]),
            ("ken --", vec![1]),
            ("", vec![]),
        ];
        for (text, rules) in &expected {
            assert_eq!(wanted(text), *rules);
        }
        assert!(keywords.fast.get().is_none(), "little was read");
        wanted(&" ".repeat(WORTH_IT));
        for (text, rules) in &expected {
            assert_eq!(wanted(text), *rules);
        }
        assert!(keywords.fast.get().is_some());
    }
}
