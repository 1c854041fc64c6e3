//! What a caller of the cache gets: a value, a load to wait for, or a load to carry out.

use crate::entry::Found;
use crate::flight::Landing;
use std::sync::Arc;
use std::time::Duration;

/// How a get goes on after it has looked.
pub(crate) enum Way<V, E> {
    /// Another's flight has landed since it looked.
    Landed(Found<V, E>),
    /// Wait for this landing; true: it is this caller's own flight.
    Wait(Landing<V, E>, bool),
    /// A failed load was too short a while ago: the old value, and its age.
    Rests(Arc<V>, Duration),
}
