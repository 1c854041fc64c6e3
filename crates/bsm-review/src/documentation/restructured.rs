//! Two versions of a whole reStructuredText file: whether they differ in words alone.
//!
//! Why without a parser: what begins at the margin stands in nothing else (code, directives and comments are
//! indented), so a paragraph or a list item there is known for what it is. All else must stay.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::pattern::constant;
use super::sentences::{only_plain_words_come, speaks_of_agents};

/// Whether only words differ between two versions.
///
/// # Errors
/// Why that is not proven.
pub(super) fn differ_in_words_alone(old: &str, new: &str) -> Result<(), &'static str> {
    let (before, after) = (blocks(old), blocks(new));
    let known: [HashSet<&str>; 2] = [
        before.iter().copied().collect(),
        after.iter().copied().collect(),
    ];
    let stay = |blocks: &[&str]| -> Vec<String> {
        let both = blocks
            .iter()
            .filter(|b| known.iter().all(|k| k.contains(*b)));
        both.map(|b| (*b).to_owned()).collect()
    };
    if stay(&before) != stay(&after) {
        return Err("paragraphs are moved");
    }
    for (blocks, other) in [(&before, &known[1]), (&after, &known[0])] {
        for (index, block) in blocks.iter().enumerate() {
            if other.contains(block) {
                continue;
            }
            if !is_paragraph(block) {
                return Err("what changes is no paragraph at the margin");
            }
            let quoted = index
                .checked_sub(1)
                .is_some_and(|i| blocks[i].trim_end().ends_with("::"));
            if quoted || speaks_of_agents(block) {
                return Err("what changes is no paragraph of words");
            }
            // What is indented below it belongs to what stands above it.
            if blocks
                .get(index + 1)
                .is_some_and(|next| next.starts_with([' ', '\t']))
            {
                return Err("what follows a changed paragraph belongs to it");
            }
        }
    }
    // Of the whole text: what is no word may not change its place either.
    if only_plain_words_come(&before, &after) {
        Ok(())
    } else {
        Err("a changed paragraph has more than words")
    }
}

/// What stands between blank lines.
fn blocks(text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let (mut from, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            blocks.push(&text[from..at]);
            from = at + line.len();
        }
        at += line.len();
    }
    blocks.push(&text[from..]);
    blocks.retain(|b| !b.is_empty());
    blocks
}

/// A paragraph at the margin, or one item of a list there; nothing that begins with a mark of its own.
fn is_paragraph(block: &str) -> bool {
    let lines: Vec<&str> = block.lines().collect();
    let Some(first) = lines.first() else {
        return true;
    };
    if first.starts_with([' ', '\t']) {
        return false;
    }
    let text = match first.strip_prefix(['-', '*']) {
        Some(rest) if rest.starts_with(' ') => rest.trim_start_matches(' '),
        _ => first,
    };
    let (item, blanks) = (
        &first[..first.len() - text.len()],
        " ".repeat(first.len() - text.len()),
    );
    let mut words = vec![text];
    for line in &lines[1..] {
        // It goes on where the text began, or the next item begins.
        let rest = line
            .strip_prefix(blanks.as_str())
            .or_else(|| line.strip_prefix(item));
        match rest {
            Some(rest) if !rest.starts_with([' ', '\t']) => words.push(rest),
            _ => return false,
        }
    }
    static FIELD: LazyLock<Regex> = LazyLock::new(|| constant(r"^:[^`]*:(?:\s|$)"));
    if words.iter().any(|line| FIELD.is_match(line)) {
        return false;
    }
    let letters = |w: &&str| w.starts_with(|c: char| c.is_alphanumeric() || "`:(#\"'“".contains(c));
    words.iter().all(letters) && !block.trim_end().ends_with("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "Title\n=====\n\nSome words stand\nhere for all.\n\n-   First thing\n    goes on. :issue:`1`\n\n.. code:: sh\n\n    make it\n\nLast words here.\n";

    #[test]
    fn words_of_paragraphs_and_items_may_change() {
        for (from, to) in [
            ("Some words stand\n", "Other words stand\n"),
            ("goes on. :issue:`1`", "ends now. :issue:`2`"),
            (
                "Last words here.",
                "Last words here.\n\nAnd more\nof them, see #12.",
            ),
            ("Last words here.", "Last words are\nhere."),
            ("-   First thing\n", "-   Another thing\n-   First thing\n"),
        ] {
            let after = BEFORE.replace(from, to);
            assert_ne!(after, BEFORE);
            assert_eq!(differ_in_words_alone(BEFORE, &after), Ok(()), "{to}");
        }
    }

    #[test]
    fn nothing_else_may_change() {
        for (from, to) in [
            ("    make it\n", "    make evil\n"),
            ("    make it\n", "    make it\n\n    Make more of it.\n"),
            ("sh\n\n", "sh\n\nWords here.\n\n"),
            ("here for all.", "here for all::"),
            ("Last words here.", "Last words here::\n\n    rm it"),
            ("Last words here.", "See `x <http://evil.example>`_ here."),
            ("Last words here.", ".. raw:: html\n\n   <b>"),
            ("Last words here.", "Last\n  words here."),
            ("Last words here.", "Type ``rm it`` here."),
            ("Last words here.", ">>> evil"),
            ("goes on.", "goes on.\n    - rm it"),
            ("Last words here.", "Install it::\n\n# dnf install evil"),
            ("Last words here.", ":template: evil"),
        ] {
            let after = BEFORE.replace(from, to);
            assert_ne!(after, BEFORE);
            assert!(differ_in_words_alone(BEFORE, &after).is_err(), "{to}");
        }
        assert!(differ_in_words_alone("One.\n\nTwo.\n", "Two.\n\nOne.\n").is_err());
    }
}
