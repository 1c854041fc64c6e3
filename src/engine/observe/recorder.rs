//! Records the picture once a second while it changes, so that an operator can go back to what was.
//!
//! Why not each picture into the journal at once: a synced write a second would cost more than the
//! engine at rest. What has gathered is written every ten seconds and at the stop; a crash loses that
//! much of the past and nothing else.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use tokio::sync::watch;

use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::protocol::history::{AlertMark, Point, SnapshotAt, Trends};
use crate::engine::protocol::snapshot::Snapshot;
use crate::journal::{JournalError, Recorded, Side};
use crate::resilience::clock::lock;
use crate::telemetry::call_outcome::CallOutcome;

const EVERY: Duration = Duration::from_secs(1);
const GATHERED: usize = 10;
/// Writes between two thinnings; the first write thins too.
const THIN_AFTER: u32 = 6;
/// A recorded picture is never larger unpacked; anything more is not ours.
const MOST_UNPACKED: u64 = 1 << 20;

/// One per engine.
pub struct Recorder {
    lifecycle: Arc<Lifecycle>,
    durable: Arc<Durable>,
    /// Packed snapshots that are not on disk yet, oldest first.
    gathered: Mutex<Vec<Recorded>>,
}

impl Recorder {
    /// With nothing gathered.
    pub fn new(lifecycle: Arc<Lifecycle>, durable: Arc<Durable>) -> Arc<Self> {
        Arc::new(Self {
            lifecycle,
            durable,
            gathered: Mutex::default(),
        })
    }

    /// Records until the engine stops.
    pub async fn run(self: Arc<Self>, mut snapshots: watch::Receiver<Arc<Snapshot>>) {
        let mut written = 0u32;
        let (began, began_ms) = (self.lifecycle.now(), self.lifecycle.wall_ms());
        let stop = &self.lifecycle.stopping;
        loop {
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                changed = snapshots.changed() => changed.is_err(),
            };
            let snapshot = snapshots.borrow_and_update().clone();
            if let Some(packed) = pack(&snapshot) {
                lock(&self.gathered).push((self.lifecycle.wall_ms(), packed));
            }
            if stopping || lock(&self.gathered).len() >= GATHERED {
                // A wall clock that was set is no reason to delete the past.
                let passed = self
                    .lifecycle
                    .now()
                    .saturating_duration_since(began)
                    .as_millis();
                let by_wall = i128::from(self.lifecycle.wall_ms() - began_ms);
                let steady = (by_wall - passed.cast_signed()).abs() < 60_000
                    && self.lifecycle.clock_is_sound();
                self.write(steady && written.is_multiple_of(THIN_AFTER))
                    .await;
                written += 1;
            }
            if stopping {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Writes what has gathered. A journal that cannot be written has alerted already; the recording is no
    /// reason to alert twice.
    async fn write(&self, thin: bool) {
        let gathered = std::mem::take(&mut *lock(&self.gathered));
        let now = thin.then(|| self.lifecycle.wall_ms());
        let _ = self.durable.journal.record(gathered, now).await;
    }

    /// The recorded snapshot nearest to a time, on disk or still gathered.
    ///
    /// # Errors
    /// As all reading of the journal.
    pub async fn at(&self, at_ms: i64, side: Side) -> Result<Option<SnapshotAt>, JournalError> {
        let journal = &self.durable.journal;
        let stored = journal.recorded(at_ms, side).await?;
        let oldest = journal.recorded_span().await?.map(|(oldest, _)| oldest);
        let gathered = lock(&self.gathered).clone();
        let fits = |r: &&Recorded| match side {
            Side::Before => r.0 <= at_ms,
            Side::After => r.0 >= at_ms,
        };
        let waiting = match side {
            Side::Before => gathered.iter().rev().find(fits),
            Side::After => gathered.iter().find(fits),
        };
        let nearest = match (stored, waiting.cloned()) {
            (Some(a), Some(b)) => Some(match side {
                Side::Before if b.0 > a.0 => b,
                Side::After if b.0 < a.0 => b,
                _ => a,
            }),
            (a, b) => a.or(b),
        };
        let oldest_ms = oldest.or(gathered.first().map(|r| r.0)).unwrap_or(at_ms);
        Ok(nearest
            .and_then(|r| unpack(&r))
            .map(|(at_ms, picture)| SnapshotAt {
                at_ms,
                engine_ms: picture.started_ms,
                this_life: picture.started_ms == self.lifecycle.started_ms,
                picture: Box::new(picture),
                oldest_ms,
            }))
    }

    /// The series of a span, at most `points` of them.
    ///
    /// # Errors
    /// As all reading of the journal.
    pub async fn trends(
        &self,
        from_ms: i64,
        to_ms: i64,
        points: u32,
    ) -> Result<Trends, JournalError> {
        let journal = &self.durable.journal;
        let mut recorded = journal.recorded_between(from_ms, to_ms, points).await?;
        let newest = recorded.last().map_or(from_ms - 1, |r| r.0);
        let gathered = lock(&self.gathered).clone();
        let missing = gathered
            .into_iter()
            .filter(|r| r.0 > newest && r.0 <= to_ms);
        recorded.extend(missing);
        let made = tokio::task::spawn_blocking(move || {
            let pictures: Vec<(i64, Snapshot)> = recorded.iter().filter_map(unpack).collect();
            series(from_ms, to_ms, &pictures)
        });
        made.await.map_err(|_| JournalError::Closed)
    }
}

fn pack(picture: &Snapshot) -> Option<Vec<u8>> {
    let json = serde_json::to_vec(picture).ok()?;
    let mut packer = DeflateEncoder::new(Vec::with_capacity(4_096), Compression::fast());
    packer.write_all(&json).ok()?;
    packer.finish().ok()
}

/// A picture of another version may not be readable: then there is none.
fn unpack((at_ms, packed): &Recorded) -> Option<(i64, Snapshot)> {
    let mut json = Vec::new();
    DeflateDecoder::new(packed.as_slice())
        .take(MOST_UNPACKED)
        .read_to_end(&mut json)
        .ok()?;
    Some((*at_ms, serde_json::from_slice(&json).ok()?))
}

fn series(from_ms: i64, to_ms: i64, pictures: &[(i64, Snapshot)]) -> Trends {
    let newest = pictures.last().map(|(_, s)| s);
    let breakers: Vec<String> = newest.map_or_else(Vec::new, |s| {
        s.breakers.iter().map(|b| b.name.clone()).collect()
    });
    let pools: Vec<String> = newest.map_or_else(Vec::new, |s| {
        s.pools.iter().map(|p| p.name.clone()).collect()
    });
    let points = pictures
        .iter()
        .map(|(at_ms, s)| Point {
            at_ms: *at_ms,
            p50_us: s.added_latency.p50_us,
            p95_us: s.added_latency.p95_us,
            p99_us: s.added_latency.p99_us,
            calls: s.calls.now,
            hit_rate: s.hit_rate(),
            engine_ms: s.started_ms,
            breakers: breakers
                .iter()
                .map(|name| {
                    let breaker = s.breakers.iter().find(|b| b.name == *name);
                    breaker.map(|b| b.state)
                })
                .collect(),
            pools: pools
                .iter()
                .map(|name| {
                    let pool = s.pools.iter().find(|p| p.name == *name);
                    pool.map_or(0.0, |p| f64::from(p.in_use) / f64::from(p.allowed.max(1)))
                })
                .collect(),
            outcomes: outcomes(s),
            answered_p50_ms: s.call_history.latency.p50_ms,
            answered_p99_ms: s.call_history.latency.p99_ms,
        })
        .collect();
    let mut marks: Vec<i64> = pictures
        .iter()
        .flat_map(|(_, s)| &s.alerts)
        .filter(|a| a.text.starts_with("workspace read again") || a.text.starts_with("settings"))
        .map(|a| a.at_ms)
        .filter(|at| (from_ms..=to_ms).contains(at))
        .collect();
    marks.sort_unstable();
    marks.dedup();
    Trends {
        from_ms,
        to_ms,
        points,
        breakers,
        pools,
        marks,
        alerts: alert_marks(from_ms, to_ms, pictures),
    }
}

/// Attempts a second by outcome; `None` in a picture of a version that did not count them.
fn outcomes(s: &Snapshot) -> Option<[f64; 5]> {
    let history = &s.call_history;
    (history.bucket_s > 0).then(|| CallOutcome::ALL.map(|o| history.per_second(o)))
}

/// Bad alerts raised within the span, each time once, with the text that was recorded last.
fn alert_marks(from_ms: i64, to_ms: i64, pictures: &[(i64, Snapshot)]) -> Vec<AlertMark> {
    let mut marks = BTreeMap::new();
    let alerts = pictures.iter().flat_map(|(_, s)| &s.alerts);
    for alert in alerts.filter(|a| a.bad && !a.drill) {
        let raised = [alert.first_ms, alert.at_ms].into_iter();
        for at_ms in raised.filter(|at| (from_ms..=to_ms).contains(at)) {
            // An older version gave no ids.
            let which = if alert.id.is_empty() {
                alert.text.clone()
            } else {
                alert.id.clone()
            };
            let (code, text) = (alert.code.clone(), alert.text.clone());
            marks.insert((at_ms, which), AlertMark { at_ms, code, text });
        }
    }
    marks.into_values().collect()
}
