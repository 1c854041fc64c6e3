//! Checks of signatures, passwords and rights that a change replaces by a fixed answer.
//!
//! Why in code: only the removed and the added lines together show it. Each side alone is ordinary.

use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::diff::{Hunk, Side};
use crate::re2::compile;

/// A call whose answer decides who or what is let through.
const CHECK: &str = r"(?i)(?:verif|authenticat|authori[sz]|is_?valid|check_?(?:password|pw|sign|token|auth|access|perm|hash|user|cred|mac)|valid_?(?:sign|token|password)|validate_?(?:token|sign|jwt|password|session|user|credential)|password_verify|is_password|bcrypt\.\w*compare|compare_hash|\.compare\(\s*(?:password|pw)|compare_?(?:digest|hash|password)|timing_?safe_?equal|constant_?time|secure_?compare|has_?(?:permission|role|access|authority)|is_?(?:admin|auth\w*|owner|allowed)|can_?access|require_?(?:auth|login|admin)|hmac\.equal|mac_equal|fixed_?time)\w*[!?]?\s*\(";
/// An answer that does not depend on anything.
const FIXED: &str = r"(?i)^\s*(?:\}?\s*(?:else\s+)?if\s*\(?\s*!?\s*(?:true|false|0|1)\s*\)?\s*(?:\{|:|then)?|(?:return\s+)?(?:true|nil|null|None|Ok\(\(\)\)|Ok\(true\)|1|Promise\.resolve\((?:true)?\))\s*[;,]?|(?:(?:const|let|var|val|bool|boolean|auto)\s+)?[\w.$>-]{1,60}\s*:?=\s*(?:true|1)\s*;?|(?:pass|next\(\))\s*;?)\s*(?:(?://|#|/\*).*)?$";

/// What is larger is written anew, not changed in one place.
const MOST_LINES: usize = 12;

static PATTERNS: LazyLock<Option<(Regex, Regex)>> =
    LazyLock::new(|| Some((compile(CHECK).ok()?, compile(FIXED).ok()?)));

/// The line of the new file at which a check gave way to a fixed answer.
pub(super) fn line(hunk: &Hunk) -> Option<u32> {
    let mut rest = &hunk.lines[..];
    while let Some(begins) = rest.iter().position(|l| l.side != Side::Context) {
        let length = rest[begins..]
            .iter()
            .take_while(|l| l.side != Side::Context)
            .count();
        let (block, after) = rest[begins..].split_at(length);
        rest = after;
        let side = |side| block.iter().filter(move |l| l.side == side);
        // Not where more lines are added than removed: code that is rewritten is not judged.
        let removed = side(Side::Removed).count();
        let few = removed <= MOST_LINES && side(Side::Added).count() <= removed;
        if !few || !side(Side::Added).any(|l| may_be_fixed(&l.text)) {
            continue;
        }
        let (check, fixed) = PATTERNS.as_ref()?;
        // Lines that say what is done. Imports and definitions of a function are no calls.
        let calls = |side_of| {
            let of_side = side(side_of);
            of_side.filter(|l| check.is_match(&l.text) && !is_definition(&l.text))
        };
        let gives_way =
            calls(Side::Removed).next().is_some() && calls(Side::Added).next().is_none();
        if gives_way && let Some(line) = side(Side::Added).find(|l| fixed.is_match(&l.text)) {
            return Some(line.number);
        }
    }
    None
}

/// A line that may match [`FIXED`], without its pattern.
fn may_be_fixed(line: &[u8]) -> bool {
    const WORDS: [&str; 9] = [
        "true", "false", "nil", "null", "none", "ok(", "resolve", "pass", "next(",
    ];
    let line = line.to_ascii_lowercase();
    let digit = line.iter().any(|b| matches!(b, b'0' | b'1'));
    let holds = |word: &&str| memchr::memmem::find(&line, word.as_bytes()).is_some();
    digit || WORDS.iter().any(holds)
}

fn is_definition(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    [
        "def ",
        "func ",
        "function ",
        "fn ",
        "fun ",
        "pub ",
        "//",
        "#",
        "*",
    ]
    .iter()
    .any(|word| text.starts_with(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_checks_patterns_compile() {
        assert!(PATTERNS.is_some());
    }
}
