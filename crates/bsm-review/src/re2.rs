//! Regexes as Go's RE2 reads them, spelled for the `regex` crate.
//!
//! Why: rules in gitleaks' format come from a Go program. Both engines are linear and agree on almost
//! everything; what they spell differently (a brace that is no repetition, a bracket inside a class,
//! `\Q…\E`, Unicode classes where the rest is ASCII) is respelled here, so that a rule is not lost for it.

use regex::bytes::{Regex, RegexBuilder};

/// Largest compiled size of one regex, bytes.
const LARGEST: usize = 8 << 20;

/// Compiles a pattern on bytes, with ASCII classes as RE2 has them.
///
/// # Errors
/// What the engine says of it: look-around and back-references exist in neither.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&respelled(pattern))
        .unicode(false)
        .size_limit(LARGEST)
        .build()
        .map_err(|e| match e {
            regex::Error::CompiledTooBig(size) => {
                format!("its compiled form is larger than {size} bytes")
            }
            other => {
                // The engine draws the pattern over several lines; its last line says what is wrong.
                let text = other.to_string();
                text.lines().last().unwrap_or(&text).trim().to_owned()
            }
        })
}

fn respelled(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\\Q") {
            let (literal, next) = after.split_once("\\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(literal));
            rest = next;
        } else if first == '\\' {
            let taken = escape(rest);
            if is_unicode_class(rest) {
                out.push_str(&format!("(?u:{})", &rest[..taken]));
            } else {
                out.push_str(&escaped(&rest[..taken]));
            }
            rest = &rest[taken..];
        } else if first == '[' {
            let (class, taken) = class(rest);
            out.push_str(&class);
            rest = &rest[taken..];
        } else {
            if first == '{' && !is_repetition(rest) {
                out.push('\\');
            }
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn is_unicode_class(text: &str) -> bool {
    matches!(text.as_bytes().get(1), Some(b'p' | b'P'))
}

/// An escape as the other engine spells it.
fn escaped(escape: &str) -> String {
    match escape.as_bytes().get(1) {
        // Word borders there, plain characters here.
        Some(b'<' | b'>') => escape[1..].to_owned(),
        Some(b'0'..=b'7') if escape.len() > 2 || escape == "\\0" => {
            let code = u32::from_str_radix(&escape[1..], 8).unwrap_or(0);
            format!("\\x{{{code:x}}}")
        }
        _ => escape.to_owned(),
    }
}

/// Bytes of the escape at the start of `text`: `\d`, `\x{10FFFF}`, `\pL`, `\p{Greek}`.
fn escape(text: &str) -> usize {
    let bytes = text.as_bytes();
    match (bytes.get(1), bytes.get(2)) {
        (Some(b'p' | b'P' | b'x'), Some(b'{')) => text.find('}').map_or(text.len(), |at| at + 1),
        (Some(b'p' | b'P'), Some(_)) => 3,
        // Up to three octal digits; a single one but 0 is a reference, which neither engine has.
        (Some(b'0'..=b'7'), _) => {
            let digits = bytes[1..].iter().take(3);
            1 + digits.take_while(|b| (b'0'..=b'7').contains(b)).count()
        }
        (Some(_), _) => 1 + text[1..].chars().next().map_or(0, char::len_utf8),
        (None, _) => 1,
    }
}

/// `{3}`, `{3,}` or `{3,5}`: anything else is a brace.
fn is_repetition(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else {
        return false;
    };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

/// The bracketed class at the start of `text`, respelled, and how many bytes it took.
fn class(text: &str) -> (String, usize) {
    let mut out = String::from("[");
    let mut at = 1;
    let mut unicode = false;
    if text[at..].starts_with('^') {
        out.push('^');
        at += 1;
    }
    // A bracket that comes first is one of the class's characters.
    if text[at..].starts_with(']') {
        out.push_str("\\]");
        at += 1;
    }
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        if next == ']' {
            at += 1;
            out.push(']');
            break;
        }
        if next == '\\' {
            let taken = escape(rest);
            unicode |= is_unicode_class(rest);
            out.push_str(&escaped(&rest[..taken]));
            at += taken;
            // After a class no range can begin.
            let is_class = matches!(
                rest.as_bytes().get(1),
                Some(b'w' | b'W' | b'd' | b'D' | b's' | b'S' | b'p' | b'P')
            );
            if is_class && text[at..].starts_with('-') {
                out.push_str("\\-");
                at += 1;
            }
            continue;
        }
        if next == '-' && rest.starts_with("--") {
            // A range up to the dash, or two of them.
            out.push_str(if out.ends_with(['[', '^']) {
                "\\-"
            } else {
                "-\\-"
            });
            at += 2;
            continue;
        }
        if let Some(named) = rest.strip_prefix("[:").and_then(|r| r.find(":]")) {
            out.push_str(&rest[..named + 4]);
            at += named + 4;
            continue;
        }
        unicode |= !next.is_ascii();
        // `[[`, `a&&b`, `a~~b` mean sets of sets to the other engine.
        if next == '[' || ((next == '&' || next == '~') && rest[1..].starts_with(next)) {
            out.push('\\');
        }
        out.push(next);
        at += next.len_utf8();
    }
    if unicode {
        out = format!("(?u:{out})");
    }
    (out, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_accepts_is_accepted_and_means_the_same() {
        for (pattern, hits, misses) in [
            (r"^\$(?:\d+|{\d+})$", &["$1", "${12}"][..], &["${a}"][..]),
            (r"^\${(?:[A-Z_]+)}$", &["${HOME}"], &["$HOME"]),
            (r"^\{\d{0,2}}$", &["{}", "{12}"], &["{123}"]),
            (r"[[]x[]]", &["[x]"], &["x"]),
            (r"^[^]a]+$", &["bc"], &["b]c", "a"]),
            (r"^[a&&b]+$", &["a&b"], &["c"]),
            (r"\Qa.b\E+", &["a.b", "a.bb"], &["axb"]),
            (r"^\pL+$", &["abc", "где"], &["1"]),
            (r"^[\p{Greek}0-9]+$", &["αβ7"], &["abc"]),
            (r"^[“”]+$", &["“”"], &["\""]),
            (r"^[[:alpha:]_]{2,}$", &["a_b"], &["a", "a1"]),
            (r"^a{,3}$", &["a{,3}"], &["aa"]),
            (r"(?i)^key\x{3d}\x41$", &["KEY=a"], &["key:A"]),
            (r"^[\w .-/]+$", &["a ./"], &["a:"]),
            (r"^[\w-.]+$", &["a-b."], &["a+"]),
            (r"^[a-z\d-_]+$", &["a-1_"], &["A"]),
            (r"^[!--]+$", &["!+-"], &["."]),
            (r"^key=\<[^\<\>]+\>$", &["key=<ab>"], &["key=ab"]),
            (r"^\0a\012$", &["\0a\n"], &["0a"]),
        ] {
            let regex = compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            for text in hits {
                assert!(regex.is_match(text.as_bytes()), "{pattern} on {text}");
            }
            for text in misses {
                assert!(!regex.is_match(text.as_bytes()), "{pattern} on {text}");
            }
        }
    }

    #[test]
    fn what_no_linear_engine_can_do_is_said_in_a_line() {
        for pattern in [r"(?=x)", r"(a)\1", r"a{2000}{2000}", "(", "["] {
            let error = compile(pattern).unwrap_err();
            assert!(!error.is_empty() && !error.contains('\n'), "{error}");
        }
    }
}
