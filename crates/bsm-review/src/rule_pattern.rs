//! Regexes of rules that only say what a value looks like: a token that stands alone, or a value after a name.
//!
//! Why composed: the ways to write `name = "value"` are the same for every service. A rule names the service and
//! the shape of its value; the rest is here, once.

/// Between a name and its value, inside the name: `_API_KEY`, `.token`, ` secret `.
const REST_OF_NAME: &str = r"[\w.\- ]{0,40}?";
/// From the end of a name to the value: quotes, blanks, and what assigns.
const ASSIGNS: &str = r#"(?:[ \t]+(?:string|str|String))?["'`\])]{0,3}[ \t]{0,8}(?:=>|:{1,3}=?|\|\|:?=|[?.]=|={1,3}|,|>\s{0,12}|\()[ \t]{0,8}["'`=(\[ \\@]{0,6}"#;
/// After a value.
const ENDS: &str = r"(?:[^A-Za-z0-9_+/\-]|\\[nr]|\z)";

/// What a rule says of its form.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts<'a> {
    /// The shape of a token that stands alone.
    pub(super) token: Option<&'a str>,
    /// Names that stand before a value.
    pub(super) near: &'a [String],
    /// The shape of that value.
    pub(super) value: Option<&'a str>,
    /// It names a regex itself.
    pub(super) has_regex: bool,
}

/// The regex that a rule means; `None` where it names its own, or none.
///
/// # Errors
/// When it says two things at once, or half of one.
pub(super) fn composed(parts: &Parts<'_>) -> Result<Option<String>, String> {
    match (parts.token, parts.value, parts.near.is_empty()) {
        (None, None, true) => Ok(None),
        (Some(token), None, true) if !parts.has_regex => Ok(Some(format!(r"\b({token}){ENDS}"))),
        (None, Some(value), false) if !parts.has_regex => {
            let names: Vec<String> = parts.near.iter().map(|n| name(n)).collect();
            let names = names.join("|");
            Ok(Some(format!(
                "((?i:{names})){REST_OF_NAME}{ASSIGNS}({value}){ENDS}"
            )))
        }
        (_, None, false) | (_, Some(_), true) => Err("'near' and 'value' belong together".into()),
        _ => Err("it may have one of regex, token, and near with value".into()),
    }
}

/// The group of a composed regex that holds the value after a name; the one before holds the name.
pub(super) const VALUE_GROUP: usize = 2;

/// Whether a name that was found in `text` is a word of its own: not `meraki` in `CameraKit`, not `sumo` in `sumOf`.
pub(super) fn stands_alone(text: &[u8], start: usize, end: usize) -> bool {
    let (first, last) = (text[start], text[end - 1]);
    let before = start.checked_sub(1).map(|at| text[at]);
    let after = text.get(end).copied();
    let begins = before.is_none_or(|b| {
        !b.is_ascii_alphabetic() || (b.is_ascii_lowercase() && first.is_ascii_uppercase())
    });
    let ends = after.is_none_or(|a| !(a.is_ascii_lowercase() && last.is_ascii_uppercase()));
    begins && ends
}

/// The words of a name that the prefilter looks for: its longest, since what stands between them differs. Where that
/// one is common in ordinary text, it and its neighbour in every form that they may have together.
pub(super) fn keywords(name: &str) -> Vec<String> {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(BETWEEN).collect();
    let longest = (0..words.len()).max_by_key(|at| words[*at].len());
    let longest = longest.unwrap_or(0);
    let common = words[longest].len() < SHORT || COMMON.contains(&words[longest]);
    if words.len() == 1 || !common {
        return vec![words[longest].to_owned()];
    }
    let first = longest.min(words.len() - 2);
    let pair = &words[first..first + 2];
    ["", " ", "_", ".", "-"]
        .iter()
        .map(|between| pair.join(between))
        .collect()
}

/// A word of fewer letters is taken for common.
const SHORT: usize = 5;
/// Longer words that are common in source text.
const COMMON: &[&str] = &[
    "abstract",
    "access",
    "application",
    "assembly",
    "channel",
    "circle",
    "client",
    "close",
    "cloud",
    "deploy",
    "exchange",
    "launch",
    "linked",
    "master",
    "message",
    "notify",
    "password",
    "people",
    "private",
    "remove",
    "secret",
    "security",
    "segment",
    "semaphore",
    "shared",
    "shortcut",
    "split",
    "storage",
    "times",
    "together",
    "token",
];

/// What may stand between the words of a name, as rules write it.
const BETWEEN: [char; 3] = [' ', '_', '-'];

/// A name as it is written in code: where its words meet there may be a border.
fn name(text: &str) -> String {
    let words: Vec<String> = text.split(BETWEEN).map(regex::escape).collect();
    words.join("[ _.-]?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::re2::compile;

    fn found(rule: &Parts<'_>, text: &str) -> bool {
        let regex = composed(rule).unwrap().unwrap();
        compile(&regex).unwrap().is_match(text.as_bytes())
    }

    #[test]
    fn value_after_a_name_is_found_in_every_usual_form() {
        let rule = Parts {
            near: &["acme mail".into()],
            value: Some("[a-f0-9]{8}"),
            ..Parts::default()
        };
        for text in [
            "ACME_MAIL_TOKEN=0a1b2c3d",
            "acmeMailKey: '0a1b2c3d'",
            r#""acme-mail": {"acme-mail-key": "0a1b2c3d"}"#,
            "<acmeMail>0a1b2c3d</acmeMail>",
            r#"setProperty("acme.mail.key", "0a1b2c3d");"#,
            "acme_mail_key := \"0a1b2c3d\"",
            "acme_mail_key => `0a1b2c3d`",
            "const acmeMailKey string = \"0a1b2c3d\"",
        ] {
            assert!(found(&rule, text), "{text}");
        }
        for text in [
            "acme mail\n0a1b2c3d",
            "acmeMailKey: 0a1b2c3d4e",
            "other = 0a1b2c3d",
        ] {
            assert!(!found(&rule, text), "{text}");
        }
    }

    #[test]
    fn keyword_of_a_name_is_no_common_word() {
        assert_eq!(keywords("Acme maker"), ["maker"]);
        assert_eq!(keywords("acme"), ["acme"]);
        let forms = ["wit ai", "wit_ai", "wit.ai", "wit-ai", "witai"];
        assert!(
            forms
                .iter()
                .all(|form| keywords("wit ai").contains(&(*form).to_owned()))
        );
        assert!(keywords("acme client").contains(&"acme_client".to_owned()));
    }

    #[test]
    fn name_inside_another_word_does_not_stand_alone() {
        let alone = |text: &str, name: &str| {
            let start = text.to_lowercase().find(name).unwrap();
            stands_alone(text.as_bytes(), start, start + name.len())
        };
        for text in ["acmeKey", "myAcmeKey", "MY_ACME_KEY", "acmekey"] {
            assert!(alone(text, "acme"), "{text}");
        }
        for text in ["CameraKit", "SetSysctl"] {
            assert!(
                !alone(
                    text,
                    if text.starts_with('C') {
                        "meraki"
                    } else {
                        "etsy"
                    }
                ),
                "{text}"
            );
        }
        assert!(!alone("sumOfAll", "sumo"));
    }

    #[test]
    fn token_is_found_only_between_borders() {
        let rule = Parts {
            token: Some("tk_[a-z]{4}"),
            ..Parts::default()
        };
        assert!(found(&rule, "x=tk_abcd;") && found(&rule, "tk_abcd"));
        assert!(!found(&rule, "xtk_abcd") && !found(&rule, "tk_abcde"));
    }

    #[test]
    fn rule_that_says_half_of_a_form_is_refused() {
        let half = Parts {
            value: Some("x"),
            ..Parts::default()
        };
        assert!(composed(&half).is_err());
    }
}
