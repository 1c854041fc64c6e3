//! Events that begin by themselves, by a crontab expression with its zone.
//!
//! Why by wall time that is kept: what was missed while nothing ran is made up for once, and a clock that
//! jumps begins one run, not a storm.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::handle::new_correlation;
use super::intake;
use super::ticking::again_and_again;
use super::types::command::{Refused, Trigger};
use crate::journal::JournalError;
use crate::text::clean_line;

/// Looked at least this often: the workspace may have changed, the machine may have slept.
const TICK: Duration = Duration::from_secs(20);

/// Begins what is due, until the engine stops.
pub(super) async fn keep(core: Arc<Core>) {
    let pass = |core| async move { pass(&core).await };
    again_and_again(core, "schedules cannot be kept", TICK, |_| None, pass).await;
}

/// Begins every event whose time has come; returns when the next one's does.
pub(super) async fn pass(core: &Arc<Core>) -> Result<Option<i64>, JournalError> {
    let workspace = core.workspace.load_full();
    let mut soonest: Option<i64> = None;
    for (event, rule) in &workspace.events.events {
        let Some(schedule) = &rule.schedule else {
            continue;
        };
        let now_ms = core.clock.wall_ms();
        let last = core
            .journal
            .schedule(event, schedule.text(), now_ms)
            .await?;
        // The clock was set back: counted from now, not from a time that is yet to come.
        let last = if last > now_ms {
            core.journal.scheduled(event, now_ms).await?;
            now_ms
        } else {
            last
        };
        let Some(due) = schedule.next(last) else {
            continue;
        };
        if due > now_ms {
            soonest = Some(soonest.map_or(due, |s| s.min(due)));
            continue;
        }
        // Written down first: begun once, whatever happens in between.
        core.journal.scheduled(event, now_ms).await?;
        if !begin(core, event).await {
            // Not now: it is still due.
            core.journal.scheduled(event, last).await?;
            soonest = Some(now_ms + TICK.as_millis() as i64);
            continue;
        }
        if let Some(next) = schedule.next(now_ms) {
            soonest = Some(soonest.map_or(next, |s| s.min(next)));
        }
    }
    Ok(soonest)
}

/// False: it could not be taken in now and is tried again.
async fn begin(core: &Arc<Core>, event: &str) -> bool {
    let trigger = Trigger {
        event: event.to_owned(),
        ..Trigger::default()
    };
    let begun = intake::take_in(core, trigger, "schedule", &new_correlation()).await;
    let Err(refused) = begun else {
        return true;
    };
    let name = clean_line(event, 80);
    core.alert(
        true,
        format!("the schedule of {name} could not run: {refused}"),
    );
    use Refused::{Busy, Drained, Journal, Stopping};
    !matches!(refused, Busy { .. } | Drained | Journal { .. } | Stopping)
}

#[cfg(test)]
#[path = "schedules_tests.rs"]
mod tests;
