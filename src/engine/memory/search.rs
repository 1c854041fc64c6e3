//! Finding past reviews that are like a text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::engine::durable::Durable;
use crate::engine::memory::index::MemoryIndex;
use crate::engine::memory::record::{added, repository};
use crate::engine::protocol::memory::{MemoryKind, MemoryStats, Similar, SimilarHit};
use crate::engine::protocol::run::Input;
use crate::journal::{JournalError, MemoryRow};
use crate::memory::Hit;
use crate::text::Untrusted;
use crate::workspace::knowledge::Document;

/// Past reviews that a prompt gets at most.
const PAST_REVIEWS: usize = 3;

/// One per engine.
pub struct MemorySearch {
    /// Where items are kept.
    pub durable: Arc<Durable>,
    /// Where they are found.
    pub index: Arc<MemoryIndex>,
}

impl MemorySearch {
    /// The `k` items most like a text, of a score of at least `least` (0 to 1).
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn similar(&self, text: &str, k: u32, least: f64) -> Result<Similar, JournalError> {
        let began = Instant::now();
        let similarity = &self.index.similarity;
        let hits = similarity.nearest(text, k.clamp(1, 100) as usize, least);
        let took_us = began.elapsed().as_micros() as u64;
        let keys = hits.iter().map(|h| h.key).collect();
        let rows = self.durable.journal.memories(keys).await?;
        let progress = similarity.progress();
        Ok(Similar {
            hits: with_rows(&hits, rows),
            total: progress.items,
            took_us,
            ready: progress.ready,
        })
    }

    /// Past reviews most like a change, as documents for a prompt; none of the run itself.
    pub async fn past_reviews(&self, run: &str, input: &Input, diff: &str) -> Vec<Document> {
        let code = added(diff);
        let hits = match self.similar(&code, 100, 0.1).await {
            Ok(found) => found.hits,
            Err(error) => {
                tracing::warn!(run, "past reviews cannot be read: {error}");
                return Vec::new();
            }
        };
        // A review of another repository must not be shown here.
        let here = serde_json::json!(repository(input));
        // The agents of one run reviewed the same code: its first review stands for all.
        let mut runs = BTreeSet::new();
        hits.into_iter()
            .filter(|h| h.run_id.as_deref() != Some(run) && h.kind == MemoryKind::CodeReview)
            .filter(|h| h.metadata["repository"] == here)
            .filter(|h| h.run_id.is_none() || runs.insert(h.run_id.clone()))
            .take(PAST_REVIEWS)
            .map(|h| Document {
                name: Untrusted::new(format!("past review {}", h.id)),
                text: Untrusted::new(format!("{}\n\nof:\n{}", h.review.raw(), h.code.raw())),
            })
            .collect()
    }

    /// How much is remembered.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn stats(&self) -> Result<MemoryStats, JournalError> {
        let counts = self.durable.journal.memory_counts().await?;
        let progress = self.index.similarity.progress();
        Ok(MemoryStats {
            reviews: counts.reviews,
            decisions: counts.decisions,
            text_bytes: counts.bytes,
            indexed: progress.items,
            index_bytes: self.index.similarity.bytes(),
            ready: progress.ready,
        })
    }
}

/// Hits with what is kept of them.
pub fn with_rows(hits: &[Hit], rows: Vec<MemoryRow>) -> Vec<SimilarHit> {
    let mut by_seq: BTreeMap<i64, MemoryRow> = rows.into_iter().map(|r| (r.seq, r)).collect();
    hits.iter()
        .filter_map(|hit| {
            let item = by_seq.remove(&hit.key)?.item;
            Some(SimilarHit {
                id: item.id,
                score: hit.score(),
                overlap: hit.overlap,
                union: hit.union,
                kind: item.kind.into(),
                code: Untrusted::new(item.code),
                review: Untrusted::new(item.review),
                metadata: item.metadata,
                created_at: item.created_ms,
                run_id: item.run,
            })
        })
        .collect()
}
