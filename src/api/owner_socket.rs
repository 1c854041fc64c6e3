//! The owner's socket: bound privately, and made again when somebody deletes it.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::listen::{Listener, serve};
use crate::engine::Operator;

/// Between two looks whether it is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Binds the owner's socket: 0600 from its first moment (the process's umask), in a 0700 folder. Whoever
/// holds the state directory's lock may remove what a dead engine left; nothing but a socket is removed.
///
/// # Errors
/// Something else is in its place, another engine listens there, or the system's own.
pub(crate) fn bind_private(path: &Path) -> std::io::Result<UnixListener> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(std::io::Error::other(
                "something else than a socket is in its place",
            ));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(std::io::Error::from(std::io::ErrorKind::AddrInUse));
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A socket that is served, and made again while it is missing.
pub(super) struct OwnerSocket {
    pub(super) path: PathBuf,
    pub(super) operator: Arc<dyn Operator>,
    pub(super) routes: Router,
    pub(super) bounds: (usize, Duration),
    pub(super) stopping: CancellationToken,
}

impl OwnerSocket {
    /// Serves until it is stopped, then lets requests under way end.
    pub(super) async fn keep(self, listener: UnixListener) {
        // Dropped with this task: none of them outlives it.
        let mut served = JoinSet::new();
        let mut accepting = self.serve(&mut served, listener);
        let mut ours = self.found();
        let mut refused = false;
        loop {
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => break,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if self.found() == ours {
                continue;
            }
            match bind_private(&self.path) {
                Ok(listener) => {
                    tracing::warn!("the owner's socket was deleted; it was made again");
                    // Who is connected stays so; nobody new can come to the old one.
                    accepting.cancel();
                    accepting = self.serve(&mut served, listener);
                    ours = self.found();
                    refused = false;
                }
                Err(error) if !refused => {
                    refused = true;
                    tracing::warn!("the owner's socket is gone and cannot be made again: {error}");
                }
                Err(_) => {}
            }
        }
        while served.join_next().await.is_some() {}
    }

    fn serve(&self, served: &mut JoinSet<()>, listener: UnixListener) -> CancellationToken {
        self.operator.watch_file(&self.path);
        let until = self.stopping.child_token();
        served.spawn(serve(
            Listener::Unix(listener),
            self.routes.clone(),
            self.bounds,
            until.clone(),
        ));
        until
    }

    /// Device and inode of what is at its path.
    fn found(&self) -> Option<(u64, u64)> {
        let meta = std::fs::symlink_metadata(&self.path).ok()?;
        Some((meta.dev(), meta.ino()))
    }
}
