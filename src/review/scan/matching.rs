//! What the rules say of one hunk, and of a file's name.
//!
//! Why apart: this is the loop that hostile text goes through, so each step of it is bounded by the file's time.

use super::super::checks::Noted;
use super::super::diff::{Change, FileHead, Hunk, Side};
use super::super::finding::{Finding, Source};
use super::super::ignores::Ignores;
use super::super::linters::FilterMode;
use super::super::masking::{Joined, key_body};
use super::super::rules::Hit;
use super::{Scanner, TOO_LONG};
use crate::text::{Untrusted, cut};

/// What is known of the file whose hunk is looked at.
pub(super) struct Looked {
    /// Its path, for the rules that ask for one.
    pub(super) raw: String,
    /// Its path, redacted.
    pub(super) shown: Untrusted,
    pub(super) generated: bool,
    pub(super) new: bool,
    pub(super) ignores: Ignores,
}

const KEY_BODY: &str = "secrets/key-body";

impl Scanner<'_> {
    pub(super) fn match_rules(
        &mut self,
        file: &Looked,
        hunk: &Hunk,
        redacted: &[String],
        added: &Joined,
        wanted: &[bool],
    ) {
        let whole_key = |index: usize| {
            let at = added
                .starts
                .iter()
                .find(|(_, i)| *i == index)
                .map_or(0, |(at, _)| *at);
            let hits = self
                .redactor
                .rules()
                .find_wanted(wanted, &file.raw, &added.text, true);
            hits.iter().any(|h| h.start <= at && at < h.end)
        };
        if let Some(index) = key_body(hunk, added).first().filter(|i| !whole_key(**i)) {
            let line = Some(hunk.lines[*index].number);
            self.note(Noted {
                line,
                ..Noted::file(KEY_BODY, &file.shown)
            });
        }
        if self.filter != FilterMode::Added {
            // Every line that the diff shows of the new file.
            let new = Joined::of(hunk, |s| s != Side::Removed);
            let hits = self.redactor.rules().find(&file.raw, &new.text, false);
            for (count, hit) in hits.into_iter().enumerate() {
                if self.is_late(count) {
                    return;
                }
                self.add_hit(file, hunk, redacted, &new, hit, false);
            }
            return;
        }
        if added.text.is_empty() {
            return;
        }
        let rules = self.redactor.rules();
        let hits = rules.find_wanted(wanted, &file.raw, &added.text, false);
        for (count, hit) in hits.into_iter().enumerate() {
            if self.is_late(count) {
                return;
            }
            self.add_hit(file, hunk, redacted, added, hit, true);
        }
        // A secret may be whole only together with the lines around it: a key whose body is exchanged
        // between a BEGIN and an END that stay.
        if hunk.lines.iter().any(|l| l.side == Side::Context) {
            let new = Joined::of(hunk, |s| s != Side::Removed);
            for hit in self.redactor.rules().find(&file.raw, &new.text, false) {
                let rule = &self.redactor.rules().rules()[hit.rule];
                let (first, last) = (
                    new.position(hit.start),
                    new.position(hit.end.saturating_sub(1)),
                );
                let touched = new.starts[first..=last]
                    .iter()
                    .any(|(_, i)| hunk.lines[*i].side == Side::Added);
                let alone = first == last;
                if rule.secret && touched && !alone {
                    self.add_hit(file, hunk, redacted, &new, hit, true);
                }
            }
        }
    }

    /// Asked between hits: the file has had its time, or nobody waits any more. What is left of it is then not
    /// looked at, and that is said.
    pub(super) fn is_late(&mut self, count: usize) -> bool {
        if count % 256 != 255 {
            return false;
        }
        let stopped = (self.cancelled)();
        let Some(current) = &mut self.current else {
            return stopped;
        };
        let late = current.began.elapsed() > self.limits.file_time;
        if late {
            current.reason.get_or_insert_with(|| TOO_LONG.to_owned());
        }
        late || stopped
    }

    pub(super) fn add_hit(
        &mut self,
        file: &Looked,
        hunk: &Hunk,
        redacted: &[String],
        joined: &Joined,
        hit: Hit,
        only_added: bool,
    ) {
        let rule = &self.redactor.rules().rules()[hit.rule];
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
        let finding = Finding {
            rule: rule.id.clone(),
            source: Source::Rule,
            severity: rule.severity,
            file: Some(file.shown.clone()),
            line: Some(hunk.lines[index].number),
            message: Untrusted::new(rule.message.clone()),
            excerpt: Some(Untrusted::new(excerpt)),
            fingerprint: Some(self.redactor.fingerprint(matched)),
        };
        let lines = joined.starts[first].1..=joined.starts[last].1;
        let inline = file.ignores.reason(&rule.id, lines);
        // Of what is no secret the whole line is what is known: a call is not excused with other arguments.
        let known = if rule.secret {
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
        let hits = rules.find(path.raw(), path.raw().as_bytes(), false);
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
            current.partly = true;
        }
    }
}
