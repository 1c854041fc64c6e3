//! The HTTP face: the same commands, queries and pictures as the keys, over TCP and a private socket.
//!
//! Why over the trait alone: what a key can do, a request can do, and neither knows more than the other.
//! Closed by default: without an admin token nothing that changes the engine is served over TCP; the
//! owner's socket (0600, its peer's user checked) needs none.

mod address;
pub mod client;
mod error;
mod event_buffer;
mod extract;
mod gateway_paths;
mod guesses;
mod listen;
mod merge_patch;
mod middleware;
mod openapi;
mod owner_socket;
mod paths;
mod places;
mod rate_limit;
mod request;
mod routes;
mod server;
mod snapshot_stream;
mod state;
mod trusted_proxies;

pub use self::server::{ApiError, Face};
pub use self::state::ApiConfig;
