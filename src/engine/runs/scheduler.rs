//! Runs that start by the clock, by a crontab expression with its time zone.
//!
//! Why by wall time that is kept: what was missed while no engine ran is made up for once, and a clock that
//! jumps starts one run, not a storm.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::periodic;
use crate::engine::protocol::command::{Refused, Trigger};
use crate::engine::protocol::correlation::new_correlation;
use crate::engine::runs::intake::Intake;
use crate::journal::JournalError;
use crate::text::clean_line;

/// Longest time between two passes: the workspace may have changed, the machine may have slept.
const TICK: Duration = Duration::from_secs(20);

/// One per engine.
pub struct Scheduler {
    /// Clock and stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Alerts.
    pub notifier: Arc<Notifier>,
    /// The events with their schedules.
    pub store: Arc<ConfigStore>,
    /// When each ran last.
    pub durable: Arc<Durable>,
    /// Starts the runs.
    pub intake: Arc<Intake>,
}

impl Scheduler {
    /// Starts what is due, until the engine stops.
    pub async fn run(self: Arc<Self>) {
        let what = "schedules cannot be kept";
        periodic::repeat(&self.lifecycle, what, TICK, None, || self.pass()).await;
    }

    /// Starts every event that is due; returns when the next one is, wall time in milliseconds.
    async fn pass(&self) -> Result<Option<i64>, JournalError> {
        if self.durable.notice().is_some() {
            // Which schedules ran is not certain.
            return Ok(None);
        }
        let workspace = self.store.workspace();
        let journal = &self.durable.journal;
        let mut soonest: Option<i64> = None;
        let mut note = |at: i64| soonest = Some(soonest.map_or(at, |s| s.min(at)));
        for (event, rule) in &workspace.events.events {
            let Some(schedule) = &rule.schedule else {
                continue;
            };
            let now_ms = self.lifecycle.wall_ms();
            let last = journal.schedule(event, schedule.text(), now_ms).await?;
            // The clock was set back: counted from now, not from a time that is yet to come.
            let last = if last > now_ms {
                journal.scheduled(event, now_ms).await?;
                now_ms
            } else {
                last
            };
            let Some(due) = schedule.next(last) else {
                continue;
            };
            if due > now_ms {
                note(due);
                continue;
            }
            // Written down first: started once, whatever happens in between.
            journal.scheduled(event, now_ms).await?;
            if !self.start(event).await {
                // Not now: it is still due.
                journal.scheduled(event, last).await?;
                note(now_ms + TICK.as_millis() as i64);
                continue;
            }
            if let Some(next) = schedule.next(now_ms) {
                note(next);
            }
        }
        Ok(soonest)
    }

    /// False: the run could not be accepted now and is tried again.
    async fn start(&self, event: &str) -> bool {
        let trigger = Trigger {
            event: event.to_owned(),
            ..Trigger::default()
        };
        let accepted = self
            .intake
            .accept(trigger, "schedule", &new_correlation(), None)
            .await;
        let Err(refused) = accepted else {
            return true;
        };
        let name = clean_line(event, 80);
        self.notifier.alert(
            true,
            format!("the schedule of {name} could not run: {refused}"),
        );
        use Refused::{Busy, Drained, Journal, Stopping};
        !matches!(refused, Busy { .. } | Drained | Journal { .. } | Stopping)
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
