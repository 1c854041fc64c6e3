//! The end of every run: decision and report in one transaction, then the report's file, then the lists.

use super::core::Core;
use super::failpoint;
use super::report;
use super::types::event::Event;
use super::types::run::{Action, Evidence, RunResult};
use super::types::snapshot::DecisionCount;
use super::views::brief;
use super::{approvals, remembering};
use crate::journal::{
    ApprovalRow, Finish, JournalError, NewMemory, NewPublication, NewRun, RunStatus,
};
use crate::resilience::clock::lock;
use crate::text::Untrusted;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What a decision leaves: at GitHub, what that waits for, and what is remembered.
#[derive(Default)]
pub(super) struct Leaving {
    pub(super) publications: Vec<NewPublication>,
    pub(super) approval: Option<ApprovalRow>,
    /// What is remembered of it.
    pub(super) memory: Option<NewMemory>,
}

/// Decision, report, journal, file, lists: the end of every run.
pub(super) async fn conclude(
    core: &Arc<Core>,
    new: &NewRun,
    mut view: RunResult,
    status: RunStatus,
    title: Option<Untrusted>,
    started_ms: Option<i64>,
    leaving: Leaving,
) -> Result<(), JournalError> {
    let action = view
        .decision
        .as_ref()
        .map_or(Action::ManualReview, |d| d.action);
    if let Some(folder) = &core.reports {
        view.report = Some(
            folder
                .base
                .join(&folder.relative)
                .join(&new.report_name)
                .display()
                .to_string(),
        );
    }
    let text = report::render(&view);
    let at_ms = core.clock.wall_ms();
    let line = brief(&view, title, started_ms, Some(at_ms));
    let finish = Finish {
        id: new.id.clone(),
        status,
        at_ms,
        result: serde_json::to_string(&view).map_err(|e| JournalError::Sqlite(e.to_string()))?,
        brief: serde_json::to_string(&line).map_err(|e| JournalError::Sqlite(e.to_string()))?,
        action: action.word().to_owned(),
        report: text.clone(),
        publications: leaving.publications,
        approval: leaving.approval,
        memory: leaving.memory,
    };
    failpoint::reached("decision-made");
    let kept = core.persist(|| core.journal.finish(finish.clone())).await?;
    if let (Some(item), Some(number)) = (&finish.memory, kept) {
        remembering::index(&core.memory, item, number);
    }
    failpoint::reached("decision-kept");
    if let Some(held) = &finish.approval {
        approvals::tell(core, &held.id, &held.what);
    }
    if !finish.publications.is_empty() {
        core.outbox.notify_one();
    }
    write_report(core, new, &text).await?;
    core.counters.finished.fetch_add(1, Relaxed);
    count(core, action, view.evidence);
    if status == RunStatus::Failed {
        core.counters.failed.fetch_add(1, Relaxed);
    }
    tracing::info!(
        run = new.id,
        corr = new.correlation,
        action = action.word(),
        ms = view.duration_ms,
        "run ended"
    );
    core.retire(&new.id, line);
    core.tell(Event::RunFinished {
        run: new.id.clone(),
        action,
    });
    Ok(())
}

/// One more decision of its kind.
fn count(core: &Core, action: Action, evidence: Evidence) {
    let mut all = lock(&core.counters.decisions);
    let same = |d: &&mut DecisionCount| d.action == action && d.evidence == evidence;
    match all.iter_mut().find(same) {
        Some(one) => one.count += 1,
        None => all.push(DecisionCount {
            action,
            evidence,
            count: 1,
        }),
    }
}

/// Writes the report's file, on the async or on the blocking path (a feature flag decides).
pub(super) async fn write_report(
    core: &Arc<Core>,
    new: &NewRun,
    text: &str,
) -> Result<(), JournalError> {
    let Some(folder) = core.reports.clone() else {
        return core.journal.report_written(&new.id).await;
    };
    let (name, text) = (new.report_name.clone(), text.to_owned());
    let result = if core.settings.load().flags.async_file_io {
        let saved = tokio::task::spawn_blocking(move || report::save(&folder, &name, &text)).await;
        saved.unwrap_or_else(|_| {
            Err(crate::files::FileError::NotAFile(
                new.report_name.clone().into(),
            ))
        })
    } else {
        report::save(&folder, &name, &text)
    };
    match result {
        Ok(_) => {
            failpoint::reached("report-written");
            core.persist(|| core.journal.report_written(&new.id)).await
        }
        Err(error) => {
            // The text is in the journal; the next start tries again.
            core.alert(
                true,
                format!(
                    "the report of {} cannot be written: {}",
                    new.id,
                    crate::text::clean_line(&error.to_string(), 300)
                ),
            );
            Ok(())
        }
    }
}
