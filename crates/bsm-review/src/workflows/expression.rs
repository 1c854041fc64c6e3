//! Expressions of workflows: `${{ … }}`, and what of them can end up in the result.

/// An expression inside a text: its offset, and what stands between the braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found<'t> {
    pub(super) offset: usize,
    pub(super) text: &'t str,
}

/// Every `${{ … }}` in a text.
pub(super) fn all(text: &str) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("${{") {
        let start = from + at;
        let inner = start + 3;
        let Some(length) = text[inner..].find("}}") else {
            break;
        };
        found.push(Found {
            offset: start,
            text: &text[inner..inner + length],
        });
        from = inner + length + 2;
    }
    found
}

/// A word of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// `github.event.issue.title`, in lower case, `['x']` and `.x` alike, indices as `*`; and its offset.
    Context(String, usize),
    /// A call's name, in lower case; its bracket follows.
    Call(String),
    Literal(String),
    Open,
    Close,
    Comma,
    /// Gives true or false.
    Compares,
    And,
    Or,
    Not,
}

fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\'' => {
                let end = text[at + 1..]
                    .find('\'')
                    .map_or(bytes.len(), |e| at + 1 + e);
                out.push(Token::Literal(text[at + 1..end].to_owned()));
                at = end + 1;
            }
            b'(' => {
                out.push(Token::Open);
                at += 1;
            }
            b')' => {
                out.push(Token::Close);
                at += 1;
            }
            b',' => {
                out.push(Token::Comma);
                at += 1;
            }
            b'=' | b'<' | b'>' => {
                out.push(Token::Compares);
                at += 1 + usize::from(bytes.get(at + 1) == Some(&b'='));
            }
            b'!' if bytes.get(at + 1) == Some(&b'=') => {
                out.push(Token::Compares);
                at += 2;
            }
            b'!' => {
                out.push(Token::Not);
                at += 1;
            }
            b'&' => {
                out.push(Token::And);
                at += 2;
            }
            b'|' => {
                out.push(Token::Or);
                at += 2;
            }
            b'0'..=b'9' => {
                let length = text[at..]
                    .bytes()
                    .take_while(|b| b.is_ascii_alphanumeric() || *b == b'.')
                    .count();
                out.push(Token::Literal(text[at..at + length].to_owned()));
                at += length;
            }
            b if b.is_ascii_alphabetic() || b == b'_' => {
                let (name, next) = context(text, at);
                let after = text[next..].trim_start();
                if after.starts_with('(') {
                    out.push(Token::Call(name));
                } else if matches!(
                    name.as_str(),
                    "true" | "false" | "null" | "nan" | "infinity"
                ) {
                    out.push(Token::Literal(name));
                } else {
                    out.push(Token::Context(name, at));
                }
                at = next;
            }
            _ => at += 1,
        }
    }
    out
}

/// A context with everything that follows it, and where it ends.
fn context(text: &str, start: usize) -> (String, usize) {
    let bytes = text.as_bytes();
    let mut name = String::new();
    let mut at = start;
    loop {
        let length = text[at..]
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'*'))
            .count();
        name.push_str(&text[at..at + length].to_ascii_lowercase());
        at += length;
        match bytes.get(at) {
            Some(b'.') => {
                name.push('.');
                at += 1;
            }
            Some(b'[') => {
                let Some(end) = text[at..].find(']') else {
                    break;
                };
                let inside = text[at + 1..at + end].trim();
                let inner = inside.strip_prefix('\'').and_then(|i| i.strip_suffix('\''));
                name.push('.');
                name.push_str(&inner.map_or_else(|| "*".to_owned(), str::to_ascii_lowercase));
                at += end + 1;
                if !matches!(bytes.get(at), Some(b'.' | b'[')) {
                    break;
                }
                if bytes[at] == b'.' {
                    name.push('.');
                    at += 1;
                }
            }
            _ => break,
        }
    }
    (name, at)
}

/// Calls whose result is no text of their arguments.
const DECIDES: [&str; 9] = [
    "contains",
    "startswith",
    "endswith",
    "success",
    "failure",
    "always",
    "cancelled",
    "hashfiles",
    "fromjson_bool",
];

/// The contexts whose text can be a part of the result, with their offsets. `a && b || c` gives one of `b` and `c`; a
/// comparison gives true or false.
pub(super) fn flowing(text: &str) -> Vec<(String, usize)> {
    let tokens = tokens(text);
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
    };
    parser.either(0)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Parser<'_> {
    /// `a || b`: either.
    fn either(&mut self, depth: usize) -> Vec<(String, usize)> {
        let mut out = self.both(depth);
        while self.tokens.get(self.at) == Some(&Token::Or) {
            self.at += 1;
            out.extend(self.both(depth));
        }
        out
    }

    /// `a && b`: `b`, or `a` where it counts as false, which no text that matters does.
    fn both(&mut self, depth: usize) -> Vec<(String, usize)> {
        let mut out = self.compared(depth);
        while self.tokens.get(self.at) == Some(&Token::And) {
            self.at += 1;
            out = self.compared(depth);
        }
        out
    }

    fn compared(&mut self, depth: usize) -> Vec<(String, usize)> {
        let mut out = self.single(depth);
        while self.tokens.get(self.at) == Some(&Token::Compares) {
            self.at += 1;
            self.single(depth);
            out = Vec::new();
        }
        out
    }

    fn single(&mut self, depth: usize) -> Vec<(String, usize)> {
        const DEEPEST: usize = 40;
        let Some(token) = self.tokens.get(self.at) else {
            return Vec::new();
        };
        self.at += 1;
        if depth > DEEPEST {
            return Vec::new();
        }
        match token {
            Token::Context(name, at) => vec![(name.clone(), *at)],
            Token::Not => {
                self.single(depth + 1);
                Vec::new()
            }
            Token::Open => {
                let out = self.either(depth + 1);
                if self.tokens.get(self.at) == Some(&Token::Close) {
                    self.at += 1;
                }
                out
            }
            Token::Call(name) => {
                let mut out = Vec::new();
                if self.tokens.get(self.at) == Some(&Token::Open) {
                    self.at += 1;
                    while self.at < self.tokens.len() && self.tokens[self.at] != Token::Close {
                        let before = self.at;
                        out.extend(self.either(depth + 1));
                        if self.tokens.get(self.at) == Some(&Token::Comma) || self.at == before {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                }
                if DECIDES.contains(&name.as_str()) {
                    Vec::new()
                } else {
                    out
                }
            }
            _ => Vec::new(),
        }
    }
}

/// Every context that is named, whatever becomes of it.
pub(super) fn contexts(text: &str) -> Vec<String> {
    let context = |token| match token {
        Token::Context(name, _) => Some(name),
        _ => None,
    };
    tokens(text).into_iter().filter_map(context).collect()
}

/// Arguments of every call of `name` as far as they are a literal and a context: `contains('a b', github.ref)`.
pub(super) fn literal_and_context(text: &str, name: &str) -> Vec<(String, String)> {
    let tokens = tokens(text);
    tokens
        .windows(5)
        .filter_map(|w| match w {
            [
                Token::Call(call),
                Token::Open,
                Token::Literal(literal),
                Token::Comma,
                Token::Context(context, _),
            ] if call == name => Some((literal.clone(), context.clone())),
            _ => None,
        })
        .collect()
}

/// Contexts that are compared with a literal: `github.actor == 'x'`.
pub(super) fn compared(text: &str) -> Vec<(String, String)> {
    let tokens = tokens(text);
    tokens
        .windows(3)
        .filter_map(|w| match w {
            [
                Token::Context(context, _),
                Token::Compares,
                Token::Literal(literal),
            ]
            | [
                Token::Literal(literal),
                Token::Compares,
                Token::Context(context, _),
            ] => Some((context.clone(), literal.clone())),
            _ => None,
        })
        .collect()
}

/// Calls that are made, in lower case.
pub(super) fn calls(text: &str) -> Vec<String> {
    let call = |token| match token {
        Token::Call(name) => Some(name),
        _ => None,
    };
    tokens(text).into_iter().filter_map(call).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        flowing(text).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn flow_goes_through_calls_and_choices_but_not_through_comparisons() {
        assert_eq!(
            names("github.event.issue.title"),
            ["github.event.issue.title"]
        );
        assert_eq!(
            names("github['event'].labels[0].name"),
            ["github.event.labels.*.name"]
        );
        assert_eq!(
            names("format('{0}', toJSON(github.head_ref))"),
            ["github.head_ref"]
        );
        assert_eq!(names("a.b || github.ref"), ["a.b", "github.ref"]);
        assert_eq!(names("github.ref && 'x' || ''"), Vec::<String>::new());
        assert_eq!(
            names("github.event.issue.title == 'x'"),
            Vec::<String>::new()
        );
        assert_eq!(
            names("contains(github.head_ref, 'x')"),
            Vec::<String>::new()
        );
        assert_eq!(names("matrix.x && '--y' || ''"), Vec::<String>::new());
    }

    #[test]
    fn expressions_are_found_with_their_place() {
        let found = all("a ${{ x.y }} b ${{ z }} ${{ open");
        let texts: Vec<&str> = found.iter().map(|f| f.text.trim()).collect();
        assert_eq!((texts, found[1].offset), (vec!["x.y", "z"], 15));
    }
}
