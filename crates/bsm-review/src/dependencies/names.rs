//! Names that are almost a well-known one.
//!
//! Why: a package that lives from being mistaken for another differs by a letter. The lists are short on
//! purpose: only what nearly every project knows is worth imitating.

use crate::dependencies::registry::Registry;

const CRATES: &[&str] = &[
    "anyhow",
    "async-trait",
    "axum",
    "base64",
    "bitflags",
    "bytes",
    "chrono",
    "clap",
    "crossbeam",
    "crossterm",
    "diesel",
    "futures",
    "hashbrown",
    "hyper",
    "indexmap",
    "itertools",
    "lazy_static",
    "libc",
    "log",
    "num_cpus",
    "once_cell",
    "parking_lot",
    "proptest",
    "prost",
    "rand",
    "rand_core",
    "ratatui",
    "rayon",
    "regex",
    "reqwest",
    "ring",
    "rusqlite",
    "rustls",
    "serde",
    "serde_derive",
    "serde_json",
    "serde_yaml",
    "serde_yml",
    "sqlx",
    "syn",
    "tempfile",
    "thiserror",
    "time",
    "tokio",
    "tokio-util",
    "toml",
    "tonic",
    "tower",
    "tracing",
    "url",
    "uuid",
    "walkdir",
];
const NPM: &[&str] = &[
    "angular",
    "axios",
    "babel",
    "bcrypt",
    "bcryptjs",
    "chalk",
    "commander",
    "cross-env",
    "dayjs",
    "debug",
    "dotenv",
    "electron",
    "esbuild",
    "eslint",
    "execa",
    "express",
    "fastify",
    "fs-extra",
    "ioredis",
    "jest",
    "jquery",
    "koa",
    "lodash",
    "luxon",
    "minimist",
    "mocha",
    "moment",
    "mongodb",
    "mongoose",
    "nanoid",
    "next",
    "node-fetch",
    "nodemon",
    "nuxt",
    "passport",
    "preact",
    "prettier",
    "react",
    "react-dom",
    "redis",
    "redux",
    "request",
    "rimraf",
    "rollup",
    "rxjs",
    "semver",
    "socket.io",
    "svelte",
    "ts-node",
    "typescript",
    "underscore",
    "uuid",
    "vite",
    "vitest",
    "webpack",
    "winston",
    "yargs",
];
const PYPI: &[&str] = &[
    "aiohttp",
    "beautifulsoup4",
    "black",
    "boto3",
    "botocore",
    "celery",
    "certifi",
    "click",
    "colorama",
    "cryptography",
    "django",
    "django-redis",
    "fastapi",
    "flask",
    "flask-cors",
    "gevent",
    "greenlet",
    "gunicorn",
    "httpx",
    "jinja2",
    "markupsafe",
    "matplotlib",
    "numpy",
    "packaging",
    "pandas",
    "paramiko",
    "pillow",
    "psycopg",
    "psycopg-binary",
    "psycopg2",
    "psycopg2-binary",
    "pydantic",
    "pyjwt",
    "pymongo",
    "pymysql",
    "pytest",
    "pytest-cov",
    "python-dateutil",
    "pyyaml",
    "redis",
    "requests",
    "scikit-learn",
    "scipy",
    "selenium",
    "setuptools",
    "sqlalchemy",
    "starlette",
    "tensorflow",
    "tqdm",
    "urllib3",
    "uvicorn",
    "virtualenv",
    "werkzeug",
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
pub(crate) fn is_one_edit_away(a: &str, b: &str) -> bool {
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
