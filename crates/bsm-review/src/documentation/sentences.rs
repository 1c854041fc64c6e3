//! Lines that are sentences: words and punctuation, and nothing that a program, a shell or a renderer could
//! take for more.
//!
//! Why so narrow: a hunk does not show what its lines stand in (a code block, a script, a comment), and where
//! it says it stands may be a lie. A sentence changes nothing there. A list of what is dangerous would never be
//! complete; this is a list of what is not.

use std::sync::LazyLock;

use regex::Regex;

use super::super::pattern::constant;

/// A line that is blank, a heading of words, or one whole sentence, perhaps as an item of a list.
pub(super) fn is_sentence_line(line: &str) -> bool {
    let text = line.trim_end_matches('\r');
    if text.trim().is_empty() {
        return true;
    }
    let marks = text.bytes().take_while(|b| *b == b'#').count();
    if (1..=6).contains(&marks) {
        let body = text[marks..].strip_prefix(' ').unwrap_or_default();
        return !body.starts_with(' ') && is_plain(body) && body.chars().next().is_some_and(begins);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let numbered = text[digits..]
        .strip_prefix(". ")
        .filter(|_| (1..=3).contains(&digits));
    let body = text.strip_prefix("- ").or(numbered).unwrap_or(text);
    is_sentence(body)
}

/// One sentence or several, from its first letter to its last mark.
fn is_sentence(text: &str) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    let closed = text.trim_end_matches(['"', '\'', ')', '”', '’']);
    let ends = closed.ends_with(['.', '!', '?', ':', '…', '。', '؟', '！', '？']);
    let words = text.split(' ').count();
    // A script that is written without blanks has long words.
    let enough = words >= 3 || (!text.is_ascii() && text.chars().count() >= 6);
    // A key and its value, as settings have them.
    let inner = closed.trim_end_matches(':');
    begins(first) && ends && enough && !inner.contains(':') && is_plain(text)
}

/// A capital letter, or one of a script without capitals.
fn begins(c: char) -> bool {
    c.is_uppercase() || (c.is_alphabetic() && !c.is_lowercase())
}

/// Words, numbers and punctuation alone; and nothing about agents.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.split(' ').all(is_plain_word) && !speaks_of_agents(text)
}

/// Two versions of paragraphs: whether every word that comes is a plain one. Names and numbers as prose has
/// them are, too; whatever else is there stays in its order, or goes.
pub(super) fn only_plain_words_come(old: &[&str], new: &[&str]) -> bool {
    let mut left = old.iter().flat_map(|text| odd_parts(text));
    let mut come = new.iter().flat_map(|text| odd_parts(text));
    come.all(|word| left.any(|old| old == word))
}

/// What of a text is no plain word: marked spans as wholes, and other words.
fn odd_parts(text: &str) -> Vec<String> {
    static SPAN: LazyLock<Regex> = LazyLock::new(|| {
        constant(
            r"(?::[A-Za-z][\w:+.-]*:)?`+[^`]+`+_{0,2}|\|[^|\s][^|]*\|_{0,2}|\[\[[^\]]*\]\]|\{\{[^}]*\}\}",
        )
    });
    let mut odd = Vec::new();
    let words = |text: &str| {
        let plain = |word: &&str| is_plain_word(word) || is_name_or_number(word);
        let all = text.split_whitespace();
        let some = all
            .filter(|w| !plain(w) || w.ends_with("::"))
            .map(str::to_owned);
        some.collect::<Vec<_>>()
    };
    let mut from = 0;
    for span in SPAN.find_iter(text) {
        odd.extend(words(&text[from..span.start()]));
        if !is_name_or_number(span.as_str()) {
            odd.push(
                span.as_str()
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        }
        from = span.end();
    }
    odd.extend(words(&text[from..]));
    odd
}

/// An issue's number, a person's handle, a version, a date, a name with a digit or an underscore in it.
fn is_name_or_number(word: &str) -> bool {
    static KNOWN: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = concat!(
            r"^(?:",
            r"#[0-9]{1,7}",                                        // an issue
            r"|:(?:issue|pr|pull|gh|user):`#?[A-Za-z0-9-]{1,39}`", // the same in Sphinx
            r"|@[A-Za-z0-9][A-Za-z0-9-]{0,38}",                    // a person
            r"|[v~]?[0-9]{1,5}(?:[.,/–-][0-9]{1,5}){0,4}(?:[+%]|[A-Za-z]{1,3})?", // a version, a range, a size
            r"|[A-Z]{2,8}(?:-[0-9]{1,6}){1,2}",                                   // CVE-2024-1234
            r"|[A-Za-z-]{1,12}[0-9]{1,4}(?:\.[0-9]{1,3})?[A-Za-z]{0,4}", // UTF-8, IPv6, x86
            r"|[A-Za-z]+(?:_[A-Za-z]+){1,6}",                            // a name of a program's
            r"|[A-Za-z_-]+/[A-Za-z_-]+",
            r"|\.[a-z]{3,12}(?:ignore|rc)",
            r"|[CF](?:\+\+|#)|&|\+",
            r")$"
        );
        constant(pattern)
    });
    let bare = word
        .trim_start_matches(['(', '"', '\'', '“', '‘'])
        .trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '"', '\'', '”', '’', '…']);
    let is_digest = bare.len() >= 7
        && bare.bytes().all(|b| b.is_ascii_hexdigit())
        && bare.bytes().any(|b| b.is_ascii_alphabetic());
    word.len() <= 60 && !is_digest && KNOWN.is_match(bare)
}

/// A name in code marks that is no command by its form: an option, or what only programs call so.
pub(super) fn is_identifier(code: &str) -> bool {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        constant(
            r"^(?:--?[A-Za-z][A-Za-z0-9-]{0,30}|[A-Za-z_][A-Za-z0-9_]{0,40}(?:::[A-Za-z_][A-Za-z0-9_]{0,40}){0,4}(?:\(\))?)$",
        )
    });
    let is_of_program = code.starts_with('-')
        || code.contains(['_', ':', '('])
        || code.starts_with(char::is_uppercase)
        || code.chars().skip(1).any(char::is_uppercase);
    FORM.is_match(code) && is_of_program && !speaks_of_agents(code)
}

fn is_plain_word(word: &str) -> bool {
    // A dash between words.
    if matches!(word, "–" | "—" | "-") {
        return true;
    }
    let bare = word
        .trim_start_matches(['(', '"', '\'', '“', '‘', '„', '«'])
        .trim_end_matches([
            '.', ',', ';', ':', '!', '?', ')', '"', '\'', '”', '’', '»', '…', '。', '،', '؟', '，',
        ]);
    if bare.is_empty() {
        return word == "…";
    }
    let number = bare.len() <= 8
        && bare
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '%'))
        && bare.starts_with(|c: char| c.is_ascii_digit());
    let inside = |c: char| matches!(c, '\'' | '’' | '-');
    let letters = bare
        .chars()
        .all(|c| c.is_alphabetic() || is_mark(c) || inside(c))
        && !bare.starts_with(inside)
        && !bare.ends_with('-')
        && !bare.contains("--");
    // "e.g." and "i.e.", whose point stands inside.
    let abbreviated = matches!(
        bare.to_ascii_lowercase().as_str(),
        "e.g" | "i.e" | "a.k.a" | "p.m" | "a.m"
    );
    // One word against another: "and/or".
    let either = bare.split_once('/').is_some_and(|(one, other)| {
        let word = |w: &str| !w.is_empty() && w.chars().all(char::is_alphabetic);
        bare.is_ascii() && word(one) && word(other) && bare.len() <= 16
    });
    number || letters || abbreviated || either
}

/// Marks of vowels and the like, which stand in words of many scripts.
fn is_mark(c: char) -> bool {
    let selects = matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    unicode_normalization::char::is_combining_mark(c) && !selects
}

/// Text about those who may read it as their orders.
pub(super) fn speaks_of_agents(text: &str) -> bool {
    const WORDS: [&str; 24] = [
        "agent",
        "agents",
        "subagent",
        "subagents",
        "assistant",
        "assistants",
        "ai",
        "llm",
        "llms",
        "gpt",
        "chatgpt",
        "claude",
        "copilot",
        "gemini",
        "codex",
        "windsurf",
        "cline",
        "aider",
        "devin",
        "bot",
        "bots",
        "chatbot",
        "chatbots",
        "reviewers",
    ];
    let lower = text.to_lowercase();
    if lower.contains("language model") {
        return true;
    }
    lower
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_and_headings_are_known() {
        for line in [
            "",
            "Start the database first, then the service.",
            "The port is 8080 unless PORT says otherwise.",
            "## How it works",
            "- It takes payments and sends receipts.",
            "2. Then wait for ten seconds.",
            "Is it ready? It is (e.g. after an hour).",
            "Users’ names don't change – not even once a year…",
            "The following is needed:",
            "Bei Änderungen ist 3.5 der höchste Wert.",
            "هذه تعليمات جديدة للقارئ.",
            "新的说明在这里。",
        ] {
            assert!(is_sentence_line(line), "{line}");
        }
    }

    #[test]
    fn names_and_numbers_of_prose_are_plain_in_a_paragraph_and_others_are_not() {
        for text in [
            "see #1796 (@tavianator)",
            "since v1.77.2, in 2024-08-06 or 1.2–1.4, for 8/9/10 of ~13GB",
            "CVE-2024-51999 is one",
            "UTF-8, IPv6, x86 and Python3.12",
            "the max_depth of C++ & Rust",
        ] {
            assert!(only_plain_words_come(&[], &[text]), "{text}");
        }
        for text in [
            "evil.example",
            "at https://evil.example",
            "a1b2c3d4e5",
            "@scope/package",
            "@docs.md",
            "usr/bin/evil",
            "--force",
            "x=1",
            "$HOME",
            "rm;ls",
            "AKIA0123456789ABCDEF",
        ] {
            assert!(!only_plain_words_come(&[], &[text]), "{text}");
        }
        assert!(only_plain_words_come(
            &["a b.example c $D"],
            &["x c b.example"]
        ));
        assert!(!only_plain_words_come(
            &["a b.example c $D"],
            &["$D b.example"]
        ));
        for (old, new) in [
            (
                "Run ``npm install good --global`` here.",
                "Run ``npm install evil --global`` here.",
            ),
            ("See `the good guide`_ here.", "See `the evil guide`_ here."),
            ("See |the good logo| here.", "See |the evil logo| here."),
            ("See [[the good page]] here.", "See [[the evil page]] here."),
            ("It is abcdef1 here.", "It is fedcba9 here."),
        ] {
            assert!(!only_plain_words_come(&[old], &[new]), "{new}");
        }
        for code in [
            "--exact",
            "-x",
            "max_depth",
            "Vec::new()",
            "KeepOpenFile",
            "camelCase",
        ] {
            assert!(is_identifier(code), "{code}");
        }
        for code in [
            "reboot", "rm -rf", "evil.sh", "curl", "a.b()", "x|y", "CLAUDE", "",
        ] {
            assert!(!is_identifier(code), "{code}");
        }
    }

    #[test]
    fn whatever_could_be_more_than_words_is_not_a_sentence() {
        for line in [
            "run it twice now.",
            "Remove-Item everything",
            "DROP TABLE USERS",
            "Run everything",
            "    Start the database first.",
            "\tStart the database first.",
            "-     Start the database first.",
            "> Start the database first.",
            "* Start the database first.",
            "Key: the value of it.",
            "Get it at evil.example now.",
            "Get it at https://evil.example now.",
            "Mail a@example.com for more.",
            "See [the guide](x.md) for more.",
            "See [other] for the rest.",
            "See other_ for the rest.",
            "Type `reboot` to go on.",
            "The sum is 0123456789ab here.",
            "The sum is a1b2c3 here now.",
            "Use <b>this</b> for more.",
            "Use {{ this }} for more.",
            "Use ${THIS} for more words.",
            "Open /usr/bin/evil for all of it.",
            "Say --force to go on.",
            "Say -f to go on.",
            "AI agents must do this first.",
            "Assistants do this first.",
            "Cost is $5 for each.",
            "A | B | C is it.",
            "Wait & see what it does.",
            "It is \\(x\\) in all.",
            "Words.\u{b}More of the words.",
        ] {
            assert!(!is_sentence_line(line), "{line}");
        }
    }
}
