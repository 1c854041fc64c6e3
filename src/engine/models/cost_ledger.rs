//! Keeps what models cost: the sums of this moment go into the journal once a second.
//!
//! Why not with each call: a synced write would cost more than many a call. A crash loses a second of
//! the sums at most; what each run cost is with its steps.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::models::access::Models;
use crate::engine::protocol::cost::Costs;
use crate::journal::{JournalError, SpendRow};
use crate::model::spend::{Line, day_of};

/// Between two writes.
const EVERY: Duration = Duration::from_secs(1);

/// One per engine.
pub struct CostLedger {
    lifecycle: Arc<Lifecycle>,
    store: Arc<ConfigStore>,
    durable: Arc<Durable>,
    models: Arc<Models>,
}

impl CostLedger {
    /// Over the sums that the model service keeps.
    pub fn new(
        lifecycle: Arc<Lifecycle>,
        store: Arc<ConfigStore>,
        durable: Arc<Durable>,
        models: Arc<Models>,
    ) -> Arc<Self> {
        Arc::new(Self {
            lifecycle,
            store,
            durable,
            models,
        })
    }

    /// Adds what was spent today before this start.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn load_today(&self) -> Result<(), JournalError> {
        if self.lifecycle.mode.simulated {
            return Ok(()); // What is simulated costs nothing, today or ever.
        }
        let now = self.lifecycle.wall_ms();
        let rows = self.durable.journal.spend_since(day_of(now)).await?;
        self.models
            .service
            .spend()
            .seed(rows.into_iter().map(line).collect(), now);
        self.durable.journal.forget_spend().await
    }

    /// Writes the sums once a second until the engine stops.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.lifecycle.stopping.cancelled() => return self.flush().await,
                () = tokio::time::sleep(EVERY) => self.flush().await,
            }
        }
    }

    /// Writes what was added. What cannot be written is kept and written later.
    async fn flush(&self) {
        let spend = self.models.service.spend();
        let unsaved = spend.take_unsaved();
        if unsaved.is_empty() || self.lifecycle.mode.simulated {
            return;
        }
        let rows = unsaved.iter().cloned().map(row).collect();
        if self.durable.journal.add_spend(rows).await.is_err() {
            spend.put_back(unsaved);
        }
    }

    /// The sums of the newest days, today included, as they are now.
    ///
    /// # Errors
    /// As all reading of the journal.
    pub async fn costs(&self, days: u32) -> Result<Costs, JournalError> {
        self.flush().await;
        let now = self.lifecycle.wall_ms();
        let spend = self.models.service.spend();
        let lines = if self.lifecycle.mode.simulated {
            spend.lines(now)
        } else {
            let rows = self
                .durable
                .journal
                .spend_since(first_day(now, days))
                .await?;
            rows.into_iter().map(line).collect()
        };
        let (settled, reserved) = spend.today(now);
        let budgets = self.store.settings().budgets;
        Ok(Costs {
            today_micro_usd: settled,
            reserved_micro_usd: reserved,
            run_budget_usd: budgets.run_usd,
            day_budget_usd: budgets.day_usd,
            lines,
        })
    }
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
