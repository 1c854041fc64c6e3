//! GitHub: whose webhook it is, what it says, and what is done there.
//!
//! Why apart from the engine: it holds the token that can act on a repository, and no agent does. It knows
//! nothing of runs; the engine says what is published and keeps it until it is.

mod answers;
mod app;
mod app_tokens;
mod change;
mod client;
mod comment_event;
mod comments;
mod credentials;
mod delivery;
mod gate;
mod look;
mod merge;
mod patches;
mod payload;
mod shape;
mod signature;
mod writes;

pub use app::App;
pub use client::{Credentials, Github};
pub use credentials::misconfiguration;
pub use delivery::{Delivery, is_delivery_id, is_sha, read};
pub use payload::{LARGEST_BODY, json_of, kept};
pub use signature::{sign, verify};
pub(crate) use writes::remark_marker;
