//! Names of things that hold secrets.

/// What a name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Chosen by people: may be short.
    Password,
    /// Made by machines.
    Secret,
    /// Made by machines, and often something else: the end of a list, a kind of word.
    Token,
    /// Made by machines, and often something else: a column, a place in a map.
    Key,
}

/// Words in names, with what they promise.
pub(super) const WORDS: &[(&str, Kind)] = &[
    ("passw", Kind::Password),
    ("passphrase", Kind::Password),
    ("passcode", Kind::Password),
    ("pass", Kind::Password),
    ("pwd", Kind::Password),
    ("secret", Kind::Secret),
    ("credential", Kind::Secret),
    ("creds", Kind::Secret),
    ("apikey", Kind::Key),
    ("api_key", Kind::Key),
    ("api-key", Kind::Key),
    ("api.key", Kind::Key),
    ("api key", Kind::Key),
    ("accesskey", Kind::Key),
    ("access_key", Kind::Key),
    ("access-key", Kind::Key),
    ("accountkey", Kind::Key),
    ("account_key", Kind::Key),
    ("authkey", Kind::Key),
    ("auth_key", Kind::Key),
    ("auth-key", Kind::Key),
    ("privatekey", Kind::Key),
    ("private_key", Kind::Key),
    ("private-key", Kind::Key),
    ("encryptionkey", Kind::Key),
    ("encryption_key", Kind::Key),
    ("encryption-key", Kind::Key),
    ("signingkey", Kind::Key),
    ("signing_key", Kind::Key),
    ("signing-key", Kind::Key),
    ("masterkey", Kind::Key),
    ("master_key", Kind::Key),
    ("licensekey", Kind::Key),
    ("license_key", Kind::Key),
    ("sharedaccesskey", Kind::Key),
    ("consumerkey", Kind::Key),
    ("consumer_key", Kind::Key),
    ("clientkey", Kind::Key),
    ("client_key", Kind::Key),
    ("appkey", Kind::Key),
    ("cipherkey", Kind::Key),
    ("cipher_key", Kind::Key),
    ("aeskey", Kind::Key),
    ("aes_key", Kind::Key),
    ("hmackey", Kind::Key),
    ("hmac_key", Kind::Key),
    ("sharedkey", Kind::Key),
    ("shared_key", Kind::Key),
    ("cryptkey", Kind::Key),
    ("crypt_key", Kind::Key),
    ("deploy_key", Kind::Key),
    ("service_key", Kind::Key),
    ("storage_key", Kind::Key),
    ("app_key", Kind::Key),
    ("token", Kind::Token),
    ("bearer", Kind::Token),
    ("authorization", Kind::Token),
    ("auth", Kind::Token),
];

/// What follows the word in a name and makes it something else: where the secret lies, what it is called, how long.
const OTHERWISE: &[&str] = &[
    "uuid",
    "hash",
    "hashed",
    "digest",
    "within",
    "encryption",
    "scheme",
    "ratelimit",
    "oid",
    "salt",
    "retries",
    "years",
    "days",
    "hours",
    "file",
    "path",
    "dir",
    "url",
    "uri",
    "endpoint",
    "host",
    "name",
    "names",
    "type",
    "field",
    "label",
    "prompt",
    "hint",
    "length",
    "len",
    "size",
    "min",
    "max",
    "limit",
    "count",
    "policy",
    "rule",
    "regex",
    "pattern",
    "format",
    "expiry",
    "expires",
    "expiration",
    "ttl",
    "timeout",
    "age",
    "lifetime",
    "header",
    "param",
    "parameter",
    "env",
    "var",
    "ref",
    "arn",
    "id",
    "ids",
    "input",
    "placeholder",
    "error",
    "message",
    "msg",
    "title",
    "text",
    "strength",
    "reset",
    "change",
    "changed",
    "enabled",
    "required",
    "provider",
    "manager",
    "service",
    "store",
    "storage",
    "class",
    "column",
    "index",
    "validator",
    "validation",
    "encoder",
    "algorithm",
    "method",
    "mode",
    "version",
    "scope",
    "scopes",
    "issuer",
    "audience",
    "location",
    "selector",
    "template",
    "kind",
    "source",
    "backend",
    "engine",
    "usage",
    "alias",
    "cmd",
    "command",
    "program",
    "offset",
    "position",
    "pos",
    "start",
    "end",
    "list",
    "set",
    "map",
    "info",
    "status",
    "state",
    "flow",
    "grant",
    "lookup",
    "mgr",
    "realm",
    "variants",
    "kinds",
    "types",
    "handler",
    "callback",
    "function",
    "func",
    "fn",
    "factory",
    "builder",
    "parser",
    "helper",
    "util",
    "config",
    "options",
    "settings",
    "schema",
    "model",
    "table",
    "cookie",
    "action",
    "event",
    "icon",
    "link",
    "page",
    "form",
    "button",
    "view",
    "screen",
    "route",
    "test",
    "tests",
    "doc",
    "docs",
    "description",
    "desc",
    "example",
];

/// Words before it that make it something that may be known.
const NO_SECRET: &[&str] = &[
    "public",
    "csrf",
    "xsrf",
    "authenticity",
    "publishable",
    "next",
    "page",
    "cursor",
    "sync",
    "cancel",
    "cancellation",
];

/// A name that stands at something that is given to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
    /// It is a flag of a command: `--password`.
    pub(super) flag: bool,
    /// It stands in an element's tag: `<password>`.
    pub(super) element: bool,
    /// It stands inside a string: a connection string, a command line in JSON.
    pub(super) in_string: bool,
    /// `ENV` or `ARG` stands before it.
    pub(super) after_env: bool,
    /// `login … password …` of .netrc.
    pub(super) netrc: bool,
    /// It is the first argument of a call, in quotes.
    pub(super) first_argument: bool,
    /// Its last part is the word itself: `password(…)`, not `password.encode(…)`.
    pub(super) is_called_itself: bool,
}

/// The name that holds the word at `word`, on its line; `None` where it names something else.
pub(super) fn around(
    text: &[u8],
    line: (usize, usize),
    word: (usize, usize),
    kind: Kind,
) -> Option<Name> {
    let goes_on = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let in_name = |b: &u8| goes_on(b) || matches!(b, b'$' | b'@');
    let before = text[line.0..word.0]
        .iter()
        .rev()
        .take(64)
        .take_while(|b| in_name(b))
        .count();
    let after = text[word.1..line.1]
        .iter()
        .take(48)
        .take_while(|b| goes_on(b))
        .count();
    let (start, end) = (word.0 - before, word.1 + after);
    let lead = text[start..word.0].to_ascii_lowercase();
    let known = NO_SECRET
        .iter()
        .any(|no| memchr::memmem::find(&lead, no.as_bytes()).is_some());
    if known || !word_stands_alone(text, word) || means_otherwise(&text[word.1..end]) {
        return None;
    }
    // The default of a variable: `${PASSWORD:…}`.
    if text[line.0..start].ends_with(b"${") {
        return None;
    }
    let left = text[line.0..start].trim_ascii_end();
    let upper = left.to_ascii_uppercase();
    let quotes = memchr::memchr_iter(b'"', &text[line.0..start]).count();
    let closed = matches!(text.get(end), Some(b'"' | b'\'' | b'`' | b']'));
    let before = &text[line.0..start];
    let first_argument = matches!(
        before,
        [.., b'(', b'"' | b'\'' | b'`'] | [.., b'(', b' ', b'"' | b'\'' | b'`']
    );
    Some(Name {
        start,
        end,
        kind,
        flag: text[start..].starts_with(b"--") || text[start..].starts_with(b"-"),
        element: left.ends_with(b"<") || text[line.0..start].last() == Some(&b'<'),
        in_string: quotes % 2 == 1 && !closed,
        after_env: upper.ends_with(b"ENV") || upper.ends_with(b"ARG"),
        netrc: kind == Kind::Password && memchr::memmem::find(&upper, b"LOGIN ").is_some(),
        first_argument,
        is_called_itself: !text[word.1..end].contains(&b'.'),
    })
}

/// `pass`, `auth` and `pwd` are parts of many words; there they must be one of their own.
fn word_stands_alone(text: &[u8], word: (usize, usize)) -> bool {
    let found = &text[word.0..word.1];
    if !matches!(
        found.to_ascii_lowercase().as_slice(),
        b"pass" | b"auth" | b"pwd" | b"bearer" | b"authorization"
    ) {
        return true;
    }
    let before = word.0.checked_sub(1).map(|at| text[at]);
    let after = text.get(word.1).copied();
    let begins = before.is_none_or(|b| {
        !b.is_ascii_alphabetic() || (b.is_ascii_lowercase() && found[0].is_ascii_uppercase())
    });
    let ends = after.is_none_or(|b| {
        !b.is_ascii_lowercase()
            && (!b.is_ascii_uppercase() || found[found.len() - 1].is_ascii_lowercase())
    });
    begins && ends
}

/// What follows the word in its name says that it is not the secret itself.
fn means_otherwise(rest: &[u8]) -> bool {
    let rest = String::from_utf8_lossy(rest);
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    for c in rest.chars() {
        let camel = c.is_ascii_uppercase() && before.is_ascii_lowercase();
        if (camel || !c.is_ascii_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
        .last()
        .is_some_and(|last| OTHERWISE.contains(&last.as_str()))
}
