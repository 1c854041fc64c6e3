//! What a caller of the cache gets: a value, a load to wait for, or a load to carry out.

use crate::entry::Found;
use crate::single_flight::LoadReceiver;
use std::sync::Arc;
use std::time::Duration;

/// How a get goes on after it has looked.
pub(crate) enum JoinOutcome<V, E> {
    /// Another's flight has landed since it looked.
    Landed(Found<V, E>),
    /// Wait for this receiver; true: it is this caller's own flight.
    Wait(LoadReceiver<V, E>, bool),
    /// A failed load was too short a while ago: the old value, and its age.
    Rests(Arc<V>, Duration),
}
