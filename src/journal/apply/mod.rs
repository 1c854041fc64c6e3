//! Applies a record to the tables.
//!
//! Why pure: it reads the record and the tables and nothing else, no clock, no chance and no counter of
//! SQLite's. The same records in the same order give the same tables, on another machine and after damage.

mod approvals;
mod comments;
mod deliveries;
mod memory;
mod pulls;
mod runs;
mod spend;

use rusqlite::Connection;

use crate::journal::record::{Applied, Record};

/// Applies one record inside the caller's transaction. `sequence` is the record's own number.
pub(super) fn apply(tx: &Connection, sequence: i64, record: &Record) -> rusqlite::Result<Applied> {
    let before = tx.total_changes();
    let applied = dispatch(tx, sequence, record)?;
    let untouched = tx.total_changes() == before;
    Ok(match applied {
        Applied::Done if untouched => Applied::Unchanged,
        other => other,
    })
}

fn dispatch(tx: &Connection, sequence: i64, record: &Record) -> rusqlite::Result<Applied> {
    match record {
        Record::RunAccepted { run, .. } => runs::accepted(tx, sequence, run),
        Record::RunsRefused { ids } => runs::refused(tx, ids),
        Record::WebhookReceived {
            delivery,
            keys,
            run,
            pull,
            comment,
        } => {
            let about = (pull.as_deref(), comment.as_deref());
            deliveries::received(tx, sequence, delivery, keys, run.as_ref(), about)
        }
        Record::WebhookRedirected { old, new } => deliveries::redirected(tx, old, new),
        Record::RunChangeFetched { id, input, diff } => runs::change_fetched(tx, id, input, diff),
        Record::RunStarted { id, at_ms } => runs::started(tx, id, *at_ms),
        Record::RunParked { id } => runs::parked(tx, id),
        Record::RunCancelRequested { id } => runs::cancel_requested(tx, id),
        Record::StepFinished { step, memory } => {
            runs::step_finished(tx, sequence, step, memory.as_ref())
        }
        Record::RunDecided { finish } => runs::decided(tx, sequence, finish),
        Record::PublicationTried {
            id,
            state,
            note,
            attempts,
            at_ms,
            next_ms,
            pull,
        } => {
            if let Some((key, published)) = pull {
                pulls::published(tx, key, published)?;
            }
            deliveries::publication_tried(tx, *id, *state, note, *attempts, *at_ms, *next_ms)
        }
        Record::PullMarked { pull, at_ms } => pulls::marked(tx, sequence, pull, *at_ms),
        Record::PublicationsPlanned {
            key,
            items,
            kept,
            at_ms,
        } => pulls::planned(tx, sequence, key, items, kept, *at_ms),
        Record::PullSettled {
            key,
            revision,
            next_ms,
        } => pulls::settled(tx, key, *revision, *next_ms),
        Record::ApprovalRequested { approval } => approvals::requested(tx, approval),
        Record::ApprovalDecided {
            id,
            state,
            by,
            reason,
            at_ms,
        } => approvals::decided(tx, sequence, id, *state, by, reason, *at_ms),
        Record::AgentStopped { agent, stopped } => approvals::agent_stopped(tx, agent, *stopped),
        Record::ScheduleSeen { event, cron, at_ms } => {
            approvals::schedule_seen(tx, event, cron, *at_ms)
        }
        Record::ScheduleFired { event, at_ms } => approvals::schedule_fired(tx, event, *at_ms),
        Record::Spent { rows } => spend::spent(tx, rows),
        Record::SpendPruned { before } => spend::pruned(tx, before),
        Record::MemoryAdded { items } => memory::added(tx, sequence, items),
        Record::MemoryForgotten { id } => memory::forgotten(tx, id),
        Record::MemoryPruned { keep } => memory::pruned(tx, *keep),
        Record::RunsPruned { ids } => runs::pruned(tx, ids),
        Record::DeliveriesPruned { keys_before_ms } => deliveries::pruned(tx, *keys_before_ms),
        Record::RepositoryRenamed {
            old,
            new,
            repository_id,
        } => pulls::renamed(tx, sequence, (old, new), *repository_id),
        Record::CommentHandled { outcome } => comments::handled(tx, outcome),
        Record::FindingDismissed { dismissal } => comments::dismissed(tx, dismissal),
        Record::DismissalRevoked { id, by, at_ms } => comments::revoked(tx, id, by, *at_ms),
        Record::Recovered { at_ms, notice } => approvals::recovered(tx, *at_ms, notice),
        Record::Acknowledged { at_ms, .. } => approvals::acknowledged(tx, *at_ms),
    }
}
