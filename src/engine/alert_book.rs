//! Which alerts hold, which are over, and who has seen them. Pure: the clock is the caller's.
//!
//! Why by code and subject: the same condition that comes back is the same alert, and its sentence is that of the
//! moment, not of the moment at which it began.

use crate::engine::observe::health::code::Code;
use crate::engine::protocol::alert::Alert;
use crate::engine::protocol::runbook::{ALERT_CODES, short_name};

/// Alerts kept. Beyond it the oldest that is over goes, else the oldest.
const KEPT: usize = 200;
/// Something bad that happened once is over after an hour: milliseconds.
const EVENT_MS: i64 = 3_600_000;
/// A condition that comes back within ten minutes is the same alert again: milliseconds.
const AGAIN_MS: i64 = 600_000;

/// The code of what happened once.
pub const EVENT: &str = "event";
/// The code of what a drill found.
pub const DRILL: &str = "drill";

/// What raising one did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raised {
    /// It is new, or came back: to be said aloud.
    New,
    /// It holds already; its text is another one now.
    Changed,
    /// Nothing is new.
    Same,
}

struct Entry {
    alert: Alert,
    subject: String,
}

/// All alerts of one engine, the newest last.
#[derive(Default)]
pub struct AlertBook {
    entries: Vec<Entry>,
}

impl AlertBook {
    /// A condition holds: what kind, of what, in words.
    pub fn raise(&mut self, code: &str, subject: &str, text: &str, now_ms: i64) -> Raised {
        let same = |e: &&mut Entry| e.alert.code == code && e.subject == subject;
        let newest = self.entries.iter_mut().rev().find(same);
        let Some(entry) = newest else {
            self.add(code, subject, true, text, now_ms);
            return Raised::New;
        };
        let alert = &mut entry.alert;
        match alert.resolved_ms {
            None if alert.text == text => Raised::Same,
            None => {
                text.clone_into(&mut alert.text);
                alert.changed_ms = now_ms;
                Raised::Changed
            }
            Some(over) if now_ms - over <= AGAIN_MS => {
                *alert = Alert {
                    text: text.to_owned(),
                    at_ms: now_ms,
                    changed_ms: now_ms,
                    resolved_ms: None,
                    acknowledged_ms: None,
                    acknowledged_by: None,
                    count: alert.count.saturating_add(1),
                    ..std::mem::take(alert)
                };
                self.entries
                    .sort_by_key(|e| (e.alert.at_ms, e.alert.first_ms));
                Raised::New
            }
            Some(_) => {
                self.add(code, subject, true, text, now_ms);
                Raised::New
            }
        }
    }

    /// A condition is over; false: it did not hold.
    pub fn resolve(&mut self, code: &str, subject: &str, now_ms: i64) -> bool {
        let holds = |e: &&mut Entry| {
            e.alert.code == code && e.subject == subject && e.alert.resolved_ms.is_none()
        };
        let Some(entry) = self.entries.iter_mut().find(holds) else {
            return false;
        };
        entry.alert.resolved_ms = Some(now_ms);
        entry.alert.changed_ms = now_ms;
        true
    }

    /// Something happened once. Bad news hold until somebody acknowledges them, at most an hour; others are over.
    pub fn event(&mut self, bad: bool, text: &str, now_ms: i64) {
        let same = |e: &Entry| e.alert.code == EVENT && e.alert.text == text && e.alert.bad == bad;
        let last = self.entries.last_mut().filter(|e| same(e));
        if let Some(Entry { alert, .. }) = last {
            (alert.at_ms, alert.changed_ms) = (now_ms, now_ms);
            alert.resolved_ms = (!bad).then_some(now_ms);
            alert.count = alert.count.saturating_add(1);
            return;
        }
        let alert = self.add(EVENT, "", bad, text, now_ms);
        alert.resolved_ms = (!bad).then_some(now_ms);
    }

    /// A drill ended. It says nothing about this engine, so it is never active.
    pub fn drill(&mut self, bad: bool, text: &str, now_ms: i64) {
        let alert = self.add(DRILL, "", bad, text, now_ms);
        (alert.drill, alert.resolved_ms) = (true, Some(now_ms));
    }

    /// What happened once and was bad is over after an hour; true when something changed.
    pub fn expire(&mut self, now_ms: i64) -> bool {
        let old =
            |a: &Alert| a.code == EVENT && a.resolved_ms.is_none() && now_ms - a.at_ms >= EVENT_MS;
        let mut changed = false;
        for entry in self.entries.iter_mut().filter(|e| old(&e.alert)) {
            entry.alert.resolved_ms = Some(now_ms);
            changed = true;
        }
        changed
    }

    /// Somebody has seen it. What happened once is over with that. `None`: there is no such alert.
    pub fn acknowledge(&mut self, id: &str, by: &str, now_ms: i64) -> Option<Alert> {
        let entry = self.entries.iter_mut().find(|e| e.alert.id == id)?;
        let alert = &mut entry.alert;
        if alert.acknowledged_ms.is_none() {
            (alert.acknowledged_ms, alert.acknowledged_by) = (Some(now_ms), Some(by.to_owned()));
            alert.changed_ms = now_ms;
            if alert.code == EVENT {
                alert.resolved_ms.get_or_insert(now_ms);
            }
        }
        Some(alert.clone())
    }

    /// At most so many: active ones first, each kind newest first.
    pub fn list(&self, most: usize) -> Vec<Alert> {
        let newest = || self.entries.iter().rev().map(|e| &e.alert);
        let active = newest().filter(|a| a.is_active());
        let others = newest().filter(|a| !a.is_active());
        active.chain(others).take(most).cloned().collect()
    }

    fn add(&mut self, code: &str, subject: &str, bad: bool, text: &str, now_ms: i64) -> &mut Alert {
        if self.entries.len() >= KEPT {
            let over = self.entries.iter().position(|e| !e.alert.is_active());
            self.entries.remove(over.unwrap_or(0));
        }
        let random = std::iter::repeat_with(fastrand::alphanumeric).take(6);
        let random: String = random.map(|c| c.to_ascii_lowercase()).collect();
        self.entries.push(Entry {
            alert: Alert {
                id: format!("alr_{random}"),
                code: code.to_owned(),
                at_ms: now_ms,
                first_ms: now_ms,
                changed_ms: now_ms,
                bad,
                text: text.to_owned(),
                runbook: runbook(code),
                count: 1,
                ..Alert::default()
            },
            subject: subject.to_owned(),
        });
        let last = self.entries.len() - 1;
        &mut self.entries[last].alert
    }
}

/// The name of the page about a code.
pub fn runbook(code: &str) -> Option<String> {
    let own = ALERT_CODES.iter().find(|(own, _)| *own == code);
    if let Some((_, page)) = own {
        return Some((*page).to_owned());
    }
    let reason = Code::ALL.into_iter().find(|c| c.as_str() == code)?;
    Some(short_name(&reason.runbook()).to_owned())
}

#[cfg(test)]
#[path = "alert_book_tests.rs"]
mod tests;
