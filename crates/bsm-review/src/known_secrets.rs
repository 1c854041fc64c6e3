//! Values that must leave no process (configured keys, tokens, proxy passwords), found in text in whatever
//! form they were written: plain, base64 at any alignment, hexadecimal, percent-encoded, JSON escapes.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shortest value that is looked for; shorter ones would take out ordinary words.
const SHORTEST: usize = 8;
/// Fewest characters of a base64 form that are looked for.
const SHORTEST_FORM: usize = 10;

/// The values, in all forms.
#[derive(Clone)]
pub(super) struct KnownSecrets {
    /// Plain and base64.
    exact: AhoCorasick,
    /// Hexadecimal digits of either case.
    hex: AhoCorasick,
}

impl KnownSecrets {
    /// `None` when there is nothing to look for.
    pub(super) fn new(values: &[String]) -> Option<Self> {
        let values: Vec<&[u8]> = values
            .iter()
            .map(String::as_bytes)
            .filter(|v| v.len() >= SHORTEST)
            .collect();
        if values.is_empty() {
            return None;
        }
        let mut exact: Vec<Vec<u8>> = values.iter().copied().flat_map(exact_forms).collect();
        exact.sort();
        exact.dedup();
        let hex = values.iter().map(|v| bsm_base::hex(v));
        // One value may begin with another.
        let build = |forms: Vec<Vec<u8>>, any_case: bool| {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .ascii_case_insensitive(any_case)
                .build(forms)
                .ok()
        };
        Some(Self {
            exact: build(exact, false)?,
            hex: build(hex.map(String::into_bytes).collect(), true)?,
        })
    }

    /// Byte ranges of all values in `text`; they may overlap.
    pub(super) fn find(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for automaton in [&self.exact, &self.hex] {
            found.extend(automaton.find_iter(text).map(|m| (m.start(), m.end())));
        }
        // Escapes within escapes: a JSON string inside a URL, or the other way round.
        let mut view = Unescaped::of(text);
        for _ in 0..2 {
            let Some(unescaped) = view else { break };
            found.extend(
                self.exact
                    .find_iter(&unescaped.text)
                    .map(|m| unescaped.range(m.start(), m.end())),
            );
            view = unescaped.again();
        }
        found
    }
}

fn exact_forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec()];
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for shift in 0..3usize {
            // The value behind `shift` other bytes: characters that also depend on those, or on what
            // follows, are left out.
            let padded = [vec![0; shift], value.to_vec()].concat();
            let encoded = engine.encode(&padded);
            let first = (shift * 8).div_ceil(6);
            let last = padded.len() * 8 / 6;
            let form = &encoded[first.min(last)..last.min(encoded.len())];
            if form.len() >= SHORTEST_FORM {
                forms.push(form.as_bytes().to_vec());
            }
        }
    }
    forms
}

/// Text with its percent and backslash escapes undone, and the way back to where each byte came from.
struct Unescaped {
    text: Vec<u8>,
    /// Start of each byte in the original text, and one past the last.
    from: Vec<usize>,
}

impl Unescaped {
    /// `None` when there is nothing to undo.
    fn of(text: &[u8]) -> Option<Self> {
        let places: Vec<usize> = (0..=text.len()).collect();
        Self::undo(text, &places)
    }

    fn again(&self) -> Option<Self> {
        Self::undo(&self.text, &self.from)
    }

    fn undo(text: &[u8], places: &[usize]) -> Option<Self> {
        memchr::memchr2(b'%', b'\\', text)?;
        let (mut out, mut from) = (
            Vec::with_capacity(text.len()),
            Vec::with_capacity(text.len()),
        );
        let mut at = 0;
        let mut changed = false;
        while at < text.len() {
            let (bytes, taken) = match escape(&text[at..]) {
                Some((c, taken)) => {
                    changed = true;
                    let mut buffer = [0; 4];
                    (
                        c.map_or_else(
                            |b| vec![b],
                            |c| c.encode_utf8(&mut buffer).as_bytes().to_vec(),
                        ),
                        taken,
                    )
                }
                None => (vec![text[at]], 1),
            };
            for byte in bytes {
                out.push(byte);
                from.push(places[at]);
            }
            at += taken;
        }
        from.push(places[text.len()]);
        changed.then_some(Self { text: out, from })
    }

    fn range(&self, start: usize, end: usize) -> (usize, usize) {
        (self.from[start], self.from[end])
    }
}

/// The escape at the start of `text`: a byte (`%41`, `\\x41`) or a character (`\\u0041`, `\\/`), and its length.
fn escape(text: &[u8]) -> Option<(Result<char, u8>, usize)> {
    let hex = |from: usize, digits: usize| {
        let digits = std::str::from_utf8(text.get(from..from + digits)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    match text {
        [b'%', ..] => Some((Err(hex(1, 2)? as u8), 3)),
        [b'\\', b'x', ..] => Some((Err(hex(2, 2)? as u8), 4)),
        [b'\\', b'u', ..] => Some((Ok(char::from_u32(hex(2, 4)?)?), 6)),
        [b'\\', next @ (b'/' | b'\\' | b'"'), ..] => Some((Err(*next), 2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "hunter2-hunter2/+~x";

    fn known() -> KnownSecrets {
        KnownSecrets::new(&[VALUE.to_owned(), "short".to_owned()]).unwrap()
    }

    fn hides(form: &str) {
        let text = format!("before {form} after");
        let mut kept: Vec<bool> = vec![true; text.len()];
        for (start, end) in known().find(text.as_bytes()) {
            kept[start..end].fill(false);
        }
        let left: String = text
            .bytes()
            .zip(&kept)
            .filter(|(_, k)| **k)
            .map(|(b, _)| b as char)
            .collect();
        // Of base64, at most the characters at both ends, which belong to other bytes too, may stay.
        assert!(left.len() <= "before  after".len() + 4, "{form}: {left}");
    }

    #[test]
    fn value_in_every_form_is_found() {
        hides(VALUE);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            for before in ["", "u", "us", "user:"] {
                let text = engine.encode(format!("{before}{VALUE}"));
                let found = known().find(text.as_bytes());
                let (start, end) = found.first().copied().unwrap_or_else(|| panic!("{text}"));
                assert!(end - start + 4 >= VALUE.len() * 8 / 6, "{text}");
            }
        }
        let each = |f: fn(u8) -> String| VALUE.bytes().map(f).collect::<String>();
        hides(&each(|b| format!("{b:02x}")));
        hides(&each(|b| format!("{b:02X}")));
        hides(&each(|b| format!("%{b:02X}")));
        hides(&each(|b| format!("%{b:02x}")));
        hides(&each(|b| format!("\\u{:04x}", u32::from(b))));
        hides(&each(|b| format!("\\x{b:02x}")));
        hides(&VALUE.replace('/', "\\/"));
        hides(&VALUE.replace('/', "%2F").replace('+', "%2b"));
        hides(&VALUE.replace('/', "%252F"));
        hides(&VALUE.replace('-', "\\u002d"));
    }

    #[test]
    fn short_values_and_other_text_are_left_alone() {
        assert!(KnownSecrets::new(&["short".to_owned()]).is_none());
        assert!(known().find(b"100% \\u00 short \\x text").is_empty());
    }
}
