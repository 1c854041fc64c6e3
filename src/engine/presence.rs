//! Who looks at the engine from outside: entered when they come, gone when they leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::core::Core;
use crate::resilience::clock::lock;

/// Most names that are kept; more lookers are let in unnamed.
const MOST: usize = 32;

/// Somebody looks, until it is dropped.
#[derive(Default)]
pub struct Presence(Option<(Arc<Core>, u64)>);

impl Presence {
    pub(super) fn new(core: &Arc<Core>, who: String) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let mut attached = lock(&core.attached);
        if attached.len() >= MOST {
            return Self(None);
        }
        attached.insert(number, who);
        drop(attached);
        core.dirty.notify_one();
        Self(Some((Arc::clone(core), number)))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some((core, number)) = &self.0 {
            lock(&core.attached).remove(number);
            core.dirty.notify_one();
        }
    }
}
