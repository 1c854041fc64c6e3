//! What a comment asks for. Pure: the first line that is not empty is the command, or there is none.

use crate::text::clean_line;

/// Longest reason, characters.
const REASON: usize = 300;
/// Longest time for which a dismissal can be made, days.
const MOST_DAYS: u32 = 3_650;
/// Our own comments hold a marker that begins so: none of them is a command.
const OURS: &str = "<!-- bsm:";

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CommentCommand {
    /// Review again now.
    Review,
    /// How the decision, or one finding, came about.
    Why {
        /// The beginning of the finding's fingerprint.
        fingerprint: Option<String>,
    },
    /// Dismiss a finding.
    Ignore {
        /// The beginning of its fingerprint; `None`: the remark's in whose thread the comment is.
        fingerprint: Option<String>,
        /// Why.
        reason: String,
        /// For so many days; `None`: until somebody takes it back.
        days: Option<u32>,
    },
    /// What there is.
    Help,
    /// No command, or one that is not complete; a sentence.
    Unclear(String),
}

/// The text may be a command: cheap, before anything is kept.
pub fn is_command(text: &str) -> bool {
    words(text).is_some()
}

/// The command in a comment; `None`: it asks for nothing.
pub(super) fn parse(text: &str) -> Option<CommentCommand> {
    let words = words(text)?;
    let rest = words.get(1..).unwrap_or_default();
    Some(
        match words.first().map(|w| w.to_ascii_lowercase()).as_deref() {
            Some("review") => CommentCommand::Review,
            Some("why") => CommentCommand::Why {
                fingerprint: rest.first().and_then(|word| fingerprint(word)),
            },
            Some("ignore") => ignore(rest),
            Some("help") | None => CommentCommand::Help,
            Some(other) => CommentCommand::Unclear(format!(
                "there is no command {}",
                clean_line(other, 40).replace('`', "")
            )),
        },
    )
}

/// The words after `/bsm` on the first line that is not empty.
fn words(text: &str) -> Option<Vec<&str>> {
    if text.contains(OURS) {
        return None;
    }
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let mut words = line.split_whitespace();
    (words.next()? == "/bsm").then(|| words.collect())
}

fn ignore(words: &[&str]) -> CommentCommand {
    let first = words.first().and_then(|word| fingerprint(word));
    let mut rest = if first.is_some() { &words[1..] } else { words };
    let mut days = None;
    // `for 30d` stands before the reason or at its end.
    if let [word, time, more @ ..] = rest
        && word.eq_ignore_ascii_case("for")
        && let Some(found) = days_of(time)
    {
        (days, rest) = (Some(found), more);
    } else if let [more @ .., word, time] = rest
        && word.eq_ignore_ascii_case("for")
        && let Some(found) = days_of(time)
    {
        (days, rest) = (Some(found), more);
    }
    let reason = clean_line(&rest.join(" "), REASON);
    if reason.trim().is_empty() {
        return CommentCommand::Unclear(
            "say why: /bsm ignore FINGERPRINT reason, with `for 30d` where it is to end".into(),
        );
    }
    CommentCommand::Ignore {
        fingerprint: first,
        reason,
        days,
    }
}

/// `30d` or `4w`, in days.
fn days_of(text: &str) -> Option<u32> {
    let text = text.trim_end_matches('.').to_ascii_lowercase();
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u32 = number.parse().ok()?;
    let days = match unit {
        "d" => number,
        "w" => number.checked_mul(7)?,
        _ => return None,
    };
    (1..=MOST_DAYS).contains(&days).then_some(days)
}

/// The beginning of a fingerprint: 8 hex digits or more.
fn fingerprint(word: &str) -> Option<String> {
    let word = word.trim_matches(|c| "`#".contains(c));
    let is_one = (8..=64).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit());
    is_one.then(|| word.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_is_the_command_and_nothing_else_is() {
        assert_eq!(
            parse("\n  /bsm review  \nplease"),
            Some(CommentCommand::Review)
        );
        assert_eq!(parse("/bsm"), Some(CommentCommand::Help));
        assert_eq!(parse("/bsm HELP"), Some(CommentCommand::Help));
        for none in [
            "please /bsm review",
            "> /bsm review",
            "text\n/bsm review",
            "/bsmreview",
            "",
            "/bsm review\n<!-- bsm:answer 1 -->",
        ] {
            assert_eq!(parse(none), None, "{none}");
            assert!(!is_command(none));
        }
        let Some(CommentCommand::Unclear(what)) = parse("/bsm \u{1b}[2J`x`") else {
            panic!("no command")
        };
        assert!(!what.contains('\u{1b}') && !what.contains('`'), "{what}");
    }

    #[test]
    fn dismissal_has_a_reason_and_may_end() {
        let of = |text: &str| parse(&format!("/bsm ignore {text}"));
        let ignore = |fingerprint: Option<&str>, reason: &str, days| {
            Some(CommentCommand::Ignore {
                fingerprint: fingerprint.map(str::to_owned),
                reason: reason.into(),
                days,
            })
        };
        let f = Some("deadbeef01");
        assert_eq!(
            of("deadbeef01 a test fixture"),
            ignore(f, "a test fixture", None)
        );
        assert_eq!(of("`DEADBEEF01` for 30d x"), ignore(f, "x", Some(30)));
        assert_eq!(of("deadbeef01 x for 2w"), ignore(f, "x", Some(14)));
        assert_eq!(of("a test fixture"), ignore(None, "a test fixture", None));
        assert_eq!(
            of("deadbeef01 waits for me"),
            ignore(f, "waits for me", None)
        );
        for unclear in ["", "deadbeef01", "deadbeef01 for 30d"] {
            let parsed = of(unclear);
            assert!(
                matches!(parsed, Some(CommentCommand::Unclear(_))),
                "{unclear}: {parsed:?}"
            );
        }
    }
}
