//! What a document consists of: mappings, sequences and scalars, each with its line.

/// Deepest nesting that is followed.
pub(super) const DEEPEST: usize = 64;

/// One line of the new file.
#[derive(Debug, Clone)]
pub(super) struct SourceLine {
    /// Its number, from 1.
    pub(super) number: u32,
    /// Its text.
    pub(super) text: String,
}

/// A part of a document, and the line on which it begins.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing, or what was not understood.
    Null,
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The key's line.
    pub(super) line: u32,
    pub(super) node: Node,
}

/// Text, with the line of each of its parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// (offset in `text`, line), ascending.
    pub(super) lines: Vec<(usize, u32)>,
    /// How it is written.
    pub(super) style: Style,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Style {
    /// Plain, or between quotes.
    #[default]
    Line,
    /// `|` or `>`, with the line break at its end.
    Block,
    /// `|-` or `>-`: without it.
    StrippedBlock,
}

impl Scalar {
    /// The line of an offset in the text.
    pub(super) fn line_at(&self, offset: usize) -> u32 {
        let index = self.lines.partition_point(|(at, _)| *at <= offset);
        self.lines[..index].last().map_or(0, |(_, line)| *line)
    }
}

impl Node {
    /// The value of a key, whatever the case of its letters.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.node)
    }

    /// A key with its value.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()
            .iter()
            .find(|e| e.key.eq_ignore_ascii_case(key))
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.scalar().map(|s| s.text.as_str())
    }

    /// Calls `f` with it and everything in it.
    pub(super) fn walk<'n>(&'n self, f: &mut impl FnMut(&'n Node)) {
        f(self);
        for entry in self.entries() {
            entry.node.walk(f);
        }
        for item in self.items() {
            item.walk(f);
        }
    }
}
