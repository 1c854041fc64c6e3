//! Recorded pictures: one a second for ten minutes, one in ten for two hours, one a minute for a day.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::journal::connection::Journal;
use crate::journal::error::JournalError;

/// A recorded picture: wall time in milliseconds, and its bytes. What they mean is the engine's.
pub type Recorded = (i64, Vec<u8>);

/// Older than the first, the last one in each span of the second is kept (it holds until the next); all in
/// milliseconds.
const THINNER: [(i64, i64); 2] = [(600_000, 10_000), (7_200_000, 60_000)];
/// Older ones are forgotten.
pub(crate) const OLDEST_MS: i64 = 86_400_000;
/// Bytes kept; beyond it the oldest go.
pub(crate) const MOST_BYTES: i64 = 64 << 20;

/// Which of two neighbours is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The newest at or before a time.
    Before,
    /// The oldest at or after it.
    After,
}

impl Journal {
    /// Adds pictures; `thin` also lets go of what has become too old or too many.
    ///
    /// # Errors
    /// As all writing.
    pub async fn record(
        &self,
        pictures: Vec<Recorded>,
        thin: Option<i64>,
    ) -> Result<(), JournalError> {
        self.write(move |tx| {
            let mut add = tx.prepare_cached("INSERT OR REPLACE INTO history VALUES (?1, ?2)")?;
            for (at_ms, picture) in &pictures {
                add.execute(params![at_ms, picture])?;
            }
            thin.map_or(Ok(()), |now_ms| thin_out(tx, now_ms))
        })
        .await
    }

    /// The picture nearest to a time on one side, if there is one.
    ///
    /// # Errors
    /// As all reading.
    pub async fn recorded(&self, at_ms: i64, side: Side) -> Result<Option<Recorded>, JournalError> {
        self.read(move |c| {
            let sql = match side {
                Side::Before => "SELECT at_ms, picture FROM history WHERE at_ms <= ?1 ORDER BY at_ms DESC LIMIT 1",
                Side::After => "SELECT at_ms, picture FROM history WHERE at_ms >= ?1 ORDER BY at_ms LIMIT 1",
            };
            c.prepare_cached(sql)?
                .query_row([at_ms], |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()
        })
        .await
    }

    /// Pictures of a span, oldest first, at most `most`, evenly chosen.
    ///
    /// # Errors
    /// As all reading.
    pub async fn recorded_between(
        &self,
        from_ms: i64,
        to_ms: i64,
        most: u32,
    ) -> Result<Vec<Recorded>, JournalError> {
        self.read(move |c| {
            let span = ((to_ms - from_ms) / i64::from(most.max(1))).max(1);
            // The last picture of each part of the span.
            let sql = "SELECT at_ms, picture FROM history WHERE at_ms IN \
                       (SELECT max(at_ms) FROM history WHERE at_ms BETWEEN ?1 AND ?2 GROUP BY (at_ms - ?1) / ?3) ORDER BY at_ms";
            c.prepare_cached(sql)?
                .query_map(params![from_ms, to_ms, span], |r| Ok((r.get(0)?, r.get(1)?)))?
                .collect()
        })
        .await
    }

    /// The oldest and the newest time recorded.
    ///
    /// # Errors
    /// As all reading.
    pub async fn recorded_span(&self) -> Result<Option<(i64, i64)>, JournalError> {
        self.read(|c| {
            let sql = "SELECT min(at_ms), max(at_ms) FROM history";
            let span: (Option<i64>, Option<i64>) = c
                .prepare_cached(sql)?
                .query_row([], |r| Ok((r.get(0)?, r.get(1)?)))?;
            Ok(span.0.zip(span.1))
        })
        .await
    }
}

fn thin_out(tx: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM history WHERE at_ms < ?1")?
        .execute([now_ms - OLDEST_MS])?;
    for (older, span) in THINNER {
        let sql = "DELETE FROM history WHERE at_ms < ?1 AND at_ms NOT IN \
                   (SELECT max(at_ms) FROM history WHERE at_ms < ?1 GROUP BY at_ms / ?2)";
        tx.prepare_cached(sql)?
            .execute(params![now_ms - older, span])?;
    }
    let sql = "DELETE FROM history WHERE at_ms <= (SELECT max(at_ms) FROM \
               (SELECT at_ms, sum(length(picture)) OVER (ORDER BY at_ms DESC) AS bytes FROM history) WHERE bytes > ?1)";
    tx.prepare_cached(sql)?.execute([MOST_BYTES]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pictures_thin_with_age_and_are_found_from_both_sides() {
        let journal = Journal::in_memory().unwrap();
        let now = 100_000_000i64;
        // Every second of the last three hours, and one of two days ago.
        let mut pictures: Vec<Recorded> = (0..10_800)
            .map(|s| (now - s * 1_000, vec![7; 10]))
            .collect();
        pictures.push((now - 2 * OLDEST_MS, vec![1]));
        journal.record(pictures, Some(now)).await.unwrap();
        let all = journal.recorded_between(0, now, 100_000).await.unwrap();
        let within = |from: i64, to: i64| {
            all.iter()
                .filter(|(at, _)| (now - to..now - from).contains(at))
                .count()
        };
        assert_eq!(within(-1, 600_000 - 1_000), 600);
        assert!(
            (658..=664).contains(&within(600_000, 7_200_000)),
            "{}",
            within(600_000, 7_200_000)
        );
        assert!((58..=64).contains(&within(7_200_000, 10_800_000)));
        let span = journal.recorded_span().await.unwrap().unwrap();
        assert_eq!((span.1, span.0 > now - OLDEST_MS), (now, true));
        let before = journal
            .recorded(now - 1, Side::Before)
            .await
            .unwrap()
            .unwrap();
        let after = journal
            .recorded(now - 999, Side::After)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((before.0, after.0), (now - 1_000, now));
        assert!(
            journal
                .recorded(now + 1, Side::After)
                .await
                .unwrap()
                .is_none()
        );
        let few = journal
            .recorded_between(now - 60_000, now, 6)
            .await
            .unwrap();
        assert!((6..=7).contains(&few.len()));
        assert_eq!(few.last().unwrap().0, now);
    }

    #[tokio::test]
    async fn the_oldest_go_when_there_are_too_many_bytes() {
        let journal = Journal::in_memory().unwrap();
        let pictures = (1..=70).map(|n| (n * 1_000, vec![0; 1 << 20])).collect();
        journal.record(pictures, Some(70_000)).await.unwrap();
        let span = journal.recorded_span().await.unwrap().unwrap();
        assert_eq!(span, (7_000, 70_000));
    }
}
