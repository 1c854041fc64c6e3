//! The texts that a hunk makes: what it adds, what it takes away, the new file and the old one.
//!
//! Why together: several questions are asked of each, and each is joined and searched for keywords once.

use std::cell::OnceCell;

use super::diff::{Hunk, Side};
use super::prepared_text::PreparedText;
use super::rules::RuleSet;

/// Some of a hunk's lines joined by line breaks, with the way back from an offset to a line.
pub(super) struct Joined {
    pub(super) text: Vec<u8>,
    /// (offset of the line's start, index into the hunk's lines), ascending.
    pub(super) starts: Vec<(usize, usize)>,
}

impl Joined {
    pub(super) fn of(hunk: &Hunk, wanted: impl Fn(Side) -> bool) -> Self {
        let mut joined = Self {
            text: Vec::new(),
            starts: Vec::new(),
        };
        for (index, line) in hunk
            .lines
            .iter()
            .enumerate()
            .filter(|(_, l)| wanted(l.side))
        {
            joined.starts.push((joined.text.len(), index));
            joined.text.extend_from_slice(&line.text);
            joined.text.push(b'\n');
        }
        joined
    }

    /// Which of its lines an offset falls into.
    pub(super) fn position(&self, offset: usize) -> usize {
        self.starts
            .partition_point(|(start, _)| *start <= offset)
            .saturating_sub(1)
    }
}

/// Which lines of a hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// Those it adds.
    Added,
    /// Those it takes away.
    Removed,
    /// Those of the new file.
    New,
    /// Those of the old file.
    Old,
}

impl View {
    fn shows(self, side: Side) -> bool {
        match self {
            Self::Added => side == Side::Added,
            Self::Removed => side == Side::Removed,
            Self::New => side != Side::Removed,
            Self::Old => side != Side::Added,
        }
    }
}

/// A hunk's texts, each joined when it is first asked for.
pub(super) struct Views<'a> {
    hunk: &'a Hunk,
    has_context: bool,
    has_removed: bool,
    joined: [OnceCell<Joined>; 4],
}

impl<'a> Views<'a> {
    pub(super) fn of(hunk: &'a Hunk) -> Self {
        let has = |side| hunk.lines.iter().any(|l| l.side == side);
        Self {
            hunk,
            has_context: has(Side::Context),
            has_removed: has(Side::Removed),
            joined: [const { OnceCell::new() }; 4],
        }
    }

    /// The view whose text is the same, where there is a simpler one.
    fn same(&self, view: View) -> View {
        match view {
            View::New if !self.has_context => View::Added,
            View::Old if !self.has_context => View::Removed,
            view => view,
        }
    }

    fn joined(&self, view: View) -> &Joined {
        let view = self.same(view);
        self.joined[view as usize].get_or_init(|| Joined::of(self.hunk, |side| view.shows(side)))
    }

    pub(super) fn prepare(&'a self, rules: &'a RuleSet, path: &'a str) -> PreparedViews<'a> {
        PreparedViews {
            views: self,
            rules,
            path,
            prepared: [const { OnceCell::new() }; 4],
        }
    }
}

/// A hunk's texts with their keywords looked for, each when it is first asked for.
pub(super) struct PreparedViews<'a> {
    views: &'a Views<'a>,
    rules: &'a RuleSet,
    path: &'a str,
    prepared: [OnceCell<PreparedText<'a>>; 4],
}

impl<'a> PreparedViews<'a> {
    /// A view's text.
    pub(super) fn get(&self, view: View) -> (&'a Joined, &PreparedText<'a>) {
        let joined = self.views.joined(view);
        let place = self.views.same(view) as usize;
        let prepare = || self.rules.prepare(self.path, &joined.text);
        (joined, self.prepared[place].get_or_init(prepare))
    }

    /// A view's text, where it is neither empty nor that of the added lines.
    pub(super) fn distinct(&self, view: View) -> Option<(&'a Joined, &PreparedText<'a>)> {
        let there = match view {
            View::Added => true,
            View::New => self.views.has_context,
            View::Removed => self.views.has_removed,
            View::Old => self.views.has_context || self.views.has_removed,
        };
        there.then(|| self.get(view))
    }
}
