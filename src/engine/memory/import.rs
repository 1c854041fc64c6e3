//! Importing and exporting what is remembered.

use std::sync::Arc;

use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::memory::index::MemoryIndex;
use crate::engine::memory::record::REVIEW;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::command::Refused;
use crate::engine::protocol::memory::MemoryItem;
use crate::journal::{MemoryRow, NewMemory};
use crate::memory::cut;
use crate::review::redact::Redactor;
use crate::text::{Untrusted, clean_block, clean_line};

/// One per engine.
pub struct MemoryImport {
    /// Clock.
    pub lifecycle: Arc<Lifecycle>,
    /// The snapshot's signal.
    pub notifier: Arc<Notifier>,
    /// The redactor.
    pub store: Arc<ConfigStore>,
    /// Where items are kept.
    pub durable: Arc<Durable>,
    /// Where they are found.
    pub index: Arc<MemoryIndex>,
}

impl MemoryImport {
    /// Remembers items, redacted; returns how many.
    ///
    /// # Errors
    /// An item cannot be used (then none is remembered), or the journal cannot be written.
    pub async fn import(&self, items: Vec<MemoryItem>) -> Result<usize, Refused> {
        let redactor = self.store.redactor();
        let now_ms = self.lifecycle.wall_ms();
        let new = items
            .into_iter()
            .map(|item| read_item(item, now_ms, Some(&redactor)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Refused::input)?;
        let numbers = self
            .durable
            .journal
            .remember(new.clone())
            .await
            .map_err(Refused::input)?;
        for (item, number) in new.iter().zip(&numbers) {
            self.index.insert(item, *number);
        }
        self.notifier.mark_changed();
        Ok(numbers.len())
    }

    /// Forgets one item.
    ///
    /// # Errors
    /// There is none of that id, or the journal cannot be written.
    pub async fn forget(&self, id: &str) -> Result<(), Refused> {
        let gone = self.durable.journal.forget(id).await?;
        let number = gone.ok_or_else(|| Refused::not_found("memory", id))?;
        self.index.remove(number);
        self.notifier.mark_changed();
        Ok(())
    }
}

/// An imported item as it is kept.
///
/// # Errors
/// A sentence.
pub fn read_item(
    item: MemoryItem,
    now_ms: i64,
    redactor: Option<&Redactor>,
) -> Result<NewMemory, String> {
    // The whole of it first, and then its part: half a secret looks like none.
    let redact = |text: &str| redactor.map_or_else(|| text.to_owned(), |r| r.text(text));
    let created_ms = match &item.created_at {
        None | Some(serde_json::Value::Null) => now_ms,
        Some(serde_json::Value::Number(n)) => n.as_i64().ok_or("createdAt is no whole number")?,
        Some(serde_json::Value::String(text)) => text
            .parse::<jiff::Timestamp>()
            .map_err(|_| "createdAt is no time (RFC 3339)")?
            .as_millisecond(),
        Some(_) => return Err("createdAt is a time or milliseconds".into()),
    };
    let metadata = match item.metadata {
        serde_json::Value::Null => serde_json::json!({}),
        object @ serde_json::Value::Object(_) => match redactor {
            Some(redactor) => redactor.json(&object),
            None => object,
        },
        _ => return Err("metadata is no object".into()),
    };
    let id = match item.id {
        Some(id) if (1..=200).contains(&id.len()) => clean_line(&id, 200),
        Some(_) => return Err("an id has 1 to 200 bytes".into()),
        // Those that come together lie together: at random every one would touch another page.
        None => format!("mem_{now_ms:011x}{:013x}", fastrand::u64(..) >> 12),
    };
    Ok(NewMemory {
        id,
        kind: item.kind.into(),
        code: cut(&redact(item.code.raw())).to_owned(),
        review: clean_block(crate::text::cut(&redact(item.review.raw()), REVIEW), REVIEW),
        metadata,
        created_ms,
        run: None,
    })
}

/// An item as it is exported.
pub fn exported(row: MemoryRow) -> MemoryItem {
    MemoryItem {
        kind: row.item.kind.into(),
        id: Some(row.item.id),
        code: Untrusted::new(row.item.code),
        review: Untrusted::new(row.item.review),
        metadata: row.item.metadata,
        created_at: Some(row.item.created_ms.into()),
    }
}
