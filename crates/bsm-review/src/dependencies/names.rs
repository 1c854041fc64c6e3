//! Names that are almost a well-known one.
//!
//! Why: a package that lives from being mistaken for another differs by a letter. The lists are short on
//! purpose: only what nearly every project knows is worth imitating.

use crate::dependencies::registry::Registry;

const CRATES: &[&str] = &[
    "anyhow",
    "axum",
    "base64",
    "bitflags",
    "chrono",
    "clap",
    "crossbeam",
    "crossterm",
    "futures",
    "hyper",
    "itertools",
    "lazy_static",
    "libc",
    "num_cpus",
    "once_cell",
    "parking_lot",
    "proptest",
    "rand",
    "ratatui",
    "rayon",
    "regex",
    "reqwest",
    "ring",
    "rusqlite",
    "rustls",
    "serde",
    "serde_json",
    "serde_yaml",
    "sqlx",
    "syn",
    "tempfile",
    "thiserror",
    "tokio",
    "toml",
    "tower",
    "tracing",
    "uuid",
    "walkdir",
];
const NPM: &[&str] = &[
    "angular",
    "axios",
    "babel",
    "chalk",
    "commander",
    "cross-env",
    "debug",
    "dotenv",
    "electron",
    "eslint",
    "express",
    "fs-extra",
    "jest",
    "jquery",
    "lodash",
    "minimist",
    "mocha",
    "moment",
    "mongoose",
    "next",
    "node-fetch",
    "prettier",
    "react",
    "react-dom",
    "redux",
    "request",
    "rimraf",
    "rxjs",
    "semver",
    "typescript",
    "underscore",
    "uuid",
    "vite",
    "webpack",
    "winston",
    "yargs",
];
const PYPI: &[&str] = &[
    "aiohttp",
    "beautifulsoup4",
    "boto3",
    "botocore",
    "celery",
    "certifi",
    "click",
    "colorama",
    "cryptography",
    "django",
    "fastapi",
    "flask",
    "jinja2",
    "matplotlib",
    "numpy",
    "pandas",
    "pillow",
    "psycopg2",
    "pydantic",
    "pytest",
    "python-dateutil",
    "pyyaml",
    "redis",
    "requests",
    "scikit-learn",
    "scipy",
    "selenium",
    "setuptools",
    "sqlalchemy",
    "tensorflow",
    "tqdm",
    "urllib3",
    "virtualenv",
];

/// Known themselves, though they differ by a letter from one above.
const KNOWN_NEIGHBOURS: &[&str] = &[
    "preact", "nest", "vitest", "jasmine", "yarg", "regexp", "flake8", "tokei", "clang",
];

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
    if known.iter().any(|k| folded(k) == own) || own.len() < 4 {
        return None;
    }
    let plain = |n: &str| folded(n).replace('-', "");
    if KNOWN_NEIGHBOURS.contains(&own.as_str()) {
        return None;
    }
    known.iter().copied().find(|k| {
        let other = folded(k);
        other.len() >= 5 && (is_one_edit_away(&own, &other) || plain(k) == plain(name))
    })
}

/// One letter more, less, other, or two neighbours exchanged.
fn is_one_edit_away(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    let ends = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    let (a, b) = (&a[..a.len() - ends], &b[..b.len() - ends]);
    match (a, b) {
        ([_], [] | [_]) | ([], [_]) => true,
        ([first, second], [one, two]) => first == two && second == one,
        _ => false,
    }
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
}
