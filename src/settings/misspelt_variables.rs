//! Variables in the environment that are almost one of BSM's.
//!
//! Why an error: what nobody reads looks like a setting that is in effect.

use std::collections::BTreeSet;

use bsm_base::spelling::is_one_edit_away;

use super::env::Env;

/// Variables of BSM that are no settings.
const OTHERS: &[&str] = &[
    "BSM_TOKEN",
    "BSM_APPROVER_TOKEN",
    "BSM_TRUST",
    "BSM_FAILPOINT",
    "BSM_GITHUB_APP_KEY",
];

/// A set variable that is almost one of BSM's, and the one that was meant. `settings`: the variables that set a
/// setting.
pub(super) fn misspelt(
    settings: impl Iterator<Item = String>,
    env: &Env,
) -> Option<(String, String)> {
    env.names("BSM_").next()?;
    let all: BTreeSet<String> = settings
        .chain(OTHERS.iter().map(|name| (*name).to_owned()))
        .filter(|name| name.starts_with("BSM_"))
        .collect();
    let plain = |name: &str| name.replace('_', "").to_ascii_uppercase();
    env.names("BSM_")
        .filter(|name| !all.contains(*name))
        .find_map(|name| {
            let own = plain(name);
            let near = |other: &&String| {
                let other = plain(other);
                own == other || (own.len() >= 8 && is_one_edit_away(&own, &other))
            };
            Some((name.to_owned(), all.iter().find(near)?.clone()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_variable_is_named_with_the_right_one() {
        let settings = || {
            let names = ["BSM_BREAKER_OPEN_MS", "BSM_RETRY_ATTEMPTS", "LOG_LEVEL"];
            names.into_iter().map(String::from)
        };
        for (wrong, right) in [
            ("BSM_BREAKER_OPENMS", "BSM_BREAKER_OPEN_MS"),
            ("BSM_RETRY_ATEMPTS", "BSM_RETRY_ATTEMPTS"),
            ("BSM_TOKNE", "BSM_TOKEN"),
        ] {
            let found = misspelt(settings(), &Env::of([(wrong, "3")]));
            assert_eq!(found, Some((wrong.to_owned(), right.to_owned())));
        }
        for other in ["BSM_RETRY_ATTEMPTS", "BSM_OF_SOMEBODY_ELSE", "BSM_TOKEN"] {
            assert_eq!(misspelt(settings(), &Env::of([(other, "3")])), None);
        }
    }
}
