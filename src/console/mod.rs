//! The console: what an operator sees and presses, over the trait `Operator` and nothing else.
//!
//! ```text
//!  keys, resize, signals ─────────┐
//!  engine snapshots (watch) ──────┤            ┌─► Effect ─► task ─► Message
//!  engine events (bounded) ───────┼─► Message ─► update(&mut State)
//!  answers to effects ────────────┤            └─► dirty ─► pace ─► view::draw(&State)
//!  timer (only while needed) ─────┘
//! ```
//!
//! It has its own OS thread and runtime: a terminal that blocks stalls nothing but itself, and a busy
//! engine never delays a key. [`update`] does no I/O, so every behaviour is a test without a terminal.

pub mod action;
mod actions;
pub mod app;
pub mod chat;
mod confirmations;
mod engine_messages;
pub mod export;
pub mod follow_up;
pub mod format;
mod frame_scheduler;
pub mod inbox;
pub mod keymap;
pub mod message;
mod navigation;
mod open_views;
mod overlay_keys;
mod overlay_state;
pub mod preferences;
mod run_form;
mod selection;
pub(crate) mod signals;
pub mod state;
pub mod terminal;
pub mod theme;
mod timeline;
mod toasts;
pub mod update;
pub mod view;

pub use app::{Options, Redact, run};
