//! The filter language of all lists: `state:failed agent:security-agent took>2s -timeout "two words"`.
//!
//! Why one language: what is learnt on one list holds on the others. Every term must hold; a word alone
//! is looked for anywhere; `-` before a term turns it round.

/// What a list's row offers to a filter.
pub trait Row {
    /// The texts of a field, lower case; empty where the row has no such field.
    fn field(&self, key: &str) -> Vec<String>;
    /// A field as a number in milliseconds, or as it is; `None` where it has none.
    fn number(&self, key: &str) -> Option<u64>;
    /// True when the row shows `word` (lower case) anywhere.
    fn shows(&self, word: &str) -> bool;
}

/// A field as filters see it.
pub fn lowered(text: &str) -> String {
    text.to_lowercase()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Anywhere(String),
    Has(String, String),
    More(String, u64),
    Less(String, u64),
}

/// A filter, read once and applied to every row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<(bool, Test)>,
}

impl Filter {
    /// Reads a filter; anything is one: what is no term is a word.
    pub fn read(text: &str) -> Self {
        let terms = words(&text.to_lowercase())
            .into_iter()
            .filter_map(|(word, quoted)| term(&word, quoted))
            .collect();
        Self { terms }
    }

    /// True when it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The first field that no row has: a slip of the finger, or another list's.
    pub fn unknown<'a, R: Row + 'a>(
        &self,
        rows: impl Iterator<Item = &'a R> + Clone,
    ) -> Option<&str> {
        let keys = self.terms.iter().filter_map(|(_, test)| match test {
            Test::Anywhere(_) => None,
            Test::Has(key, _) | Test::More(key, _) | Test::Less(key, _) => Some(key.as_str()),
        });
        let mut keys = keys.filter(|key| {
            rows.clone()
                .all(|row| row.field(key).is_empty() && row.number(key).is_none())
        });
        keys.next()
    }

    /// True when every term holds.
    pub fn passes(&self, row: &impl Row) -> bool {
        self.terms.iter().all(|(wanted, test)| {
            let holds = match test {
                Test::Anywhere(word) => row.shows(word),
                Test::Has(key, value) => {
                    let fields = row.field(key);
                    let same = || amount(value).is_some_and(|n| row.number(key) == Some(n));
                    fields.iter().any(|f| f.contains(value)) || fields.is_empty() && same()
                }
                Test::More(key, than) => row.number(key).is_some_and(|n| n > *than),
                Test::Less(key, than) => row.number(key).is_some_and(|n| n < *than),
            };
            holds == *wanted
        })
    }
}

/// Words, those between quotes whole.
fn words(text: &str) -> Vec<(String, bool)> {
    let mut out = Vec::new();
    let (mut word, mut inside, mut quoted) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            '"' => {
                inside = !inside;
                quoted = true;
            }
            c if c.is_whitespace() && !inside => {
                if !word.is_empty() {
                    out.push((std::mem::take(&mut word), quoted));
                }
                quoted = false;
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        out.push((word, quoted));
    }
    out
}

fn term(word: &str, quoted: bool) -> Option<(bool, Test)> {
    let (wanted, word) = match word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
        Some(rest) => (false, rest),
        None => (true, word),
    };
    if word.is_empty() {
        return None;
    }
    let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic());
    let test = if let Some((key, value)) = word
        .split_once(':')
        .filter(|(k, v)| is_key(k) && !v.is_empty())
    {
        match amount(value).filter(|_| key == "since") {
            // `since:10m` of what is no older than ten minutes.
            Some(ms) => Test::Less("age".to_owned(), ms),
            None => Test::Has(key.to_owned(), value.to_owned()),
        }
    } else if let Some((key, value)) = word.split_once('>').filter(|(k, _)| is_key(k) && !quoted)
        && let Some(n) = amount(value)
    {
        Test::More(key.to_owned(), n)
    } else if let Some((key, value)) = word.split_once('<').filter(|(k, _)| is_key(k) && !quoted)
        && let Some(n) = amount(value)
    {
        Test::Less(key.to_owned(), n)
    } else {
        Test::Anywhere(word.to_owned())
    };
    Some((wanted, test))
}

/// `2s`, `300ms`, `5m`, `1h` as milliseconds, `$0.05` as millionths of a dollar, or a plain number.
fn amount(text: &str) -> Option<u64> {
    if let Some(dollars) = text.strip_prefix('$') {
        let dollars: f64 = dollars.parse().ok()?;
        let known = dollars.is_finite() && dollars >= 0.0;
        return known.then_some((dollars * 1e6).round() as u64);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
    let factor = match &text[digits.len()..] {
        "" | "ms" => 1.0,
        "s" => 1_000.0,
        "m" | "min" => 60_000.0,
        "h" => 3_600_000.0,
        _ => return None,
    };
    Some((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Sample;

    #[test]
    fn a_field_that_no_row_has_is_named() {
        let unknown = |text: &str| {
            let filter = Filter::read(text);
            filter.unknown([Sample].iter()).map(str::to_owned)
        };
        assert_eq!(unknown("state:failed took>1s word"), None);
        assert_eq!(unknown("state:failed foo:bar"), Some("foo".into()));
        assert_eq!(unknown("-size>3"), Some("size".into()));
    }

    impl Row for Sample {
        fn field(&self, key: &str) -> Vec<String> {
            match key {
                "state" => vec!["failed".into()],
                "agent" => vec!["security-agent".into(), "integrity-agent".into()],
                _ => Vec::new(),
            }
        }
        fn number(&self, key: &str) -> Option<u64> {
            (key == "took").then_some(2_500)
        }
        fn shows(&self, word: &str) -> bool {
            "job_1 block_pr private key at deploy/id_rsa:1".contains(word)
        }
    }

    #[test]
    fn every_term_must_hold() {
        let passes = |text: &str| Filter::read(text).passes(&Sample);
        for yes in [
            "",
            "state:failed agent:security took>2s private",
            "took<3s -state:finished",
            "took<$0.0026 took>$0.0024",
            "\"private key\"",
            "STATE:FAILED",
            "-nothing",
            "took>2499 took<2.6s",
            "took:2500",
            "id_rsa:1",
            "-",
        ] {
            assert!(passes(yes) || yes == "-", "{yes}");
        }
        for no in [
            "state:finished",
            "took>3s",
            "-private",
            "agent:legal",
            "\"key private\"",
            "nosuch:x",
            "nosuch>1",
            "took>$-1",
        ] {
            assert!(!passes(no), "{no}");
        }
    }

    proptest! {
        #[test]
        fn anything_can_be_read(text in "\\PC{0,60}") {
            Filter::read(&text).passes(&Sample);
        }
    }
}
