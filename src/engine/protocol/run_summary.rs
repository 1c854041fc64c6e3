//! What the list of runs says of one: where it belongs, why it stands as it does, how long it waited.

use crate::engine::protocol::phase::{Phase, span};
use crate::engine::protocol::run::{RunState, StepStatus};
use crate::engine::protocol::snapshot::{RunSummary, StepSummary};
use crate::review::verdict::Verdict;
use crate::text::cut;

/// Most characters of a run's why.
pub const WHY: usize = 60;

/// One agent of a run in one sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It has not begun.
    Queued,
    /// It is at work.
    Running,
    /// It approves.
    Approves,
    /// It wants changes, or blocks.
    Objects,
    /// It wants a person to look, or lacks evidence.
    Unsure,
    /// It was stopped.
    Cancelled,
}

impl Mark {
    /// The sign, with one for terminals that have ASCII alone.
    pub fn sign(self, ascii: bool) -> char {
        match (self, ascii) {
            (Self::Queued, false) => '◌',
            (Self::Queued, true) => '.',
            (Self::Running, false) => '●',
            (Self::Running, true) => '*',
            (Self::Approves, false) => '✓',
            (Self::Approves, true) => 'v',
            (Self::Objects, false) => '✗',
            (Self::Objects, true) => 'x',
            (Self::Unsure, _) => '?',
            (Self::Cancelled, _) => '-',
        }
    }
}

impl StepSummary {
    /// It in one sign. An approval of rules alone, where a model was wanted, is none.
    pub fn mark(&self) -> Mark {
        match (self.status, self.verdict) {
            (StepStatus::Queued, _) => Mark::Queued,
            (StepStatus::Running, _) => Mark::Running,
            (StepStatus::Cancelled, _) => Mark::Cancelled,
            (_, Some(Verdict::RequestChanges | Verdict::Block)) => Mark::Objects,
            (StepStatus::Succeeded, Some(Verdict::Approve)) => Mark::Approves,
            _ => Mark::Unsure,
        }
    }
}

impl RunSummary {
    /// It has not ended.
    pub fn is_live(&self) -> bool {
        matches!(self.state, RunState::Queued | RunState::Running)
    }

    /// `owner/name#482`; `None`: unknown, or nothing that has a place.
    pub fn place(&self) -> Option<String> {
        self.identity.as_ref()?.place()
    }

    /// Who wrote the change, else who started the run.
    pub fn author(&self) -> Option<String> {
        let identity = self.identity.as_ref()?;
        match &identity.author {
            Some(author) => Some(author.line(80)),
            None => identity.started_by.clone(),
        }
    }

    /// Agents that have come to their end, of all.
    pub fn progress(&self) -> (usize, usize) {
        let over = self.steps.iter().filter(|s| s.status.is_over()).count();
        (over, self.steps.len())
    }

    /// The phase that keeps it most from its end; `None` where no agent is with a provider.
    pub fn slowest_phase(&self) -> Option<&Phase> {
        let phases = self.steps.iter().filter_map(|s| s.phase.as_ref());
        phases.max_by_key(|p| (p.urgency(), std::cmp::Reverse(p.started_ms)))
    }

    /// Why it stands as it does, at most 60 characters: of an ended run the rule or finding that decided, of one
    /// at work what it waits for at `now_ms` (wall time). `None`: unknown.
    pub fn why_at(&self, now_ms: i64) -> Option<String> {
        if let Some(why) = &self.why {
            return Some(why.line(WHY));
        }
        let why = match self.state {
            RunState::Queued => {
                let waited = u64::try_from(now_ms - self.created_ms).unwrap_or(0);
                format!("waits for its turn {}", span(waited))
            }
            RunState::Running => match self.slowest_phase() {
                Some(phase) => phase.sentence(now_ms),
                None => {
                    let (over, all) = self.progress();
                    format!("{over} of {all} agents done")
                }
            },
            _ => return None,
        };
        Some(cut(&why, WHY).to_owned())
    }

    /// Milliseconds that it has waited at `now_ms`: [`Self::waited_ms`] and what waits now.
    pub fn waited_at(&self, now_ms: i64) -> Option<u64> {
        match self.state {
            RunState::Queued => u64::try_from(now_ms - self.created_ms).ok(),
            RunState::Running => {
                let open = self.steps.iter().filter_map(|s| s.phase.as_ref());
                let waits = open.filter(|p| p.kind.is_wait());
                let longest = waits.map(|p| p.lasted_ms(now_ms)).max();
                Some(self.waited_ms? + longest.unwrap_or(0))
            }
            _ => self.waited_ms,
        }
    }
}
