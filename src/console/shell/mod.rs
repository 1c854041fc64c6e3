//! What holds the screens together: where the operator is, what each message does, the frame around a screen.

mod actions;
mod confirmations;
mod engine_messages;
pub mod exporting;
mod follow_up;
mod header;
mod keys_here;
mod navigation;
pub mod state;
mod toasts;
mod typed_commands;
pub mod update;
pub mod view;
