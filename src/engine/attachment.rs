//! Consoles in other processes that look at this engine: entered when they attach, removed when they leave.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::engine::notifier::Notifier;
use crate::resilience::clock::lock;

/// Most names that are kept; more consoles attach unnamed.
const MOST: usize = 32;

/// Who is attached.
pub struct Attachments {
    notifier: Arc<Notifier>,
    next: AtomicU64,
    names: Mutex<BTreeMap<u64, String>>,
}

impl Attachments {
    /// Nobody.
    pub fn new(notifier: Arc<Notifier>) -> Arc<Self> {
        Arc::new(Self {
            notifier,
            next: AtomicU64::new(0),
            names: Mutex::default(),
        })
    }

    /// Enters `name` until the result is dropped.
    pub fn attach(self: &Arc<Self>, name: String) -> Attachment {
        let number = self.next.fetch_add(1, Relaxed);
        {
            let mut names = lock(&self.names);
            if names.len() >= MOST {
                return Attachment(None);
            }
            names.insert(number, name);
        }
        self.notifier.mark_changed();
        Attachment(Some((Arc::clone(self), number)))
    }

    /// Whose consoles they are, each person once, in the order in which they came.
    pub fn people(&self) -> Vec<String> {
        let mut people: Vec<String> = Vec::new();
        for name in lock(&self.names).values() {
            if !people.contains(name) {
                people.push(name.clone());
            }
        }
        people
    }
}

/// A console is attached until this is dropped.
#[derive(Default)]
pub struct Attachment(Option<(Arc<Attachments>, u64)>);

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Some((attachments, number)) = &self.0 {
            lock(&attachments.names).remove(number);
            attachments.notifier.mark_changed();
        }
    }
}
