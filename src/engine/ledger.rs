//! Keeps what models cost: the sums of this moment go into the journal once a second.
//!
//! Why not with each call: a synced write would cost more than many a call. A crash loses a second of
//! the sums at most; what each run cost is with its steps.

use std::time::Duration;

use super::core::Core;
use super::types::cost::Costs;
use crate::journal::{JournalError, SpendRow};
use crate::model::spend::{Line, day_of};

const EVERY: Duration = Duration::from_secs(1);

/// Takes in what was spent today before this start.
pub async fn begin(core: &Core) -> Result<(), JournalError> {
    if core.mode.simulated {
        return Ok(()); // What is simulated costs nothing, today or ever.
    }
    let now = core.clock.wall_ms();
    let rows = core.journal.spend_since(day_of(now)).await?;
    core.models
        .spend()
        .seed(rows.into_iter().map(line).collect(), now);
    core.journal.forget_spend().await
}

/// Keeps the sums until the engine stops.
pub async fn keep(core: std::sync::Arc<Core>) {
    loop {
        tokio::select! {
            () = core.stopping.cancelled() => return flush(&core).await,
            () = tokio::time::sleep(EVERY) => flush(&core).await,
        }
    }
}

/// Writes what has been added. What cannot be written is kept and tried again.
pub async fn flush(core: &Core) {
    let unsaved = core.models.spend().take_unsaved();
    if unsaved.is_empty() || core.mode.simulated {
        return;
    }
    let rows = unsaved.iter().cloned().map(row).collect();
    if core.journal.add_spend(rows).await.is_err() {
        core.models.spend().put_back(unsaved);
    }
}

/// The sums of the newest days, today included, as they are now.
///
/// # Errors
/// As all reading of the journal.
pub async fn costs(core: &Core, days: u32) -> Result<Costs, JournalError> {
    flush(core).await;
    let now = core.clock.wall_ms();
    let lines = if core.mode.simulated {
        core.models.spend().lines(now)
    } else {
        let rows = core.journal.spend_since(first_day(now, days)).await?;
        rows.into_iter().map(line).collect()
    };
    let (settled, reserved) = core.models.spend().today(now);
    let budgets = core.settings.load().budgets;
    Ok(Costs {
        today_micro_usd: settled,
        reserved_micro_usd: reserved,
        run_budget_usd: budgets.run_usd,
        day_budget_usd: budgets.day_usd,
        lines,
    })
}

/// The first of the newest `days` days.
pub fn first_day(now_ms: i64, days: u32) -> String {
    const DAY: i64 = 86_400_000;
    day_of(now_ms - i64::from(days.clamp(1, 400) - 1) * DAY)
}

fn row(line: Line) -> SpendRow {
    SpendRow {
        day: line.day,
        provider: line.provider,
        model: line.model,
        agent: line.agent,
        calls: line.calls,
        prompt: line.prompt,
        completion: line.completion,
        micro_usd: line.micro_usd,
    }
}

/// A line of the journal, as it is added up.
pub fn line(row: SpendRow) -> Line {
    Line {
        day: row.day,
        provider: row.provider,
        model: row.model,
        agent: row.agent,
        calls: row.calls,
        prompt: row.prompt,
        completion: row.completion,
        micro_usd: row.micro_usd,
    }
}
