//! Tells when a workspace's files change.
//!
//! Why notify and a pause: editors write a file in several steps, and one reload a quarter of a second
//! after the last of them is enough.

use std::path::Path;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// How long the files must be quiet before a reload.
pub const QUIET: Duration = Duration::from_millis(250);

/// Watches a workspace; dropped, it stops.
pub struct WorkspaceWatcher {
    _watcher: RecommendedWatcher,
    changes: mpsc::Receiver<()>,
}

impl WorkspaceWatcher {
    /// Starts watching `root`'s policy files and knowledge.
    ///
    /// # Errors
    /// When the system cannot watch (no more watches, no such folder): say so and go on without.
    pub fn start(root: &Path) -> Result<Self, notify::Error> {
        let (sender, changes) = mpsc::channel(1);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                let matters = match event {
                    Ok(event) => !matches!(event.kind, EventKind::Access(_)),
                    Err(_) => true,
                };
                if matters {
                    // One waiting change is enough; a full channel means that it is there.
                    let _ = sender.try_send(());
                }
            })?;
        for folder in ["agents", "data/agents", "data/knowledge"] {
            let path = root.join(folder);
            if path.is_dir() {
                watcher.watch(&path, RecursiveMode::NonRecursive)?;
            }
        }
        watcher.watch(root, RecursiveMode::NonRecursive)?;
        Ok(Self {
            _watcher: watcher,
            changes,
        })
    }

    /// Waits for the next change and until the files are quiet; false when watching ended.
    pub async fn changed(&mut self) -> bool {
        if self.changes.recv().await.is_none() {
            return false;
        }
        while let Ok(Some(())) = tokio::time::timeout(QUIET, self.changes.recv()).await {}
        true
    }
}
