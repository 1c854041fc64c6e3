//! Work that comes round by wall time: a pass, then rest until the next thing is due, somebody calls, or the
//! longest rest is over (the workspace may have changed, the machine may have slept).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::core::Core;
use crate::journal::JournalError;

/// Passes until the engine stops. Each says when the next thing is due, wall time in milliseconds.
pub(super) async fn again_and_again<F>(
    core: Arc<Core>,
    what: &'static str,
    longest: Duration,
    call: fn(&Core) -> Option<&Notify>,
    pass: impl Fn(Arc<Core>) -> F,
) where
    F: Future<Output = Result<Option<i64>, JournalError>>,
{
    loop {
        let due = match pass(Arc::clone(&core)).await {
            Ok(due) => due,
            Err(JournalError::Closed) => return,
            Err(error) => {
                tracing::warn!("{what}: {error}");
                None
            }
        };
        let rest = due.map_or(longest, |at| {
            let ms = at.saturating_sub(core.clock.wall_ms()).max(0);
            Duration::from_millis(ms.unsigned_abs()).min(longest)
        });
        let called = async {
            match call(&core) {
                Some(call) => call.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = core.stopping.cancelled() => return,
            () = called => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}
