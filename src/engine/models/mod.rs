//! Models as the engine uses them: chat, gateway, prompts, what they say while they say it, what they cost.

pub mod access;
pub mod call_log;
pub mod chat;
pub mod cost_ledger;
pub mod gateway;
pub mod pause_watch;
pub mod prompt;
pub mod stream_events;
