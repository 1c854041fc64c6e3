//! The smallest parts of YAML: keys, quotes, comments, marks.

/// Brackets that open less those that close, outside of quotes.
pub(super) fn balance(text: &str) -> i32 {
    let mut open = 0;
    let mut quote = None;
    for byte in text.bytes() {
        match (quote, byte) {
            (Some(q), b) if q == b => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'[' | b'{') => open += 1,
            (None, b']' | b'}') => open -= 1,
            _ => {}
        }
    }
    open
}

pub(super) fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// An anchor or a tag before a value, and the rest.
pub(super) fn properties(text: &str) -> (Option<String>, String) {
    let mut rest = text.trim_start();
    let mut anchor = None;
    while rest.starts_with(['&', '!']) {
        let word = rest.split_whitespace().next().unwrap_or_default();
        if let Some(name) = word.strip_prefix('&') {
            anchor = Some(name.to_owned());
        }
        rest = rest[word.len()..].trim_start();
    }
    (anchor, rest.to_owned())
}

/// A key and what stands after its colon.
pub(super) fn split_key(text: &str) -> Option<(&str, &str)> {
    if let Some(quote) = text.bytes().next().filter(|b| matches!(b, b'"' | b'\'')) {
        let end = closing(&text[1..], quote)? + 1;
        let after = text[end + 1..].trim_start();
        let rest = after.strip_prefix(':')?;
        return (rest.is_empty() || rest.starts_with([' ', '\t']))
            .then(|| (&text[1..end], rest.trim_start()));
    }
    if text.starts_with(['{', '[', '|', '>', '#', '&', '*', '!', '%', '@', '`']) {
        return None;
    }
    let mut from = 0;
    while let Some(at) = text[from..].find(':') {
        let at = from + at;
        let rest = &text[at + 1..];
        if rest.is_empty() || rest.starts_with([' ', '\t']) {
            let key = text[..at].trim_end();
            // A key is a name; a sentence with a colon is text.
            let name =
                !key.is_empty() && !key.contains(" #") && key.len() <= 200 && !key.contains("${{");
            return name.then(|| (key, rest.trim_start()));
        }
        from = at + 1;
    }
    None
}

pub(super) fn closing(text: &str, quote: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'\\' && quote == b'"' {
            at += 2;
        } else if bytes[at] == quote {
            if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') {
                at += 2;
                continue;
            }
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

/// A plain value without the comment behind it.
pub(super) fn without_comment(text: &str) -> &str {
    let mut quote = None;
    let mut before = b' ';
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(q), b) if q == b => quote = None,
            (None, b'"' | b'\'') if matches!(before, b' ' | b'[' | b'{' | b',' | b':' | b'(') => {
                quote = Some(byte);
            }
            (None, b'#') if matches!(before, b' ' | b'\t') => return text[..at].trim_end(),
            _ => {}
        }
        before = byte;
    }
    text.trim_end()
}
