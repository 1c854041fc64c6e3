//! Server-sent events: the parser of `bsm-wire`, which the gateway reads with as well.

pub use bsm_wire::sse::{Event, Parser, TooLarge};
