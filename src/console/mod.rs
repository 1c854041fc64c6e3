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
pub mod app;
pub mod export;
mod form;
pub mod format;
mod going;
mod heard;
pub mod inbox;
pub mod keymap;
mod lists;
pub mod message;
mod notes;
mod open_views;
mod overlay_keys;
mod overlay_state;
mod pace;
mod past;
mod perform;
pub mod preview;
mod questions;
pub mod remembered;
pub mod state;
pub mod talk;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;

pub use app::{Options, Redact, run};
