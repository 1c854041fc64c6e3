//! Flow collections: `[a, b]` and `{a: b}`.

use super::lexical::closing;
use super::node::{DEEPEST, Entry, Node, Scalar, Style, Value};

/// The inside of a flow collection.
pub(super) struct Flow<'a> {
    text: &'a str,
    /// (offset in the text, line), ascending.
    lines: &'a [(usize, u32)],
    at: usize,
}

impl<'a> Flow<'a> {
    pub(super) fn new(text: &'a str, lines: &'a [(usize, u32)]) -> Self {
        Self { text, lines, at: 0 }
    }

    fn line(&self) -> u32 {
        let index = self.lines.partition_point(|(at, _)| *at <= self.at);
        self.lines[..index].last().map_or(0, |(_, line)| *line)
    }

    fn skip_blanks(&mut self) {
        while self.text[self.at..].starts_with([' ', '\t', ',']) {
            self.at += 1;
        }
    }

    pub(super) fn node(&mut self, depth: usize) -> Node {
        self.skip_blanks();
        let line = self.line();
        let value = match self.text.as_bytes().get(self.at) {
            Some(b'[') if depth < DEEPEST => {
                self.at += 1;
                let mut items = Vec::new();
                while self.goes_on(b']') {
                    items.push(self.node(depth + 1));
                }
                Value::Sequence(items)
            }
            Some(b'{') if depth < DEEPEST => {
                self.at += 1;
                let mut entries = Vec::new();
                while self.goes_on(b'}') {
                    let line = self.line();
                    let key = self.scalar(true).text;
                    self.skip_blanks();
                    let node = if self.text[self.at..].starts_with(':') {
                        self.at += 1;
                        self.node(depth + 1)
                    } else {
                        Node {
                            line,
                            value: Value::Null,
                        }
                    };
                    entries.push(Entry { key, line, node });
                }
                Value::Mapping(entries)
            }
            Some(b'[' | b'{' | b']' | b'}' | b':') => {
                self.at += 1;
                Value::Null
            }
            Some(_) => Value::Scalar(self.scalar(false)),
            None => Value::Null,
        };
        Node { line, value }
    }

    /// There is more before the closing bracket; takes the bracket when there is not.
    fn goes_on(&mut self, close: u8) -> bool {
        self.skip_blanks();
        match self.text.as_bytes().get(self.at) {
            None => false,
            Some(byte) if *byte == close => {
                self.at += 1;
                false
            }
            Some(_) => true,
        }
    }

    fn scalar(&mut self, key: bool) -> Scalar {
        let line = self.line();
        let rest = &self.text[self.at..];
        let (text, taken) = match rest.as_bytes().first() {
            Some(quote @ (b'"' | b'\'')) => {
                let end = closing(&rest[1..], *quote);
                let inner = &rest[1..end.map_or(rest.len(), |e| e + 1)];
                (inner.to_owned(), end.map_or(rest.len(), |e| e + 2))
            }
            _ => {
                let mut depth = 0i32;
                let end = rest.char_indices().find(|(at, c)| match c {
                    '{' => {
                        depth += 1;
                        false
                    }
                    '}' if depth > 0 => {
                        depth -= 1;
                        false
                    }
                    ',' | ']' | '}' => depth == 0,
                    ':' => key || rest[at + 1..].starts_with(' '),
                    _ => false,
                });
                let end = end.map_or(rest.len(), |(at, _)| at);
                (rest[..end].trim().to_owned(), end.max(1).min(rest.len()))
            }
        };
        self.at += taken;
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        Scalar {
            text,
            lines: vec![(0, line)],
            style: Style::Line,
        }
    }
}
