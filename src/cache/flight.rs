//! One load, many waiters: the load runs in its own task, so no caller's fate is another's.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::LoadError;

/// What every waiter of a flight holds.
pub(super) type Landing<V, E> = watch::Receiver<Option<Result<Arc<V>, LoadError<E>>>>;
pub(super) type Tower<V, E> = watch::Sender<Option<Result<Arc<V>, LoadError<E>>>>;

/// A load on its way; its number tells it from a later one for the same key. It holds the sending end, so
/// that the receivers are the waiters and nobody else.
pub(super) struct Flight<V, E> {
    pub(super) id: u64,
    pub(super) tower: Arc<Tower<V, E>>,
}

impl<V, E> Flight<V, E> {
    pub(super) fn new(id: u64) -> (Self, Landing<V, E>) {
        let (tower, landing) = watch::channel(None);
        (
            Self {
                id,
                tower: Arc::new(tower),
            },
            landing,
        )
    }
}

/// Ends a task when it is dropped.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a load, containing panics and hangs.
pub(super) async fn fly<V, E, F, Fut>(load: F, limit: Duration) -> Result<Arc<V>, LoadError<E>>
where
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
{
    let task = tokio::spawn(async move { load().await });
    // Given up in whatever way, the load ends with this future.
    let _guard = AbortOnDrop(task.abort_handle());
    match tokio::time::timeout(limit, task).await {
        Ok(Ok(Ok(value))) => Ok(Arc::new(value)),
        Ok(Ok(Err(error))) => Err(LoadError::Failed(Arc::new(error))),
        Ok(Err(_)) => Err(LoadError::Panicked),
        Err(_) => Err(LoadError::TimedOut(limit)),
    }
}

/// Waits for a flight to land.
pub(super) async fn wait<V, E>(mut landing: Landing<V, E>) -> Result<Arc<V>, LoadError<E>> {
    match landing.wait_for(Option::is_some).await {
        Ok(result) => match &*result {
            Some(Ok(value)) => Ok(Arc::clone(value)),
            Some(Err(error)) => Err(error.clone()),
            None => Err(LoadError::Panicked),
        },
        // The task died without a word: the runtime is shutting down.
        Err(_) => Err(LoadError::Panicked),
    }
}
