//! Values that are secrets by the name of what they are given to: `password: …`, `apiKey = "…"`, `--token …`.
//!
//! Why in code: the forms of an assignment are the same everywhere, and what tells a secret from a setting is its
//! value together with its name and its language. One regex for all of it was slow, and wrong in both ways.

mod form;
mod names;
mod values;

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use crate::languages::{Language, is_configuration};
pub(super) use form::Form;
use names::Name;

/// What is looked at of a line before and after a name, bytes.
const BEFORE: usize = 256;
const AFTER: usize = LONGEST + 256;
/// Longest value, bytes.
const LONGEST: usize = 2_048;

/// A value that is taken for a secret: where it or its name begins, and the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Assigned {
    /// Start of the name, or of the value where that stands before it.
    pub(super) start: usize,
    /// Start and end of the value.
    pub(super) value: (usize, usize),
}

/// Calls `found` with every secret that is assigned in the `regions` of `text`, a piece of a file in `language`,
/// until it says stop.
pub(super) fn find(
    language: Option<Language>,
    text: &[u8],
    regions: &[(usize, usize)],
    form: Form,
    mut found: impl FnMut(Assigned) -> bool,
) {
    static WORDS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(names::WORDS.iter().map(|(word, _)| word))
            .ok()
    });
    let Some(words) = WORDS.as_ref() else { return };
    let mut after = 0;
    let words = regions
        .iter()
        .flat_map(|(start, end)| words.find_iter(Input::new(text).span(*start..*end)));
    for word in words {
        if word.start() < after {
            continue;
        }
        let line = line_around(text, word.start(), word.end());
        let kind = names::WORDS[word.pattern().as_usize()].1;
        let Some(name) = names::around(text, line, (word.start(), word.end()), kind) else {
            continue;
        };
        let Some(value) = value_of(text, line, &name, language) else {
            continue;
        };
        if value.end - value.start > LONGEST {
            after = value.end; // nothing inside of it is looked at again: a long line costs no square
            continue;
        }
        if value.form != form {
            continue;
        }
        let bytes = &text[value.start..value.end];
        if values::is_secret(bytes, &name, form, language) {
            after = value.end;
            let assigned = Assigned {
                start: name.start.min(value.start),
                value: (value.start, value.end),
            };
            if !found(assigned) {
                return;
            }
        }
    }
}

/// The line around a word, cut where it is very long.
fn line_around(text: &[u8], start: usize, end: usize) -> (usize, usize) {
    let least = start.saturating_sub(BEFORE);
    let most = (end + AFTER).min(text.len());
    let from = memchr::memrchr(b'\n', &text[least..start]).map_or(least, |at| least + at + 1);
    let to = memchr::memchr(b'\n', &text[end..most]).map_or(most, |at| end + at);
    (from, to)
}

struct Value {
    start: usize,
    end: usize,
    form: Form,
}

/// What a name is given, on its line.
fn value_of(
    text: &[u8],
    line: (usize, usize),
    name: &Name,
    language: Option<Language>,
) -> Option<Value> {
    let rest = &text[name.end..line.1];
    let Some((skipped, assigns)) = assignment(rest, name, language) else {
        return compared_value(text, line, name).or_else(|| value_alone(text, line, name));
    };
    let at = name.end + skipped;
    let rest = &text[at..line.1];
    if assigns == Assigns::Element {
        return element_text(text, at);
    }
    let (prefix, quote) = opening_quote(rest);
    if let Some(quote) = quote {
        let start = at + prefix + quote.len();
        let end = start + closing_quote(&text[start..line.1], quote)?;
        return bounded(start, end, Form::Quoted);
    }
    let bare = match assigns {
        Assigns::Flag => true,
        Assigns::Blank | Assigns::Sign => is_configuration(language) || name.in_string,
        Assigns::Argument | Assigns::Element => false,
    };
    if !bare {
        return None;
    }
    let ends = |byte: &u8| {
        byte.is_ascii_whitespace()
            || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b',' | b';' | b'\\')
    };
    // A comma or a semicolon belongs to a value of settings that have no other border.
    let loose = matches!(
        language,
        Some("properties" | "ini" | "env" | "yaml" | "dockerfile")
    ) && !name.in_string;
    let end = rest
        .iter()
        .position(|b| {
            if loose {
                b.is_ascii_whitespace()
            } else {
                ends(b)
            }
        })
        .unwrap_or(rest.len());
    // What follows must be nothing, or a comment: a sentence is no value.
    let behind = rest[end..].trim_ascii();
    let sentence = matches!(assigns, Assigns::Sign)
        && !name.in_string
        && behind.first().is_some_and(u8::is_ascii_alphanumeric)
        && !matches!(language, Some("shell" | "dockerfile" | "make" | "batch"));
    if sentence {
        return None;
    }
    bounded(at, at + end, Form::Bare)
}

/// `"…" == password`: a string that stands before the name it is compared with.
fn compared_value(text: &[u8], line: (usize, usize), name: &Name) -> Option<Value> {
    let before = text[line.0..name.start].trim_ascii_end();
    let signs: [&[u8]; 4] = [b"===", b"!==", b"==", b"!="];
    let left = signs.iter().find_map(|sign| before.strip_suffix(*sign))?;
    let left = left.trim_ascii_end();
    let quote = left.last().filter(|b| matches!(b, b'"' | b'\'' | b'`'))?;
    let inside = &left[..left.len() - 1];
    let start = memchr::memrchr(*quote, inside)? + 1;
    bounded(line.0 + start, line.0 + inside.len(), Form::Quoted)
}

/// `password "…";`: a name that begins its line, and nothing but a string after it.
fn value_alone(text: &[u8], line: (usize, usize), name: &Name) -> Option<Value> {
    let begins = text[line.0..name.start].trim_ascii().is_empty();
    let rest = &text[name.end..line.1];
    let blanks = blanks(rest);
    let quote = rest.get(blanks).filter(|b| matches!(b, b'"' | b'\''))?;
    let inside = &rest[blanks + 1..];
    let length = memchr::memchr(*quote, inside)?;
    let after = inside[length + 1..].trim_ascii();
    if !begins || blanks == 0 || !matches!(after, b"" | b";" | b",") {
        return None;
    }
    let start = name.end + blanks + 1;
    bounded(start, start + length, Form::Quoted)
}

/// The text of an element, which may stand on a line of its own.
fn element_text(text: &[u8], at: usize) -> Option<Value> {
    let rest = &text[at..(at + LONGEST).min(text.len())];
    let start = rest.iter().position(|b| !b.is_ascii_whitespace())?;
    let length = rest[start..]
        .iter()
        .position(|b| *b == b'<' || b.is_ascii_whitespace())?;
    bounded(at + start, at + start + length, Form::Bare)
}

fn bounded(start: usize, end: usize, form: Form) -> Option<Value> {
    (end > start).then_some(Value { start, end, form })
}

/// What assigns, longest first.
const MARKS: [&[u8]; 14] = [
    b":::=", b"::=", b":=", b"||=", b"?=", b".=", b"+=", b"=>", b"->", b"===", b"==", b"!==",
    b"!=", b"=",
];

/// What stands between a name and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Assigns {
    /// `=`, `:`, `=>` and their like.
    Sign,
    /// The next argument: `set("password", "…")`, or a call with the name as its verb.
    Argument,
    /// A blank: `ENV PASSWORD …`, `machine … password …`.
    Blank,
    /// A blank after a flag: `--password …`.
    Flag,
    /// `<password>…</password>`.
    Element,
}

/// How many bytes stand between a name's end and its value, and what they mean.
fn assignment(rest: &[u8], name: &Name, language: Option<Language>) -> Option<(usize, Assigns)> {
    let mut at = 0;
    let mut closed_string = false;
    while at < rest.len()
        && at < 4
        && matches!(
            rest[at],
            b'"' | b'\'' | b'`' | b']' | b')' | b'}' | b'\\' | b'?' | b'!'
        )
    {
        closed_string |= matches!(rest[at], b'"' | b'\'' | b'`');
        at += 1;
    }
    if name.element && rest.first() == Some(&b'>') {
        return Some((1, Assigns::Element));
    }
    let blanks = blanks(&rest[at..]);
    let after = &rest[at + blanks..];
    let sign = |length: usize, what: Assigns| {
        let end = at + blanks + length;
        Some((end + self::blanks(&rest[end..]), what))
    };
    for mark in MARKS {
        if after.starts_with(mark) {
            return sign(mark.len(), Assigns::Sign);
        }
    }
    match after.first() {
        Some(b':') => {
            // `name: Type = value` of typed languages.
            let typed = after.iter().position(|b| *b == b'=').filter(|end| {
                !is_configuration(language)
                    && *end < 60
                    && after[1..*end].iter().all(|b| {
                        b.is_ascii_alphanumeric()
                            || matches!(
                                b,
                                b' ' | b'_'
                                    | b'.'
                                    | b'?'
                                    | b'<'
                                    | b'>'
                                    | b'['
                                    | b']'
                                    | b'&'
                                    | b'\''
                                    | b'|'
                                    | b'!'
                            )
                    })
                    && after.get(*end + 1) != Some(&b'=')
            });
            sign(typed.map_or(1, |end| end + 1), Assigns::Sign)
        }
        Some(b',') if closed_string && name.first_argument => sign(1, Assigns::Argument),
        Some(b'(') if !closed_string && name.is_called_itself => sign(1, Assigns::Argument),
        // `value="…"` of an element whose name or key is ours.
        Some(_) if closed_string && blanks > 0 && after.starts_with(b"value=") => {
            sign(6, Assigns::Sign)
        }
        Some(_) if closed_string && blanks > 0 && after.starts_with(b"default=") => {
            sign(8, Assigns::Sign)
        }
        Some(b'/') if closed_string => None,
        // `const password string = "…"`.
        Some(byte) if byte.is_ascii_alphabetic() && blanks > 0 && !closed_string => {
            let word = after
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'[' | b']'))
                .count();
            let next = &after[word..];
            let gap = self::blanks(next);
            let typed = next[gap..].starts_with(b"=") && !next[gap..].starts_with(b"==");
            if gap > 0 && typed {
                return sign(word + gap + 1, Assigns::Sign);
            }
            spaced(name, language).map(|what| (at + blanks, what))
        }
        Some(_) if blanks > 0 && !closed_string => {
            spaced(name, language).map(|what| (at + blanks, what))
        }
        _ => None,
    }
}

/// Where a blank alone assigns.
fn spaced(name: &Name, language: Option<Language>) -> Option<Assigns> {
    if name.flag {
        Some(Assigns::Flag)
    } else if name.after_env && matches!(language, Some("dockerfile")) || name.netrc {
        Some(Assigns::Blank)
    } else {
        None
    }
}

fn blanks(text: &[u8]) -> usize {
    text.iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count()
}

/// What opens a string: how many bytes stand before it (`b`, `r`, `[`, `String(`), and the quote.
fn opening_quote(rest: &[u8]) -> (usize, Option<&'static [u8]>) {
    let quote = |text: &[u8]| -> Option<&'static [u8]> {
        match text {
            [b'\\', b'"', ..] => Some(b"\\\""),
            [b'\\', b'\'', ..] => Some(b"\\'"),
            [b'"', b'"', b'"', ..] | [b'\'', b'\'', b'\'', ..] => None,
            [b'"', ..] => Some(b"\""),
            [b'\'', ..] => Some(b"'"),
            [b'`', ..] => Some(b"`"),
            [b'&', b'q', b'u', b'o', b't', b';', ..] => Some(b"&quot;"),
            _ => None,
        }
    };
    for length in 0..rest.len().min(3) {
        if let Some(found) = quote(&rest[length..]) {
            return (length, Some(found));
        }
        if !matches!(
            rest[length],
            b'b' | b'r'
                | b'u'
                | b'f'
                | b'L'
                | b'@'
                | b'$'
                | b'['
                | b'('
                | b'B'
                | b'R'
                | b'N'
                | b'&'
                | b'*'
        ) {
            break;
        }
    }
    (0, None)
}

/// Where a string ends, in bytes after its opening quote.
fn closing_quote(text: &[u8], quote: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memmem::find(&text[from..], quote)?;
        let escaped = quote.len() == 1
            && text[..at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1;
        if !escaped {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests;
