//! Work that is repeated by wall time: a pass, then a pause until the next thing is due, a caller wakes it,
//! or the longest pause is over (the workspace may have changed, the machine may have slept).

use std::time::Duration;

use tokio::sync::Notify;

use crate::engine::lifecycle::Lifecycle;
use crate::journal::JournalError;

/// Repeats `pass` until the engine stops. Each pass returns when the next thing is due, wall time in
/// milliseconds. `what` begins the log line about a pass that failed.
pub async fn repeat<F>(
    lifecycle: &Lifecycle,
    what: &'static str,
    longest: Duration,
    wake: Option<&Notify>,
    mut pass: impl FnMut() -> F,
) where
    F: Future<Output = Result<Option<i64>, JournalError>>,
{
    loop {
        let due = match pass().await {
            Ok(due) => due,
            Err(JournalError::Closed) => return,
            Err(error) => {
                tracing::warn!("{what}: {error}");
                None
            }
        };
        let pause = due.map_or(longest, |at| {
            let ms = at.saturating_sub(lifecycle.wall_ms()).max(0);
            Duration::from_millis(ms.unsigned_abs()).min(longest)
        });
        let woken = async {
            match wake {
                Some(wake) => wake.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = lifecycle.stopping.cancelled() => return,
            () = woken => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
