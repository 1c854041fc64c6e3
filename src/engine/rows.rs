//! Rows of the journal as the data of the seam: no face sees a row.

use crate::engine::protocol::github::{
    Approval, ApprovalState, Delivery, DeliveryOutcome, Dismissal, OutboxCounts, PublicationState,
};
use crate::engine::protocol::memory::MemoryKind;
use crate::journal;

impl From<journal::ApprovalState> for ApprovalState {
    fn from(row: journal::ApprovalState) -> Self {
        match row {
            journal::ApprovalState::Waiting => Self::Waiting,
            journal::ApprovalState::Approved => Self::Approved,
            journal::ApprovalState::Denied => Self::Denied,
            journal::ApprovalState::Expired => Self::Expired,
        }
    }
}

impl From<journal::ApprovalRow> for Approval {
    fn from(row: journal::ApprovalRow) -> Self {
        Self {
            id: row.id,
            action: row.action,
            subject: row.subject,
            what: row.what,
            approvers: row.approvers,
            created_ms: row.created_ms,
            expires_ms: row.expires_ms,
            state: row.state.into(),
            by: row.by,
            reason: row.reason,
            decided_ms: row.decided_ms,
        }
    }
}

impl From<journal::Outcome> for DeliveryOutcome {
    fn from(row: journal::Outcome) -> Self {
        match row {
            journal::Outcome::Run => Self::Run,
            journal::Outcome::Skipped => Self::Skipped,
            journal::Outcome::Unmapped => Self::Unmapped,
            journal::Outcome::Refused => Self::Refused,
            journal::Outcome::Comment => Self::Comment,
        }
    }
}

impl From<journal::DeliveryRow> for Delivery {
    fn from(row: journal::DeliveryRow) -> Self {
        Self {
            id: row.id,
            at_ms: row.at_ms,
            event: row.event,
            place: row.place,
            outcome: row.outcome.into(),
            note: row.note,
            run: row.run,
            repeats: row.repeats,
        }
    }
}

impl From<journal::DismissalRow> for Dismissal {
    fn from(row: journal::DismissalRow) -> Self {
        Self {
            id: row.id,
            repository: row.repository,
            fingerprint: row.fingerprint,
            rule: row.rule,
            place: row.place,
            by: row.by,
            reason: row.reason,
            pull: row.pull,
            created_ms: row.created_ms,
            expires_ms: row.expires_ms,
            revoked_by: row.revoked_by,
            revoked_ms: row.revoked_ms,
        }
    }
}

impl From<journal::OutboxState> for PublicationState {
    fn from(row: journal::OutboxState) -> Self {
        match row {
            journal::OutboxState::Waiting => Self::Waiting,
            journal::OutboxState::Held => Self::Held,
            journal::OutboxState::Dry => Self::Dry,
            journal::OutboxState::Done => Self::Done,
            journal::OutboxState::Dropped => Self::Dropped,
        }
    }
}

impl From<journal::OutboxCounts> for OutboxCounts {
    fn from(row: journal::OutboxCounts) -> Self {
        Self {
            waiting: row.waiting,
            held: row.held,
            done: row.done,
            dropped: row.dropped,
        }
    }
}

impl From<journal::MemoryKind> for MemoryKind {
    fn from(row: journal::MemoryKind) -> Self {
        match row {
            journal::MemoryKind::CodeReview => Self::CodeReview,
            journal::MemoryKind::OrchestrationDecision => Self::OrchestrationDecision,
        }
    }
}

impl From<MemoryKind> for journal::MemoryKind {
    fn from(kind: MemoryKind) -> Self {
        match kind {
            MemoryKind::CodeReview => Self::CodeReview,
            MemoryKind::OrchestrationDecision => Self::OrchestrationDecision,
        }
    }
}
