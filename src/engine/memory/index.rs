//! The similarity index over what the journal remembers: filled at the start, kept up to date, thinned.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::journal::{JournalError, NewMemory, Remembered, Retention};
use crate::memory::{Memory, Word, words};

/// Items prepared before they go into the index together.
const BATCH: usize = 2_048;

/// One per engine.
pub struct MemoryIndex {
    lifecycle: Arc<Lifecycle>,
    notifier: Arc<Notifier>,
    durable: Arc<Durable>,
    /// Answers what is like a text.
    pub similarity: Memory,
}

impl MemoryIndex {
    /// An empty index; `fills`: [`Self::fill`] follows.
    pub fn new(
        lifecycle: Arc<Lifecycle>,
        notifier: Arc<Notifier>,
        durable: Arc<Durable>,
        fills: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            lifecycle,
            notifier,
            durable,
            similarity: Memory::new(fills),
        })
    }

    /// Enters an item that is on disk; `number`: its row, and the row that it replaced.
    pub fn insert(&self, item: &NewMemory, number: Remembered) {
        let (row, replaced) = number;
        if let Some(old) = replaced {
            self.similarity.remove(old);
        }
        self.similarity.insert(row, item.created_ms, &item.code);
    }

    /// Removes the item of a row.
    pub fn remove(&self, row: i64) {
        self.similarity.remove(row);
    }

    /// Fills the index from the journal, on a thread of its own; it answers meanwhile.
    pub fn fill(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let work = move || {
            let began = Instant::now();
            match this.fill_from_journal() {
                Ok(items) => {
                    this.similarity.filled();
                    let ms = began.elapsed().as_millis() as u64;
                    tracing::info!(items, ms, "memory is ready");
                }
                Err(error) => this
                    .notifier
                    .alert(true, format!("memory could not be read: {error}")),
            }
            this.notifier.mark_changed();
        };
        let _ = std::thread::Builder::new()
            .name("bsm-memory".into())
            .spawn(work);
    }

    fn fill_from_journal(&self) -> Result<u64, JournalError> {
        let seed = self.similarity.seed();
        // One thread reads and takes apart, another enters: twice as soon ready where there are two processors.
        let (sender, receiver) = std::sync::mpsc::sync_channel::<Vec<(i64, i64, Vec<Word>)>>(4);
        std::thread::scope(|scope| {
            let enter = scope.spawn(|| {
                let mut items = 0;
                for batch in receiver {
                    items += batch.len() as u64;
                    self.similarity.fill(&batch);
                }
                items
            });
            let mut batch = Vec::with_capacity(BATCH);
            let read = self.durable.journal.scan_memory(|seq, created_ms, text| {
                let mut found = Vec::new();
                words(text, seed, &mut found);
                batch.push((seq, created_ms, found));
                if batch.len() == BATCH {
                    let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                    return sender.send(full).is_ok() && !self.lifecycle.is_stopping();
                }
                true
            });
            let _ = sender.send(batch);
            drop(sender);
            let items = enter.join().unwrap_or(0);
            read.map(|()| items)
        })
    }

    /// Removes what is beyond its bounds.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn retain(&self, keep: Retention) -> Result<(), JournalError> {
        let gone = self.durable.journal.retain_memory(keep).await?;
        for row in &gone {
            self.similarity.remove(*row);
        }
        if !gone.is_empty() {
            tracing::info!(items = gone.len(), "forgotten by age, number or size");
            self.notifier.mark_changed();
        }
        Ok(())
    }

    /// Builds the index anew where most of it is of items that were removed.
    pub fn rebuild_if_wasteful(self: &Arc<Self>) {
        if self.similarity.is_wasteful() && self.similarity.begin_again() {
            self.fill();
        }
    }
}
