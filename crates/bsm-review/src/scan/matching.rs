//! What the rules say of one hunk, and of a file's name.
//!
//! Why apart: this is the loop that hostile text goes through, so each step of it is bounded by the file's time.

use super::super::budget::Budget;
use super::super::diff::{Change, FileHead, Hunk, Side};
use super::super::finding::Finding;
use super::super::rules::{Hit, Looking};
use super::identity;
use super::{MOST_OF_A_RULE, Scanner};
use crate::finding::FilterMode;
use crate::hunk_redaction::key_body;
use crate::hunk_views::{Joined, PreparedViews, View};
use crate::languages::comment_start;
use crate::remark::Noted;
use crate::rule::Rule;
use crate::scan::types::ScannedFile;
use bsm_base::text::{Untrusted, cut};

/// Adds where on its lines a hit begins and ends, unless a line is a piece of a longer one.
fn with_columns(finding: Finding, hunk: &Hunk, joined: &Joined, hit: Hit, index: usize) -> Finding {
    let (first, last) = (
        joined.position(hit.start),
        joined.position(hit.end.saturating_sub(1)),
    );
    let piece = |index: usize| {
        let line = &hunk.lines[index];
        let before = index.checked_sub(1).map(|i| &hunk.lines[i]);
        before.is_some_and(|b| b.number == line.number && b.side == line.side)
    };
    let (start, end) = (joined.starts[first], joined.starts[last]);
    if start.1 != index || piece(start.1) || piece(end.1) {
        return finding;
    }
    let (from, to) = (hit.start - start.0, hit.end - end.0);
    let column = |bytes: usize| u32::try_from(bytes + 1).ok();
    let before = |line: usize, bytes: usize| {
        let text = &hunk.lines[line].text;
        String::from_utf8_lossy(&text[..bytes.min(text.len())])
            .encode_utf16()
            .count()
    };
    let wide = (before(start.1, from), before(end.1, to));
    Finding {
        column: column(from),
        end_line: Some(hunk.lines[end.1].number),
        end_column: column(to),
        utf16_columns: (wide != (from, to))
            .then(|| Some((column(wide.0)?, column(wide.1)?)))
            .flatten(),
        ..finding
    }
}

/// The line as it would be without what was found, where the rule knows a fix that needs no thought. A line that
/// holds a secret has none: it could not be written down. Nor has one with other than plain characters: it is
/// handed on as it is.
fn suggestion(rule: &Rule, line: &[u8], redacted: &str) -> Option<Untrusted> {
    let plain = line.iter().all(|b| matches!(b, b'\t' | b' '..=b'~'));
    if line != redacted.as_bytes() || !plain {
        return None;
    }
    rule.fix.iter().find_map(|(find, put)| {
        let fixed = find.replace(line, put.as_bytes());
        let fixed = std::str::from_utf8(&fixed).ok()?;
        (fixed.as_bytes() != line).then(|| Untrusted::new(fixed))
    })
}

const KEY_BODY: &str = "secrets/key-body";

impl Scanner<'_> {
    /// What the rules say of a hunk's new lines. When the time is over, the rest is not looked at; the caller
    /// asks the budget and says so.
    pub(super) fn match_rules(
        &mut self,
        file: &ScannedFile,
        hunk: &Hunk,
        redacted: &[String],
        views: &PreparedViews,
        budget: &Budget,
    ) {
        let rules = self.redactor.rules();
        let (added, prepared) = views.get(View::Added);
        let whole_key = |index: usize| {
            let at = added
                .starts
                .iter()
                .find(|(_, i)| *i == index)
                .map_or(0, |(at, _)| *at);
            let hits = prepared.find(Looking::Secrets, budget);
            hits.iter().any(|h| h.start <= at && at < h.end)
        };
        if let Some(index) = key_body(hunk, added).first().filter(|i| !whole_key(**i)) {
            let line = Some(hunk.lines[*index].number);
            self.note(Noted {
                line,
                ..Noted::file(KEY_BODY, &file.shown)
            });
        }
        self.match_removed(file, hunk, redacted, views, budget);
        if self.filter != FilterMode::Added {
            // Every line that the diff shows of the new file.
            let (new, prepared) = views.get(View::New);
            for hit in prepared.find(Looking::Findings, budget) {
                if self.is_over(budget) {
                    return;
                }
                self.add_hit(file, hunk, redacted, new, hit, false);
            }
            return;
        }
        if added.text.is_empty() {
            return;
        }
        for hit in prepared.find(Looking::Findings, budget) {
            if self.is_over(budget) {
                return;
            }
            self.add_hit(file, hunk, redacted, added, hit, true);
        }
        // A secret may be whole only together with the lines around it: a key whose body is exchanged
        // between a BEGIN and an END that stay.
        if let Some((new, prepared)) = views.distinct(View::New) {
            for hit in prepared.find(Looking::Findings, budget) {
                if self.is_over(budget) {
                    return;
                }
                let rule = &rules.rules()[hit.rule];
                let (first, last) = (
                    new.position(hit.start),
                    new.position(hit.end.saturating_sub(1)),
                );
                let touched = new.starts[first..=last]
                    .iter()
                    .any(|(_, i)| hunk.lines[*i].side == Side::Added);
                let alone = first == last;
                if rule.secret && touched && !alone {
                    self.add_hit(file, hunk, redacted, new, hit, true);
                }
            }
        }
    }

    /// The file's time budget is used up, or the scan was cancelled.
    fn is_over(&self, budget: &Budget) -> bool {
        budget.is_over() || (self.cancelled)()
    }

    pub(super) fn add_hit(
        &mut self,
        file: &ScannedFile,
        hunk: &Hunk,
        redacted: &[String],
        joined: &Joined,
        hit: Hit,
        only_added: bool,
    ) {
        let rule = &self.redactor.rules().rules()[hit.rule];
        if self.count_of(&rule.id, &file.shown) > MOST_OF_A_RULE {
            self.not_listed += 1;
            return;
        }
        let matched = &joined.text[hit.start..hit.end];
        let first = joined.position(hit.start);
        let line = &hunk.lines[joined.starts[first].1].text;
        let not_text = rule.id.starts_with("hidden-text/") && std::str::from_utf8(line).is_err();
        if (file.generated && rule.id.starts_with("quality/"))
            || (file.new && rule.existing_only)
            || not_text
        {
            return;
        }
        let before = hit.start - joined.starts[first].0;
        if rule.not_in_comments && comment_start(file.language, line).is_some_and(|at| at <= before)
        {
            return;
        }
        let last = joined.position(hit.end.saturating_sub(1));
        let place = joined.starts[first..]
            .iter()
            .map(|(_, i)| *i)
            .find(|i| !only_added || hunk.lines[*i].side == Side::Added);
        let Some(index) = place else { return };
        let excerpt = if rule.secret {
            format!("‹redacted, {} bytes›", matched.len())
        } else {
            cut(redacted[index].trim(), 160).to_owned()
        };
        let line_hash = identity::of_line(&rule.id, file.shown.raw(), &redacted[index]);
        let finding = Finding {
            line: Some(hunk.lines[index].number),
            excerpt: Some(Untrusted::new(excerpt)),
            fingerprint: Some(self.redactor.fingerprint(matched)),
            identity: Some(line_hash),
            ..Finding::about_file(&rule.id, rule.severity, &file.shown, rule.message.clone())
        };
        let finding = with_columns(finding, hunk, joined, hit, index);
        let finding = Finding {
            suggestion: (first == last)
                .then(|| suggestion(rule, line, &redacted[index]))
                .flatten(),
            ..finding
        };
        let lines = joined.starts[first].1..=joined.starts[last].1;
        let inline = file.ignores.reason(&rule.id, lines);
        // Of what is no secret the whole line is what is known: a call is not excused with other arguments.
        let known = if !self.compares_matches() {
            Vec::new()
        } else if rule.secret {
            matched.to_vec()
        } else {
            let end = joined
                .starts
                .get(last + 1)
                .map_or(joined.text.len(), |(at, _)| *at);
            joined.text[joined.starts[first].0..end]
                .trim_ascii()
                .to_vec()
        };
        self.found(finding, &known, inline);
    }

    /// What a reviewer's eye cannot see in a file's name.
    pub(super) fn hidden_in_name(&mut self, path: &Untrusted, shown: &Untrusted) {
        if path.raw().bytes().all(|b| (b' '..0x7f).contains(&b)) {
            return;
        }
        let rules = self.redactor.rules();
        let hits = rules.find(path.raw(), path.raw().as_bytes(), Looking::Findings);
        let findings: Vec<Finding> = hits
            .iter()
            .map(|h| &rules.rules()[h.rule])
            .filter(|rule| rule.id.starts_with("hidden-text/"))
            .map(|rule| {
                let message = rule.docs.message(Some("In the file's name."));
                Finding::about_file(&rule.id, rule.severity, shown, message)
            })
            .collect();
        for finding in findings {
            self.found(finding, path.raw().as_bytes(), None);
        }
    }

    /// A file that moves keeps lines that the diff does not show. Where other rules look at them in its new
    /// place, they have not been looked at.
    pub(super) fn moved_to_other_rules(&mut self, head: &FileHead) {
        let Some(old) = &head.old_path else { return };
        let moved = matches!(head.change, Change::Renamed | Change::Copied);
        if moved
            && self
                .redactor
                .rules()
                .newly_apply(old.raw(), head.path.raw())
            && let Some(current) = &mut self.current
        {
            let why = "it comes from where other rules look, and not all of it is in the diff";
            current.reason.get_or_insert_with(|| why.to_owned());
        }
    }
}
