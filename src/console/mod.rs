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
//! engine never delays a key. [`update`](shell::update::update) does no I/O, so every behaviour is a test
//! without a terminal. `docs/console.md` says how it is built.

pub mod action;
mod action_groups;
pub mod app;
mod arguments;
pub mod component;
pub mod context;
pub mod export;
pub mod format;
mod frame_scheduler;
mod input;
pub mod keymap;
pub mod list_habits;
pub mod message;
pub mod overlays;
pub mod preferences;
pub mod route;
pub mod screens;
pub mod shell;
pub(crate) mod signals;
mod steady_cells;
pub mod terminal;
pub mod theme;
pub mod widgets;

pub use app::{Options, Redact, run};
