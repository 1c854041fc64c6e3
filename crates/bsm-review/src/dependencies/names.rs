//! Names that are almost a well-known one.
//!
//! Why: a package that lives from being mistaken for another differs by a letter. The lists hold only what nearly
//! every project knows: only that is worth imitating. A name that is in a list is itself well known, and looks like
//! no other (`psycopg` is not `psycopg2`).

use bsm_base::spelling::is_one_edit_away;

use crate::dependencies::registry::Registry;

/// One name a line.
const CRATES: &str = include_str!("well-known/crates.txt");
const NPM: &str = include_str!("well-known/npm.txt");
const PYPI: &str = include_str!("well-known/pypi.txt");

/// Known themselves, though too short or too rare to be imitated.
const KNOWN_NEIGHBOURS: &[&str] = &["yarg", "regexp"];

/// The well-known name that `name` could be mistaken for.
pub(super) fn looks_like(registry: Registry, name: &str) -> Option<&'static str> {
    let known = match registry {
        Registry::Crates => CRATES,
        Registry::Npm => NPM,
        Registry::PyPi => PYPI,
        Registry::Other => return None,
    };
    let folded = |n: &str| n.to_ascii_lowercase().replace('_', "-");
    let own = folded(name);
    if own.len() < 4 || known.lines().any(|k| folded(k) == own) {
        return None;
    }
    let plain = |n: &str| folded(n).replace('-', "");
    if KNOWN_NEIGHBOURS.contains(&own.as_str()) {
        return None;
    }
    known.lines().find(|k| {
        let other = folded(k);
        other.len() >= 5 && (is_one_edit_away(&own, &other) || plain(k) == plain(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_makes_another_name() {
        for name in ["reqeust", "lodahs", "expres", "reacct-dom", "crossenv"] {
            assert!(looks_like(Registry::Npm, name).is_some(), "{name}");
        }
        for name in ["lodash", "react", "preact", "left-pad", "uuidx", "a"] {
            let found = looks_like(Registry::Npm, name);
            assert!(found.is_none(), "{name}: {found:?}");
        }
        assert_eq!(looks_like(Registry::PyPi, "requestss"), Some("requests"));
        assert_eq!(looks_like(Registry::Crates, "serde-json"), None);
        assert_eq!(looks_like(Registry::Other, "reqeusts"), None);
    }

    #[test]
    fn well_known_name_is_no_look_alike_of_another() {
        for (registry, names) in [
            (Registry::PyPi, PYPI),
            (Registry::Npm, NPM),
            (Registry::Crates, CRATES),
        ] {
            for name in names.lines() {
                assert_eq!(looks_like(registry, name), None, "{name}");
            }
        }
        assert_eq!(looks_like(Registry::PyPi, "psycopg"), None);
        assert_eq!(looks_like(Registry::PyPi, "psycopgg"), Some("psycopg"));
    }
}
