//! Settings and workspace while the engine runs: what is in effect, the caches they are read through, and
//! reading them again.

pub mod caches;
pub mod reload;
pub mod store;
