//! BSM: an operations console for language-model agents.
pub mod cache;
pub mod cli;
pub mod console;
pub mod engine;
pub mod files;
pub mod journal;
pub mod model;
pub mod resilience;
pub mod review;
pub mod settings;
pub mod state;
pub mod telemetry;
pub mod text;
pub mod workspace;
