//! What a change takes away: matches of rules on removed lines that the file does not get back elsewhere.
//!
//! Why counted for a whole file: a check that moves is taken away in one hunk and added in another.

use super::super::budget::Budget;
use super::super::diff::{Change, Hunk, Side};
use super::super::finding::Finding;
use super::super::rules::Looking;
use super::{Scanner, identity};
use crate::hunk_views::{PreparedViews, View};
use crate::languages::comment_start;
use crate::scan::types::{MOST, ScannedFile};
use bsm_base::text::{Untrusted, cut};

impl Scanner<'_> {
    /// Tries the rules for removed lines on a hunk's removed and added lines.
    pub(super) fn match_removed(
        &mut self,
        file: &ScannedFile,
        hunk: &Hunk,
        redacted: &[String],
        views: &PreparedViews,
        budget: &Budget,
    ) {
        let Some(current) = &self.current else { return };
        // A new file has lost nothing; a deleted one has rules of its own.
        let changes =
            self.of_change && !matches!(current.head.change, Change::Deleted | Change::Added);
        if !changes || !self.redactor.rules().looks_at_removed() {
            return;
        }
        for view in [View::Removed, View::Added] {
            if views.distinct(view).is_some() {
                self.match_view(file, hunk, redacted, views, view, budget);
            }
        }
    }

    fn match_view(
        &mut self,
        file: &ScannedFile,
        hunk: &Hunk,
        redacted: &[String],
        views: &PreparedViews,
        view: View,
        budget: &Budget,
    ) {
        let rules = self.redactor.rules();
        let (joined, prepared) = views.get(view);
        for hit in prepared.find(Looking::Removed, budget) {
            let Some(current) = &mut self.current else {
                return;
            };
            let rule = &rules.rules()[hit.rule];
            let position = joined.position(hit.start);
            let (start, index) = joined.starts[position];
            let line = &hunk.lines[index];
            let comment = comment_start(file.language, &line.text);
            if rule.not_in_comments && comment.is_some_and(|at| at <= hit.start - start) {
                continue;
            }
            let of = current.removed.by_rule.entry(hit.rule).or_default();
            if view == View::Added {
                of.added += 1;
                continue;
            }
            of.removed += 1;
            if of.findings.len() < MOST {
                let text = redacted[index].trim();
                of.findings.push(Finding {
                    line: new_line(hunk, index),
                    excerpt: Some(Untrusted::new(cut(text, 160))),
                    fingerprint: Some(self.redactor.fingerprint(&line.text)),
                    identity: Some(identity::of_line(&rule.id, file.shown.raw(), text)),
                    ..Finding::about_file(
                        &rule.id,
                        rule.severity,
                        &file.shown,
                        rule.message.clone(),
                    )
                });
            }
        }
    }
}

/// The line of the new file at which a removed line stood.
fn new_line(hunk: &Hunk, index: usize) -> Option<u32> {
    let there = |line: &&super::super::diff::Line| line.side != Side::Removed;
    let after = hunk.lines[index..].iter().find(there).map(|l| l.number);
    let before = || {
        hunk.lines[..index]
            .iter()
            .rev()
            .find(there)
            .map(|l| l.number)
    };
    after.or_else(before)
}
