//! What is measured: latencies, rates, resources; and the log files.
//!
//! Why a room of its own: every number on a screen comes from here or from the piece that owns it,
//! and every number names its window. Latency series are kept apart by what they time, because the
//! time a provider takes says nothing about the time this program adds.

pub mod availability;
pub mod call_history;
pub mod call_outcome;
pub mod disk_space;
pub mod latency;
pub mod log_files;
pub mod log_folder;
pub mod log_read;
pub mod provider_meter;
pub mod rate;
pub mod resources;
pub mod slots;
