//! Where in a text a rule is tried: around the words that it asks for.
//!
//! Why not everywhere: a word that one file holds would make each of its rules read megabytes.

/// How far from one of its words a match of a rule may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Unknown: the whole text is tried.
    Anywhere,
    /// A match lies on so many lines at most.
    Lines(usize),
}

/// Parts of a text: byte offsets of start and end, ascending, none touching another.
pub(super) type Parts = Vec<(usize, usize)>;

/// For each rule that may hit, the parts of a text in which it is tried.
#[derive(Debug, Default)]
pub(super) struct Regions {
    /// For each rule, its place in `found` and one; 0: no word of it was met; `NOT_TRIED`: it is not for this file.
    slots: Vec<u32>,
    found: Vec<OfRule>,
}

#[derive(Debug)]
struct OfRule {
    rule: usize,
    parts: Parts,
    /// End of the line in which its last word stands.
    line_end: usize,
}

impl OfRule {
    fn add_whole(&mut self, text: &[u8]) {
        self.parts = vec![(0, text.len())];
        self.line_end = text.len();
    }
}

const NOT_TRIED: u32 = u32::MAX;

impl Regions {
    /// Of none of `rules` rules.
    pub(super) fn new(rules: usize) -> Self {
        Self {
            slots: vec![0; rules],
            found: Vec::new(),
        }
    }

    /// A rule is tried everywhere, if it `applies`.
    pub(super) fn add_whole(&mut self, rule: usize, text: &[u8], applies: impl Fn(usize) -> bool) {
        if let Some(of) = self.of(rule, applies) {
            of.add_whole(text);
        }
    }

    /// A rule's word stands in `text`; it is tried if it `applies`. Words come in the order in which they end.
    pub(super) fn add(
        &mut self,
        rule: usize,
        text: &[u8],
        word: (usize, usize),
        reach: Reach,
        applies: impl Fn(usize) -> bool,
    ) {
        let Some(of) = self.of(rule, applies) else {
            return;
        };
        if word.1 <= of.line_end {
            return;
        }
        let Reach::Lines(lines) = reach else {
            return of.add_whole(text);
        };
        let line_after = |at: usize| memchr::memchr(b'\n', &text[at..]).map(|n| at + n + 1);
        of.line_end = line_after(word.1).unwrap_or(text.len());
        let mut end = of.line_end;
        for _ in 1..lines {
            end = line_after(end).unwrap_or(text.len());
        }
        let before = of.parts.last().map_or(0, |(_, end)| *end);
        let line_before = |at: usize| {
            let line = text.get(before..at)?;
            Some(memchr::memrchr(b'\n', line).map_or(before, |n| before + n + 1))
        };
        let mut start = line_before(word.0).unwrap_or(word.0);
        for _ in 1..lines {
            match start.checked_sub(1).and_then(line_before) {
                Some(line) => start = line,
                None => break,
            }
        }
        match of.parts.last_mut() {
            Some(last) if start <= last.1 => last.1 = end,
            _ => of.parts.push((start, end)),
        }
    }

    /// The rules that may hit, ascending, each with where it is tried.
    pub(super) fn sorted(mut self) -> Vec<(usize, Parts)> {
        self.found.sort_unstable_by_key(|of| of.rule);
        let found = self.found.into_iter();
        found.map(|of| (of.rule, of.parts)).collect()
    }

    fn of(&mut self, rule: usize, applies: impl Fn(usize) -> bool) -> Option<&mut OfRule> {
        let slot = &mut self.slots[rule];
        if *slot == 0 {
            if applies(rule) {
                self.found.push(OfRule {
                    rule,
                    parts: Parts::new(),
                    line_end: 0,
                });
                *slot = self.found.len() as u32;
            } else {
                *slot = NOT_TRIED;
            }
        }
        match *slot {
            NOT_TRIED => None,
            place => Some(&mut self.found[place as usize - 1]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(text: &str, word: &str, reach: Reach) -> Vec<String> {
        let mut regions = Regions::new(1);
        for (start, _) in text.match_indices(word) {
            regions.add(
                0,
                text.as_bytes(),
                (start, start + word.len()),
                reach,
                |_| true,
            );
        }
        let of = regions.sorted().first().map(|(_, of)| of.clone());
        let of = of.unwrap_or_default().into_iter();
        of.map(|(start, end)| text[start..end].to_owned()).collect()
    }

    #[test]
    fn region_is_the_lines_that_a_match_may_reach() {
        let text = "one\ntwo key\nthree\nfour key\nfive key\nsix";
        let lines = ["two key\n", "four key\nfive key\n"];
        assert_eq!(regions(text, "key", Reach::Lines(1)), lines);
        let all = ["one\ntwo key\nthree\nfour key\nfive key\nsix"];
        assert_eq!(regions(text, "key", Reach::Lines(2)), all);
        let end = ["four key\nfive key\nsix"];
        assert_eq!(regions(text, "five", Reach::Lines(2)), end);
        assert_eq!(regions(text, "key", Reach::Anywhere), all);
        assert!(regions(text, "seven", Reach::Anywhere).is_empty());
        assert_eq!(regions("key", "key", Reach::Lines(9)), ["key"]);
        assert_eq!(
            regions("\nkey\n\nkey", "key", Reach::Lines(1)),
            ["key\n", "key"]
        );
        let mut none = Regions::new(1);
        none.add(0, b"key", (0, 3), Reach::Anywhere, |_| false);
        assert!(none.sorted().is_empty(), "it is not for this file");
    }
}
