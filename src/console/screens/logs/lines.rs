//! The lines that were read, and which of them pass the filter. New ones are added; the oldest go when there are
//! too many, and it is said how many lines are held.

use std::collections::HashSet;

use crate::filter::{Filter, lowered};
use crate::telemetry::log_read::LogLine;

/// Lines that are held.
const MOST: usize = 10_000;

/// What adding lines changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// New lines that pass the filter.
    pub shown: usize,
    /// Of the lines that passed, so many of the oldest went.
    pub gone: usize,
    /// Lines between the old and the new ones were not read.
    pub gap: bool,
}

/// Lines, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    all: Vec<LogLine>,
    passing: Vec<usize>,
}

impl Lines {
    /// Takes other lines in their place.
    pub fn replace(&mut self, lines: &[LogLine], filter: &Filter) {
        self.all = lines.to_vec();
        self.refilter(filter);
    }

    /// Finds out which lines pass.
    pub fn refilter(&mut self, filter: &Filter) {
        let lines = self.all.iter().enumerate();
        self.passing = lines
            .filter(|(_, line)| filter.passes(*line))
            .map(|(n, _)| n)
            .collect();
    }

    /// Adds those lines that are not there yet; `read`: so many were asked for.
    pub fn add(&mut self, lines: &[LogLine], read: usize, filter: &Filter) -> Added {
        let oldest = lines.first().and_then(LogLine::at_ms).unwrap_or(i64::MAX);
        let tail = self.all.iter().rev();
        let tail = tail.take_while(|l| l.at_ms().is_none_or(|at| at + 5_000 >= oldest));
        let known: HashSet<_> = tail.map(identity).collect();
        let new: Vec<LogLine> = lines
            .iter()
            .filter(|l| !known.contains(&identity(l)))
            .cloned()
            .collect();
        let gap = new.len() >= read && !self.all.is_empty();
        let before = self.passing.len();
        if gap {
            self.replace(lines, filter);
            return Added {
                shown: self.passing.len(),
                gone: before,
                gap,
            };
        }
        let from = self.all.len();
        let passing = new.iter().enumerate().filter(|(_, l)| filter.passes(*l));
        let passing: Vec<usize> = passing.map(|(n, _)| from + n).collect();
        let shown = passing.len();
        self.passing.extend(passing);
        self.all.extend(new);
        let gone = self.forget(self.all.len().saturating_sub(MOST));
        Added { shown, gone, gap }
    }

    /// Lets the oldest lines go; of those that passed, so many.
    fn forget(&mut self, count: usize) -> usize {
        if count == 0 {
            return 0;
        }
        self.all.drain(..count);
        let gone = self.passing.partition_point(|n| *n < count);
        self.passing.drain(..gone);
        self.passing.iter_mut().for_each(|n| *n -= count);
        gone
    }

    /// How many are held.
    pub fn held(&self) -> &[LogLine] {
        &self.all
    }

    /// How many pass.
    pub fn len(&self) -> usize {
        self.passing.len()
    }

    /// One of those that pass.
    pub fn get(&self, n: usize) -> Option<&LogLine> {
        self.all.get(*self.passing.get(n)?)
    }

    /// Those that pass.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &LogLine> + ExactSizeIterator {
        self.passing.iter().map(|n| &self.all[*n])
    }

    /// When the newest was written.
    pub fn newest_ms(&self) -> Option<i64> {
        self.all.iter().rev().find_map(LogLine::at_ms)
    }

    /// The line that was written nearest to a time.
    pub fn nearest(&self, at_ms: i64) -> Option<usize> {
        let away = |l: &LogLine| l.at_ms().map_or(u64::MAX, |at| at.abs_diff(at_ms));
        let lines = self.iter().enumerate();
        lines.min_by_key(|(_, l)| away(l)).map(|(n, _)| n)
    }

    /// The next line with a word after a line, or before it; past the end it goes on at the other one.
    pub fn find(&self, word: &str, at: usize, forward: bool) -> Option<usize> {
        let (total, word) = (self.len(), lowered(word));
        let step = |n: usize| {
            if forward {
                (at + n) % total
            } else {
                (at + total - n % total) % total
            }
        };
        let mut all = (1..=total).map(step);
        all.find(|n| self.get(*n).is_some_and(|l| has(l, &word)))
    }
}

/// What tells a line from others: its time is written in microseconds.
fn identity(line: &LogLine) -> (&str, &str, &str) {
    (&line.at, line.message.raw(), line.fields.raw())
}

/// The word (lower case) stands in the line.
pub(super) fn has(line: &LogLine, word: &str) -> bool {
    crate::filter::Row::shows(line, word)
}
