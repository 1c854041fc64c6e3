//! What the reviews of one pull request have cost so far.

use rusqlite::params;

use crate::journal::connection::Journal;
use crate::journal::error::JournalError;

impl Journal {
    /// The cost of all kept runs of a pull request, US dollars.
    ///
    /// # Errors
    /// As all reading.
    pub async fn pull_cost(&self, repository: &str, number: u64) -> Result<f64, JournalError> {
        let (repository, number) = (repository.to_owned(), number.cast_signed());
        self.read(move |c| {
            let sql = "SELECT total(json_extract(steps.result, '$.costUsd')) FROM runs
                       JOIN steps ON steps.run_id = runs.id
                       WHERE json_extract(runs.input, '$.change.pull.repository') = ?1 COLLATE NOCASE
                       AND json_extract(runs.input, '$.change.pull.number') = ?2";
            c.prepare_cached(sql)?
                .query_row(params![repository, number], |r| r.get(0))
        })
        .await
    }
}
