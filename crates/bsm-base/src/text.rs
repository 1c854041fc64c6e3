//! Text from outside, kept apart until it is made harmless.
//!
//! Why: model answers, diffs, file names and agent files are written by strangers. Printed as they
//! are, their control bytes would drive the operator's terminal and their bidirectional marks would
//! make a screen say something it does not. So outside text is a type without `Display`; the only
//! ways out are [`clean_line`], [`clean_block`], [`markdown`] and [`json`].

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

/// Text that came from outside the program. It has no `Display` on purpose.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Untrusted(String);

impl Untrusted {
    /// Wraps a piece of outside text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it came, for parsers, hashes and a format's own escaper; never for a screen.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// One harmless line of at most `max` characters.
    pub fn line(&self, max: usize) -> String {
        clean_line(&self.0, max)
    }

    /// Harmless text that keeps its line breaks, of at most `max` characters.
    pub fn block(&self, max: usize) -> String {
        clean_block(&self.0, max)
    }

    /// True when there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", clean_line(&self.0, 200))
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// How a character that must not reach a terminal is treated.
fn is_hidden(c: char) -> bool {
    is_bidi_control(c) || is_zero_width(c) || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The characters that reorder text on a screen (Unicode's bidirectional controls).
pub fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that take no room and so can hide in a word: zero-width, tags, soft hyphen, BOM.
pub fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{00ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line: line breaks become `⏎`, tabs a space, everything that could act is made visible.
/// At most `max` characters; a cut is shown by `…`.
pub fn clean_line(text: &str, max: usize) -> String {
    clean(text, max, false)
}

/// Several lines: `\n` stays (a `\r\n` becomes one), a tab becomes four spaces, the rest as in
/// [`clean_line`]. At most `max` characters.
pub fn clean_block(text: &str, max: usize) -> String {
    clean(text, max, true)
}

fn clean(text: &str, max: usize, keep_lines: bool) -> String {
    let mut out = String::with_capacity(text.len().min(max.saturating_mul(2)));
    let mut chars = text.chars().peekable();
    let mut written = 0;
    while let Some(c) = chars.next() {
        if written >= max {
            out.push('…');
            break;
        }
        written += 1;
        match c {
            '\r' if chars.peek() == Some(&'\n') => written -= 1,
            '\n' if keep_lines => out.push('\n'),
            '\n' => out.push('⏎'),
            '\t' if keep_lines => out.push_str("    "),
            '\t' => out.push(' '),
            '\0'..='\x1f' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('?')),
            '\x7f' => out.push('␡'),
            '\u{80}'..='\u{9f}' => write_code(&mut out, c),
            c if is_hidden(c) => write_code(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

fn write_code(out: &mut String, c: char) {
    // Writing into a String cannot fail.
    let _ = write!(out, "‹U+{:04X}›", c as u32);
}

/// Outside text inside a Markdown document: harmless, on one line, with nothing in it that could
/// start a table cell, a link, an image, raw HTML, a heading, a mention or a reference.
pub fn markdown(text: &str, max: usize) -> String {
    escape_markdown(&clean_line(text, max))
}

/// Outside text inside a Markdown document, in paragraphs: as [`markdown`], but lines stay lines and code stays
/// code, with its indentation. At most `max` characters of it.
pub fn markdown_block(text: &str, max: usize) -> String {
    let clean = clean_block(text, max);
    let mut out = String::with_capacity(clean.len() + 16);
    let mut fence: Option<&str> = None;
    for line in clean.lines() {
        let start = line.trim_start();
        let ticks = &start[..start.len() - start.trim_start_matches('`').len()];
        match fence {
            None if ticks.len() >= 3 => {
                fence = Some(ticks);
                out.push_str("~~~~~~\n");
                continue;
            }
            Some(open) if ticks.len() >= open.len() && start.trim_end() == ticks => {
                fence = None;
                out.push_str("~~~~~~\n");
                continue;
            }
            Some(_) => out.push_str(&line.replace("~~~", "~ ~ ~")),
            None => inline_code(&mut out, line),
        }
        out.push('\n');
    }
    if fence.is_some() {
        out.push_str("~~~~~~\n");
    }
    out.truncate(out.trim_end().len());
    out
}

/// One line: what stands between two backticks stays code, everything else is escaped.
fn inline_code(out: &mut String, line: &str) {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, after)) = after.split_once('`').filter(|(code, _)| !code.is_empty()) else {
            break;
        };
        out.push_str(&escape_markdown(before));
        // A cell of a table ends at a bar, in code too.
        out.push('`');
        out.push_str(&code.replace('|', "\u{a6}"));
        out.push('`');
        rest = after;
    }
    out.push_str(&escape_markdown(rest));
}

/// Breaks a word in two for whoever looks for mentions and addresses in it, and for no reader.
const BREAK: &str = "<!-- -->";

fn escape_markdown(clean: &str) -> String {
    let mut out = String::with_capacity(clean.len() + 8);
    let mut rest = clean;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            // Hosts look for references in the text that is shown, where an escape is gone.
            '#' => {
                out.push_str("\\#");
                if rest.starts_with(|c: char| c.is_ascii_digit()) {
                    out.push_str(BREAK);
                }
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => {
                out.push('@');
                out.push_str(BREAK);
            }
            // `https://…`, `mailto:…`: what a host would make a link of.
            ':' if rest.starts_with("//") => {
                out.push_str(BREAK);
                out.push(':');
            }
            '.' if out.len() >= 3
                && out.is_char_boundary(out.len() - 3)
                && out[out.len() - 3..].eq_ignore_ascii_case("www") =>
            {
                out.push_str(BREAK);
                out.push('.');
            }
            c => out.push(c),
        }
    }
    out
}

/// JSON of any value in which C1, DEL, bidirectional and zero-width characters are `\u` escapes,
/// so that printing it to a terminal is safe. (`serde_json` itself escapes C0.)
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    Ok(escape_json(serde_json::to_string(value)?).into_owned())
}

/// As [`json`], indented for people.
pub fn json_pretty<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    Ok(escape_json(serde_json::to_string_pretty(value)?).into_owned())
}

/// Escapes the characters that may only stand inside strings of a JSON text.
pub fn escape_json(text: String) -> Cow<'static, str> {
    let acts = |c: char| ('\x7f'..='\u{9f}').contains(&c) || is_hidden(c);
    if !text.chars().any(acts) {
        return Cow::Owned(text);
    }
    let mut out = String::with_capacity(text.len() + 32);
    let mut units = [0u16; 2];
    for c in text.chars() {
        if acts(c) {
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Cuts a string to at most `max` characters on a character boundary, without a mark.
pub fn cut(text: &str, max: usize) -> &str {
    text.char_indices()
        .nth(max)
        .map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What no output may contain, whatever came in.
    fn acts_on_a_terminal(text: &str) -> bool {
        text.chars()
            .any(|c| (c.is_control() && c != '\n') || is_hidden(c))
    }

    #[test]
    fn escapes_become_visible() {
        assert_eq!(clean_line("a\x1b[31mred\x07", 99), "a␛[31mred␇");
        assert_eq!(clean_line("x\u{9b}2J", 99), "x‹U+009B›2J");
        assert_eq!(
            clean_line("ab\u{202e}cd\u{200b}", 99),
            "ab‹U+202E›cd‹U+200B›"
        );
        assert_eq!(clean_line("one\r\ntwo\tthree", 99), "one⏎two three");
        assert_eq!(clean_block("one\r\ntwo", 99), "one\ntwo");
        assert_eq!(clean_line("مرحبا", 99), "مرحبا");
        assert_eq!(clean_line("abcdef", 3), "abc…");
    }

    #[test]
    fn markdown_cannot_be_injected() {
        let out = markdown("![x](http://e) <script> @team | `a` # h", 200);
        for bad in ["![", "<script", "@team", " | "] {
            assert!(!out.contains(bad), "{bad} survived in {out}");
        }
        // Also what a host makes of the text that is shown: mentions, references, addresses.
        let out = markdown(
            "@a &#64;b #12 http://e.com HTTPS://e.com www.e.com WWW.e.com c@d.e",
            200,
        );
        for bad in [
            "@a", "&#64;", "#12", "http:", "HTTPS:", "www.", "WWW.", "c@d",
        ] {
            assert!(!out.contains(bad), "{bad} survived in {out}");
        }
    }

    #[test]
    fn markdown_block_keeps_lines_code_and_its_indentation() {
        let text =
            "Prefer `a|b` to @team:\n\n```rust\nif x {\n    @y ~~~\n}\n```\nSee <b>#7</b> and `one";
        assert_eq!(
            markdown_block(text, 500),
            "Prefer `a\u{a6}b` to @<!-- -->team:\n\n~~~~~~\nif x {\n    @y ~ ~ ~\n}\n~~~~~~\nSee &lt;b&gt;\\#<!-- -->7&lt;/b&gt; and \\`one"
        );
        // A fence that is never closed is closed.
        assert_eq!(markdown_block("```\n# x", 50), "~~~~~~\n# x\n~~~~~~");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_survives(text in any::<String>(), max in 0usize..80) {
            prop_assert!(!acts_on_a_terminal(&clean_line(&text, max)));
            prop_assert!(!acts_on_a_terminal(&clean_block(&text, max)));
            prop_assert!(!clean_line(&text, max).contains('\n'));
            prop_assert!(!acts_on_a_terminal(&markdown(&text, max)));
            let json = json(&Untrusted::new(text.clone())).unwrap();
            prop_assert!(!acts_on_a_terminal(&json));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
