//! What tells a secret from a setting: the value itself.

use super::form::Form;
use super::names::{Kind, Name};
use crate::entropy::entropy;
use crate::languages::Language;
use crate::placeholders::{is_placeholder, is_reference};

/// Words that stand for a password in samples and in code that asks for one.
const NOT_A_PASSWORD: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "key",
    "none",
    "null",
    "nil",
    "true",
    "false",
    "undefined",
    "string",
    "str",
    "int",
    "required",
    "optional",
    "default",
    "yes",
    "no",
    "on",
    "off",
    "empty",
    "unset",
    "user",
    "username",
    "admin",
    "root",
    "test",
    "testing",
    "example",
    "value",
    "text",
    "hidden",
    "hash",
    "bcrypt",
    "plain",
    "basic",
    "bearer",
    "digest",
    "oauth",
    "oauth2",
    "jwt",
    "env",
    "environment",
    "prompt",
    "ask",
    "file",
    "vault",
    "md5",
    "sha1",
    "sha256",
    "sha512",
    "utf8",
];

/// Whether a value that is given to such a name is a secret.
pub(super) fn is_secret(value: &[u8], name: &Name, form: Form, language: Option<Language>) -> bool {
    let value = value.trim_ascii();
    let least = match name.kind {
        Kind::Password => 6,
        Kind::Secret => 8,
        Kind::Token | Kind::Key => 12,
    };
    if value.len() < least || !value.is_ascii() || is_reference(value) || is_placeholder(value) {
        return false;
    }
    let blanks = value.iter().filter(|b| b.is_ascii_whitespace()).count();
    let scheme = || {
        let first = value
            .split(u8::is_ascii_whitespace)
            .next()
            .unwrap_or_default();
        [&b"bearer"[..], b"basic", b"token", b"apikey"]
            .iter()
            .any(|s| first.eq_ignore_ascii_case(s))
    };
    if blanks > 0 && !(name.kind == Kind::Token && blanks == 1 && scheme()) {
        return false;
    }
    let lower = String::from_utf8_lossy(value).to_ascii_lowercase();
    if NOT_A_PASSWORD.contains(&lower.as_str()) || is_path(&lower) || is_code(value, form, language)
    {
        return false;
    }
    // `ClearTextPassword1` is what a sample says.
    if name.kind == Kind::Password && value.len() <= 24 && lower.contains("password") {
        return false;
    }
    let shape = Shape::of(value);
    if is_hash_or_number(&lower, &shape) {
        return false;
    }
    match name.kind {
        Kind::Password => {
            shape.is_password(value)
                || (form == Form::Bare && is_default_password(&lower, name, language))
        }
        Kind::Secret | Kind::Token | Kind::Key => shape.is_made_by_a_machine(value),
    }
}

/// What a password became, the name of an algorithm, a number with dots.
fn is_hash_or_number(lower: &str, shape: &Shape) -> bool {
    const HASHES: [&str; 9] = [
        "$2a$", "$2b$", "$2y$", "$argon2", "$1$", "$5$", "$6$", "scram-", "sha",
    ];
    HASHES.iter().any(|mark| lower.starts_with(mark))
        || (shape.lower + shape.upper == 0 && lower.contains('.'))
}

/// Files that hold values and no code.
fn is_settings(language: Option<Language>) -> bool {
    matches!(
        language,
        Some("yaml" | "env" | "properties" | "dockerfile" | "ini")
    )
}

/// More kinds of signs than code has in one place, and no pattern that a password must match.
fn is_made_of_signs(value: &[u8]) -> bool {
    let pattern = value.starts_with(b"^")
        || value.ends_with(b"$")
        || memchr::memmem::find(value, b"(?").is_some()
        || memchr::memmem::find(value, b"-z").is_some();
    !pattern && value.len() >= 16 && kinds_of_signs(value) >= 8
}

/// How many different signs stand in it that words and paths do not have.
fn kinds_of_signs(value: &[u8]) -> usize {
    let mut signs = [false; 128];
    for byte in value
        .iter()
        .filter(|b| b"{}()[]<>$#@!%^&*?;~+=".contains(b))
    {
        signs[usize::from(*byte)] = true;
    }
    signs.iter().filter(|s| **s).count()
}

/// A plain word that a file of settings gives to a password: `POSTGRES_PASSWORD: banana`.
fn is_default_password(lower: &str, name: &Name, language: Option<Language>) -> bool {
    is_settings(language)
        && !name.in_string
        && (5..=24).contains(&lower.len())
        && lower.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
}

/// An address, a path, a name of a host or a package: they are settings.
fn is_path(value: &str) -> bool {
    let parts = |mark: char| value.split(mark).count();
    let words = |mark: char| {
        value
            .split(mark)
            .all(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_alphabetic()))
    };
    value.contains("://")
        || value.starts_with(['/', '~', '.'])
        || value.starts_with("arn:")
        || value.starts_with("urn:")
        || (parts('/') > 2 && !value.contains('+') && words('/'))
        || (parts('.') > 1 && words('.'))
        || (parts('_') > 1 && words('_'))
        || (parts('-') > 1 && words('-'))
        || (parts(':') > 1 && words(':'))
        || value.split_once('.').is_some_and(|(_, end)| {
            matches!(
                end,
                "pem"
                    | "key"
                    | "crt"
                    | "txt"
                    | "json"
                    | "yml"
                    | "yaml"
                    | "php"
                    | "html"
                    | "js"
                    | "py"
                    | "jpg"
                    | "png"
                    | "svg"
            )
        })
}

/// Code that stands where a value would stand.
fn is_code(value: &[u8], form: Form, language: Option<Language>) -> bool {
    let has = |bytes: &[u8]| memchr::memmem::find(value, bytes).is_some();
    if form == Form::Bare && is_settings(language) && is_made_of_signs(value) {
        return false;
    }
    if form == Form::Bare {
        return has(b"(")
            || has(b"[")
            || has(b"{")
            || has(b"|")
            || has(b"\\")
            || value.starts_with(b"&")
            || value.starts_with(b"!")
            || value.starts_with(b"*")
            || value.starts_with(b">")
            || value.starts_with(b"@")
            || (language.is_none() && has(b"="));
    }
    has(b"\\x")
        || has(b"()")
        || has(b"=>")
        || has(b"</")
        || has(b" + ")
        || has(b"' +")
        || has(b"\" +")
}

/// Which kinds of characters a value has.
struct Shape {
    lower: usize,
    upper: usize,
    digits: usize,
    other: usize,
}

impl Shape {
    fn of(value: &[u8]) -> Self {
        let count = |is: fn(&u8) -> bool| value.iter().filter(|b| is(b)).count();
        let (lower, upper, digits) = (
            count(u8::is_ascii_lowercase),
            count(u8::is_ascii_uppercase),
            count(u8::is_ascii_digit),
        );
        Self {
            lower,
            upper,
            digits,
            other: value.len() - lower - upper - digits,
        }
    }

    /// At least two kinds of characters: not a word, not a number.
    fn is_password(&self, value: &[u8]) -> bool {
        let kinds = [self.lower, self.upper, self.digits, self.other]
            .iter()
            .filter(|n| **n > 0)
            .count();
        kinds >= 2
            && entropy(value) >= 2.3
            && (self.digits > 0 || self.other > 0 || value.len() >= 12)
    }

    /// Digits among letters, and no order in them.
    fn is_made_by_a_machine(&self, value: &[u8]) -> bool {
        let letters = self.lower + self.upper;
        let least = if value.len() >= 32 {
            3.0
        } else {
            3.0_f64.min((value.len() as f64).log2() - 0.7)
        };
        let plain = self.digits > 0
            && letters > 0
            && entropy(value) >= least
            && (self.digits >= 2 || value.len() < 20);
        // Or signs that no word and no path has so many of.
        let signs = kinds_of_signs(value);
        plain || (signs >= 6 && letters > 0 && value.len() >= 16 && entropy(value) >= 3.8)
    }
}
