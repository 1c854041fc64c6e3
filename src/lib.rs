//! BSM: an operations console for language-model agents. This page is the map of its modules.
//!
//! ```text
//!  cli          one file per command; the only code that prints
//!  ─────────────────────────────────────────────────────────── faces: use engine::Operator and engine::protocol
//!  console      the terminal
//!  api          HTTP: the same commands and queries, snapshots as a stream, metrics; and its client
//!  ─────────────────────────────────────────────────────────── the engine
//!  engine       event → decision → report; commands in, snapshots and events out
//!  ─────────────────────────────────────────────────────────── what the engine uses
//!  drill        what the resilience layers promise, tested against a simulator of its own
//!  model        calling a language model: providers, the service in front of them, the simulator
//!  code_host    webhooks verified and understood, and what is published on a pull request
//!  journal      SQLite: runs, steps, webhooks, publications, memory; one writer thread
//!  settings     files, environment, flags → one validated value
//!  workspace    what people wrote: agents, registry, events, models, knowledge; trust
//!  telemetry    latencies, rates, resources, log files
//!  outbound     what may be dialled, and every HTTP client
//!  state        the private state directory and its lock
//!  filter       the filter language of all lists
//!  ─────────────────────────────────────────────────────────── packages of their own, under crates/
//!  review       bsm-review: a diff or a folder in, findings out; redaction, verdicts
//!  resilience   bsm-resilience: breaker, bulkhead, limiter, retry, deadline, and the policy that stacks them
//!  memory       bsm-similarity: the exact nearest by words among millions of past reviews
//!  cache        bsm-cache: single flight, stale-while-revalidate, invalidation that a late load cannot undo
//!  files, text  bsm-base: files named by data, opened beneath a directory handle; outside text and its cleaner
//! ```
//!
//! A module uses its own layer and those below. `cargo xtask graph` fails on an arrow upward and on a circle of
//! files.

pub mod api;
pub mod cli;
pub mod code_host;
pub mod console;
pub mod drill;
pub mod engine;
pub mod filter;
pub mod journal;
pub mod model;
pub mod outbound;
pub mod settings;
pub mod state;
pub mod telemetry;
pub mod workspace;

pub use bsm_base::{file_set, files, text};
pub use bsm_cache as cache;
pub use bsm_resilience as resilience;
pub use bsm_review as review;
pub use bsm_similarity as memory;
