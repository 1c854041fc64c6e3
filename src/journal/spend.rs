//! What models cost: sums by day, provider, model and agent, added to once a second.

use crate::journal::connection::{Journal, ReadOnly};
use crate::journal::error::JournalError;
use crate::journal::record::Record;
use crate::journal::spend_rows::{SPEND_DAYS, SpendRow, since};

impl Journal {
    /// Adds to the sums.
    ///
    /// # Errors
    /// As all writing; then nothing was added.
    pub async fn add_spend(&self, rows: Vec<SpendRow>) -> Result<(), JournalError> {
        self.append(Record::Spent { rows }).await.map(drop)
    }

    /// The sums since a day, that day included.
    ///
    /// # Errors
    /// As all reading.
    pub async fn spend_since(&self, day: String) -> Result<Vec<SpendRow>, JournalError> {
        self.read(move |c| since(c, &day)).await
    }

    /// Lets go of sums that are too old to matter.
    ///
    /// # Errors
    /// As all writing.
    pub async fn forget_spend(&self) -> Result<(), JournalError> {
        let today = jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date();
        let before = today
            .saturating_sub(jiff::Span::new().days(SPEND_DAYS))
            .to_string();
        self.append(Record::SpendPruned { before }).await.map(drop)
    }
}

impl ReadOnly {
    /// The sums since a day, that day included.
    ///
    /// # Errors
    /// As all reading. A journal that no newer program has opened has none.
    pub fn spend_since(&self, day: &str) -> Result<Vec<SpendRow>, JournalError> {
        let known = self.connection.table_exists(None, "spend")?;
        if !known {
            return Ok(Vec::new());
        }
        since(&self.connection, day).map_err(JournalError::from)
    }
}
