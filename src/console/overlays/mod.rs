//! Dialogs that lie over a screen, one file each.

pub mod chat;
pub mod choice;
pub mod columns;
pub mod costs;
pub mod decide;
pub mod drill;
pub mod filter;
pub mod help;
pub mod palette;
pub mod quit;
pub mod run_form;
pub mod search;
pub mod text;
pub mod typed_confirm;
mod typing;
pub mod why;
