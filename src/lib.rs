//! BSM: an operations console for language-model agents.
pub mod cache;
pub mod files;
pub mod resilience;
pub mod review;
pub mod state;
pub mod telemetry;
pub mod text;
