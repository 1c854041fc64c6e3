//! Values that stand where a secret would stand: samples, masks, references to variables.
//!
//! Why in code: what makes `xxxxxxxx` or `${TOKEN}` no secret is the same for every service, and a rule that
//! had to say it itself would forget half of it.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// Words that say that a value is a sample.
const WORDS: &[&str] = &[
    "example",
    "sample",
    "placeholder",
    "dummy",
    "changeme",
    "change_me",
    "change-me",
    "change_this",
    "changeit",
    "replace_me",
    "replaceme",
    "replace-me",
    "replace_with",
    "insert_",
    "insert-",
    "your_",
    "your-",
    "yourtoken",
    "yourkey",
    "yoursecret",
    "yourpassword",
    "yourapi",
    "<your",
    "my_secret",
    "my-secret",
    "my_token",
    "my-token",
    "my_api",
    "my-api",
    "mysecret",
    "mytoken",
    "myapikey",
    "fake",
    "foobar",
    "redacted",
    "secret_here",
    "key_here",
    "token_here",
    "notreal",
    "not_real",
    "not-a-real",
    "lorem",
    "some_secret",
    "some-secret",
    "xxxx",
    "todo",
    "enter_",
    "put_your",
    "deadbeef",
    "undefined",
    "nullptr",
    "abcdefgh",
    "0123456789",
    "1234567890",
    "abcd1234",
    "1234abcd",
    "hidden_",
    "removed",
];

/// Whether `value` is no secret but stands for one.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    static SAMPLE: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(WORDS)
            .ok()
    });
    value.ends_with(b"...")
        || value.ends_with("…".as_bytes())
        || is_reference(value)
        || is_repetitive(value)
        || is_sequence(value)
        || SAMPLE.as_ref().is_some_and(|words| words.is_match(value))
}

/// A value that is read from elsewhere: a variable, a template, a call.
pub(super) fn is_reference(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let opens: &[&[u8]] = &[
        b"${", b"$(", b"{{", b"{%", b"<%", b"#{", b"%{", b"@{", b"$[", b"[[", b"@@", b"__",
    ];
    if opens.iter().any(|open| value.starts_with(open)) {
        return true;
    }
    let framed =
        |open: u8, close: u8| value.len() > 2 && value[0] == open && value.ends_with(&[close]);
    if framed(b'<', b'>')
        || framed(b'%', b'%')
        || framed(b'{', b'}')
        || framed(b'[', b']')
        || framed(b'(', b')')
    {
        return true;
    }
    let name = |text: &[u8]| {
        !text.is_empty()
            && text
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-'))
    };
    // `$NAME`, `%s`, `:name` of statements.
    (value.first() == Some(&b'$') && name(&value[1..]) && !value[1].is_ascii_digit())
        || (value.first() == Some(&b'%') && value.len() <= 3)
        || [
            (&b"${"[..], &b"}"[..]),
            (b"#{", b"}"),
            (b"{{", b"}}"),
            (b"$(", b")"),
        ]
        .iter()
        .any(|(open, close)| holds_reference(value, open, close))
}

/// A name or a call between these marks: `${NAME}`, `{{ secrets.token }}`, `$(pass show x)`.
fn holds_reference(value: &[u8], open: &[u8], close: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(value, open) else {
        return false;
    };
    let inside = &value[at + open.len()..];
    let Some(end) = memchr::memmem::find(inside, close) else {
        // Cut off where the value ends.
        return at == 0;
    };
    let named = |b: &u8| b.is_ascii_alphanumeric() || b" _.:-|'\"/(),$?=!@".contains(b);
    !inside[..end].is_empty() && inside[..end].iter().all(named)
}

/// Few characters again and again, or a long run of one.
fn is_repetitive(value: &[u8]) -> bool {
    let (mut run, mut before) = (0, 0u8);
    for byte in value {
        run = if *byte == before { run + 1 } else { 1 };
        before = *byte;
        let mask = matches!(byte, b'x' | b'X' | b'*' | b'.' | b'_' | b'#' | b'?');
        if run >= if mask { 4 } else { 6 } {
            return true;
        }
    }
    let mut seen = [false; 256];
    for byte in value {
        seen[usize::from(*byte)] = true;
    }
    let distinct = seen.iter().filter(|s| **s).count();
    (value.len() >= 8 && distinct <= 3) || (value.len() >= 16 && distinct <= 4)
}

/// Most characters follow the one before: `123456`, `abcdef`.
fn is_sequence(value: &[u8]) -> bool {
    if value.len() < 6 {
        return false;
    }
    let follows = |pair: &[u8]| {
        pair[1] == pair[0].wrapping_add(1)
            || (pair[0] == b'9' && matches!(pair[1], b'0' | b'a' | b'A'))
    };
    let count = value.windows(2).filter(|pair| follows(pair)).count();
    count * 3 >= (value.len() - 1) * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholder_in_every_usual_form_is_known() {
        for value in [
            "xxxxxxxxxxxx",
            "XXXX-XXXX-XXXX",
            "${TOKEN}",
            "$TOKEN",
            "{{ secrets.token }}",
            "<your-token>",
            "%PASSWORD%",
            "your_api_key",
            "EXAMPLEKEY1234",
            "1234567890abcdef",
            "********",
            "abcdefghijkl",
            "aaaaaaaaaaaaaaaa",
            "changeme",
            "${{ secrets.A }}",
            "aGVsbG8${X}",
        ] {
            assert!(is_placeholder(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn placeholder_is_not_seen_in_random_values() {
        let mut random = fastrand::Rng::with_seed(11);
        let letters: Vec<u8> = (b'a'..=b'z')
            .chain(b'A'..=b'Z')
            .chain(b'0'..=b'9')
            .collect();
        let wrong = (0..20_000)
            .filter(|_| {
                let value: Vec<u8> = (0..40)
                    .map(|_| letters[random.usize(..letters.len())])
                    .collect();
                is_placeholder(&value)
            })
            .count();
        assert!(wrong < 60, "{wrong} of 20,000");
    }
}
