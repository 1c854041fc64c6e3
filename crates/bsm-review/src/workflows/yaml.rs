//! A reader for the YAML of workflows as far as a diff shows it.
//!
//! Why not a YAML library: a diff shows pieces. A hunk may begin deep inside a mapping and end in the middle of a
//! command, and a strict reader refuses all of it. This one reads what is there, keeps the line of every part, and
//! skips what it does not understand. It never fails, and its time is linear in the text.

use std::collections::HashMap;

use super::flow::Flow;
use super::lexical::{balance, closing, is_item, properties, split_key, without_comment};
use super::node::{DEEPEST, Entry, Node, Scalar, SourceLine, Style, Value};

/// Reads lines. A whole file gives one root; a diff may show several pieces.
pub(super) fn read(lines: &[SourceLine]) -> Vec<Node> {
    let mut reader = Reader {
        lines: lines.iter().map(Line::of).collect(),
        at: 0,
        anchors: HashMap::new(),
    };
    let mut roots = Vec::new();
    while reader.peek().is_some() {
        let before = (reader.at, reader.lines.get(reader.at).map(|l| l.indent));
        roots.push(reader.block(0, 0));
        if before == (reader.at, reader.lines.get(reader.at).map(|l| l.indent)) {
            reader.at += 1; // nothing was understood
        }
    }
    roots
}

/// A line with its structure, cut as it is read.
struct Line {
    number: u32,
    indent: usize,
    /// From the first character that is no blank on.
    text: String,
    /// As it stands, for block scalars.
    raw: String,
}

impl Line {
    fn of(source: &SourceLine) -> Self {
        let raw = source.text.trim_end_matches(['\r', '\n']).to_owned();
        let text = raw.trim_start_matches([' ', '\t']);
        Self {
            number: source.number,
            indent: raw.len() - text.len(),
            text: text.trim_end().to_owned(),
            raw,
        }
    }

    fn is_blank(&self) -> bool {
        self.text.is_empty()
            || self.text.starts_with('#')
            || self.text == "---"
            || self.text == "..."
    }
}

struct Reader {
    lines: Vec<Line>,
    at: usize,
    anchors: HashMap<String, Node>,
}

impl Reader {
    /// The next line that says something.
    fn peek(&mut self) -> Option<&Line> {
        while self.lines.get(self.at).is_some_and(Line::is_blank) {
            self.at += 1;
        }
        self.lines.get(self.at)
    }

    fn null(line: u32) -> Node {
        Node {
            line,
            value: Value::Null,
        }
    }

    /// What begins at the next line, if it is indented at least so far.
    fn block(&mut self, least: usize, depth: usize) -> Node {
        let Some(line) = self.peek() else {
            return Self::null(0);
        };
        let (number, indent) = (line.number, line.indent);
        if indent < least || depth > DEEPEST {
            return Self::null(number);
        }
        if is_item(&line.text) {
            self.sequence(indent, depth)
        } else if split_key(&line.text).is_some() {
            self.mapping(indent, depth)
        } else {
            let text = line.text.clone();
            self.at += 1;
            self.value(&text, indent, number, depth)
        }
    }

    fn sequence(&mut self, indent: usize, depth: usize) -> Node {
        let first = self.lines[self.at].number;
        let mut items = Vec::new();
        while let Some(line) = self.peek() {
            if line.indent != indent || !is_item(&line.text) {
                break;
            }
            let number = line.number;
            let rest = line.text[1..].trim_start().to_owned();
            let (anchor, rest) = properties(&rest);
            let inner = indent + (line.text.len() - rest.len());
            if rest.is_empty() || rest.starts_with('#') {
                self.at += 1;
                let node = self.block(indent + 1, depth + 1);
                items.push(self.named(
                    anchor,
                    Node {
                        line: number,
                        ..node
                    },
                ));
            } else if is_item(&rest) || split_key(&rest).is_some() {
                // What follows the mark is read as a line of its own.
                let line = &mut self.lines[self.at];
                line.indent = inner;
                line.text = rest;
                let node = if depth < DEEPEST {
                    self.block(inner, depth + 1)
                } else {
                    self.at += 1;
                    Self::null(number)
                };
                items.push(self.named(anchor, node));
            } else {
                self.at += 1;
                let node = self.value(&rest, indent + 1, number, depth + 1);
                items.push(self.named(anchor, node));
            }
        }
        Node {
            line: first,
            value: Value::Sequence(items),
        }
    }

    fn mapping(&mut self, indent: usize, depth: usize) -> Node {
        let first = self.lines[self.at].number;
        let mut entries = Vec::new();
        while let Some(line) = self.peek() {
            let number = line.number;
            if line.indent < indent {
                break;
            }
            let key = (line.indent == indent && !is_item(&line.text))
                .then(|| split_key(&line.text))
                .flatten();
            let Some((key, rest)) = key else {
                if line.indent == indent && is_item(&line.text) {
                    break;
                }
                self.at += 1; // not understood
                continue;
            };
            let (key, rest) = (key.to_owned(), rest.to_owned());
            self.at += 1;
            let (anchor, rest) = properties(&rest);
            let node = if rest.is_empty() || rest.starts_with('#') {
                self.below(indent, number, depth)
            } else {
                self.value(&rest, indent + 1, number, depth + 1)
            };
            let node = self.named(anchor, node);
            if key == "<<" {
                entries.extend(node.entries().iter().cloned());
                continue;
            }
            entries.push(Entry {
                key,
                line: number,
                node,
            });
        }
        Node {
            line: first,
            value: Value::Mapping(entries),
        }
    }

    /// What stands below a key that has nothing beside it.
    fn below(&mut self, indent: usize, number: u32, depth: usize) -> Node {
        match self.peek() {
            Some(next)
                if next.indent > indent || (next.indent == indent && is_item(&next.text)) =>
            {
                let least = next.indent;
                if depth < DEEPEST {
                    self.block(least, depth + 1)
                } else {
                    self.at += 1;
                    Self::null(number)
                }
            }
            _ => Self::null(number),
        }
    }

    fn named(&mut self, anchor: Option<String>, node: Node) -> Node {
        if let Some(name) = anchor
            && self.anchors.len() < 1_000
        {
            self.anchors.insert(name, node.clone());
        }
        node
    }

    /// A value that begins on the line just taken; what continues it is indented at least `least`.
    fn value(&mut self, text: &str, least: usize, number: u32, depth: usize) -> Node {
        let node = |value| Node {
            line: number,
            value,
        };
        match text.as_bytes().first() {
            Some(b'|' | b'>') => node(Value::Scalar(self.block_scalar(text, least))),
            Some(b'*') => {
                let name = text[1..]
                    .split([' ', '#'])
                    .next()
                    .unwrap_or_default()
                    .trim();
                self.anchors
                    .get(name)
                    .cloned()
                    .unwrap_or_else(|| Self::null(number))
            }
            Some(b'{' | b'[') => {
                let (text, lines) = self.flow_text(text, number);
                let read = Flow::new(&text, &lines).node(depth);
                Node {
                    line: number,
                    value: read.value,
                }
            }
            Some(quote @ (b'"' | b'\'')) => node(Value::Scalar(self.quoted(text, *quote, number))),
            _ => node(Value::Scalar(self.plain(text, least, number))),
        }
    }

    /// The lines of a `|` or `>` scalar.
    fn block_scalar(&mut self, head: &str, least: usize) -> Scalar {
        let mut scalar = Scalar {
            style: if head.contains('-') {
                Style::StrippedBlock
            } else {
                Style::Block
            },
            ..Scalar::default()
        };
        let mut before = self.lines[self.at - 1].number;
        while let Some(line) = self.lines.get(self.at) {
            let blank = line.raw.trim().is_empty();
            // A gap between two hunks ends it: what follows may be anything.
            if (!blank && line.indent < least) || line.number > before + 1 {
                break;
            }
            before = line.number;
            scalar.lines.push((scalar.text.len(), line.number));
            scalar.text.push_str(line.raw.trim_end());
            scalar.text.push('\n');
            self.at += 1;
        }
        scalar
    }

    fn plain(&mut self, text: &str, least: usize, number: u32) -> Scalar {
        let mut scalar = Scalar {
            text: without_comment(text).to_owned(),
            lines: vec![(0, number)],
            ..Scalar::default()
        };
        let commented = scalar.text.len() < text.trim_end().len();
        let mut before = number;
        while !commented && let Some(line) = self.lines.get(self.at) {
            let goes_on = line.indent >= least && !line.is_blank() && line.number == before + 1;
            if !goes_on || split_key(&line.text).is_some() || is_item(&line.text) {
                break;
            }
            before = line.number;
            scalar.text.push(' ');
            scalar.lines.push((scalar.text.len(), line.number));
            scalar.text.push_str(without_comment(&line.text));
            self.at += 1;
        }
        scalar
    }

    fn quoted(&mut self, text: &str, quote: u8, number: u32) -> Scalar {
        let mut scalar = Scalar {
            lines: vec![(0, number)],
            ..Scalar::default()
        };
        let mut rest = text[1..].to_owned();
        for _ in 0..1_000 {
            let end = closing(&rest, quote);
            let part = &rest[..end.unwrap_or(rest.len())];
            if quote == b'"' {
                scalar
                    .text
                    .push_str(&part.replace("\\\"", "\"").replace("\\n", "\n"));
            } else {
                scalar.text.push_str(&part.replace("''", "'"));
            }
            if end.is_some() {
                break;
            }
            let Some(line) = self.lines.get(self.at) else {
                break;
            };
            scalar.text.push(' ');
            scalar.lines.push((scalar.text.len(), line.number));
            rest.clone_from(&line.text);
            self.at += 1;
        }
        scalar
    }

    /// The text of a flow collection, which may go over several lines.
    fn flow_text(&mut self, text: &str, number: u32) -> (String, Vec<(usize, u32)>) {
        let mut all = String::new();
        let mut lines = vec![(0, number)];
        let mut open = 0i32;
        let mut next = text.to_owned();
        loop {
            let part = without_comment(&next);
            open += balance(part);
            all.push_str(part);
            if open <= 0 || all.len() > 1 << 20 {
                return (all, lines);
            }
            let Some(line) = self.lines.get(self.at) else {
                return (all, lines);
            };
            all.push(' ');
            lines.push((all.len(), line.number));
            next.clone_from(&line.text);
            self.at += 1;
        }
    }
}
