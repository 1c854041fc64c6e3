//! GitHub: whose webhook it is, what it says, and what is done there.
//!
//! Why apart from the engine: it holds the token that can act on a repository, and no agent does. It knows
//! nothing of runs; the engine says what is published and keeps it until it is.

mod client;
mod delivery;
mod gate;
mod signature;
mod writes;

pub use client::Github;
pub use delivery::{Delivery, is_delivery_id, is_sha, read};
pub use signature::{sign, verify};
pub(crate) use writes::remark_marker;
