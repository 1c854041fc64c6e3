//! Integration tests in one binary: one link instead of thirteen. Those that need a process of their own
//! (`alloc`, `kill`) stand beside it.

#[path = "../support/mod.rs"]
mod support;

mod api;
mod attacks;
mod changes;
mod ci;
mod ci_publish;
mod cli;
mod commands;
mod comments;
mod console;
mod console_answers;
mod console_commands;
mod console_overview;
mod console_panels;
mod console_pictures;
mod console_runs;
mod console_scenes;
mod console_stories;
mod console_tables;
mod console_time;
mod drills;
mod egress;
mod engine;
mod forge;
mod gateway;
mod github;
mod health;
mod impact;
mod journal;
mod memory;
mod models;
mod named_commands;
mod policy;
mod retention;
mod runs;
mod storm;
mod terminal;
mod webhooks;
