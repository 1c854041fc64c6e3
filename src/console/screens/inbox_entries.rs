//! The inbox: what GitHub sent, what is left there, and pending approvals, in one list with
//! what needs a person first.

use crate::code_host::Publication;
use crate::console::theme::Mark;
use crate::engine::protocol::github::PublicationView;
use crate::engine::protocol::github::{
    Approval, ApprovalState, Delivery, DeliveryOutcome, PublicationState,
};
use crate::engine::protocol::query::Answer;
use crate::filter::{Row, lowered};

/// The three lists as last read.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    approvals: Vec<Approval>,
    deliveries: Vec<Delivery>,
    outbox: Vec<PublicationView>,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// An action that waits, or waited.
    Approval(&'a Approval),
    /// A webhook.
    Delivery(&'a Delivery),
    /// Something to leave at GitHub.
    Publication(&'a PublicationView),
}

impl Lists {
    /// Waiting approvals first, then the newest.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let mut all: Vec<Entry<'_>> = Vec::new();
        all.extend(self.approvals.iter().map(Entry::Approval));
        all.extend(self.deliveries.iter().map(Entry::Delivery));
        all.extend(self.outbox.iter().map(Entry::Publication));
        all.sort_by_key(|e| (!e.waits(), std::cmp::Reverse(e.at_ms())));
        all
    }

    /// What an answer brings.
    pub fn take(&mut self, answer: &Answer) {
        match answer {
            Answer::Approvals { approvals } => self.approvals.clone_from(approvals),
            Answer::Deliveries { deliveries } => self.deliveries.clone_from(deliveries),
            Answer::Outbox { entries } => self.outbox.clone_from(entries),
            _ => {}
        }
    }
}

impl Entry<'_> {
    /// What tells it from all others.
    pub fn id(&self) -> String {
        match self {
            Self::Approval(a) => a.id.clone(),
            Self::Delivery(d) => format!("delivery {}", d.id),
            Self::Publication(p) => format!("publication {}", p.id),
        }
    }

    /// Somebody must decide.
    pub fn waits(&self) -> bool {
        matches!(self, Self::Approval(a) if a.state == ApprovalState::Waiting)
    }

    /// Wall time, milliseconds.
    pub fn at_ms(&self) -> i64 {
        match self {
            Self::Approval(a) => a.created_ms,
            Self::Delivery(d) => d.at_ms,
            Self::Publication(p) => p.created_ms,
        }
    }

    /// What kind of thing it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Approval(_) => "approval",
            Self::Delivery(_) => "webhook",
            Self::Publication(_) => "outbox",
        }
    }

    /// Where it stands.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Approval(a) => a.state.as_str(),
            Self::Delivery(d) => d.outcome.as_str(),
            Self::Publication(p) => p.state.as_str(),
        }
    }

    /// The same as a mark.
    pub fn mark(&self) -> Mark {
        match self {
            Self::Approval(a) => match a.state {
                ApprovalState::Waiting => Mark::Person,
                ApprovalState::Approved => Mark::Passed,
                ApprovalState::Denied | ApprovalState::Expired => Mark::Failed,
            },
            Self::Delivery(d) => match d.outcome {
                DeliveryOutcome::Run | DeliveryOutcome::Comment => Mark::Live,
                DeliveryOutcome::Skipped | DeliveryOutcome::Unmapped => Mark::Off,
                DeliveryOutcome::Refused => Mark::Failed,
            },
            Self::Publication(p) => match p.state {
                PublicationState::Waiting => Mark::Waiting,
                PublicationState::Held => Mark::Person,
                PublicationState::Dry => Mark::Off,
                PublicationState::Done => Mark::Passed,
                PublicationState::Dropped => Mark::Failed,
            },
        }
    }

    /// Where, and what.
    pub fn summary(&self) -> (String, String) {
        match self {
            Self::Approval(a) => {
                let by = match (&a.by, &a.reason) {
                    (Some(by), Some(reason)) => format!(" {by}: {reason}"),
                    _ if a.approvers.is_empty() => " by any approver".into(),
                    _ => format!(" by {}", a.approvers.join(", ")),
                };
                (a.id.clone(), format!("{}{by}", a.what))
            }
            Self::Delivery(d) => {
                let again = match d.repeats {
                    0 => String::new(),
                    n => format!(", came {n} times more"),
                };
                (d.place.clone(), format!("{}{again} {}", d.event, d.note))
            }
            Self::Publication(p) => {
                let note = p.note.line(200);
                let after = if note.is_empty() { "" } else { ": " };
                (
                    p.place.line(80),
                    format!("{} {}{after}{note}", p.kind, p.says.line(160)),
                )
            }
        }
    }

    /// The run behind it.
    pub fn run(&self) -> Option<String> {
        match self {
            Self::Approval(a) => (a.action == "publish").then(|| a.subject.clone()),
            Self::Delivery(d) => d.run.clone(),
            Self::Publication(p) => Some(p.run.clone()),
        }
    }
}

impl Row for Entry<'_> {
    fn field(&self, key: &str) -> Vec<String> {
        let (place, what) = self.summary();
        match key {
            "kind" => vec![self.kind().to_owned()],
            "state" => vec![self.state().to_owned()],
            "run" => self.run().into_iter().collect(),
            "place" => vec![lowered(&place)],
            "what" => vec![lowered(&what)],
            _ => Vec::new(),
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        match (key, self) {
            ("attempts", Self::Publication(p)) => Some(u64::from(p.attempts)),
            ("repeats", Self::Delivery(d)) => Some(u64::from(d.repeats)),
            _ => None,
        }
    }

    fn shows(&self, word: &str) -> bool {
        ["kind", "state", "run", "place", "what"]
            .iter()
            .any(|key| self.field(key).iter().any(|f| f.contains(word)))
    }
}

/// A publication in full, for reading.
pub fn text_of(publication: &Publication) -> String {
    match publication {
        Publication::Comment { body, .. } => body.clone(),
        Publication::Review { body, comments, .. } => {
            let on_lines = comments
                .iter()
                .map(|c| format!("\n{}:{} {}", c.path, c.line, c.body));
            format!(
                "{}\n{body}\n{}",
                publication.says(),
                on_lines.collect::<String>()
            )
        }
        other => other.says(),
    }
}
