//! One load, many waiters: the load runs in its own task, so no caller's fate is another's.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::LoadError;

/// What every waiter of a flight holds.
pub(super) type Landing<V, E> = watch::Receiver<Option<Result<Arc<V>, LoadError<E>>>>;
type Sender<V, E> = watch::Sender<Option<Result<Arc<V>, LoadError<E>>>>;

/// A load on its way; its number tells it from a later one for the same key.
pub(super) struct Flight<V, E> {
    pub(super) id: u64,
    pub(super) landing: Landing<V, E>,
}

impl<V, E> Flight<V, E> {
    pub(super) fn new(id: u64) -> (Self, Sender<V, E>) {
        let (sender, landing) = watch::channel(None);
        (Self { id, landing }, sender)
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
    let abort = task.abort_handle();
    match tokio::time::timeout(limit, task).await {
        Ok(Ok(Ok(value))) => Ok(Arc::new(value)),
        Ok(Ok(Err(error))) => Err(LoadError::Failed(Arc::new(error))),
        Ok(Err(_)) => Err(LoadError::Panicked),
        Err(_) => {
            abort.abort();
            Err(LoadError::TimedOut(limit))
        }
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
