//! BSM: an operations console for language-model agents. This page is the map of its modules.
//!
//! ```text
//!  cli          one file a command; the only room that prints
//!  ─────────────────────────────────────────────────────────── faces: know the trait engine::Operator only
//!  console      the terminal
//!  api          HTTP: the same commands and queries, pictures as a stream, metrics; and its client
//!  ─────────────────────────────────────────────────────────── the engine
//!  engine       intake → run → step → decision → report; commands in, pictures and events out
//!  settings     files, environment, flags → one validated value
//!  ─────────────────────────────────────────────────────────── what the engine uses
//!  drill        what the resilience core promises, tried out against a simulator of its own
//!  model        calling a language model: providers, the service in front of them, the simulator
//!  github       webhooks verified and understood, and what is done on a pull request
//!  journal      SQLite: runs, steps, webhooks, outbox, memory; one writer thread
//!  ─────────────────────────────────────────────────────────── ground
//!  workspace    what people wrote: agents, registry, events, models, knowledge; trust
//!  telemetry    latencies, rates, resources, log files
//!  outbound     the one way out: what may be dialled, and every client
//!  state        private state and its lock
//!  filter       the filter language of all lists
//!  ─────────────────────────────────────────────────────────── packages of their own, under crates/
//!  review       bsm-review: a diff or a folder in, findings out; redaction, verdicts
//!  resilience   bsm-resilience: breaker, bulkhead, limiter, retry, deadline, and the policy that stacks them
//!  memory       bsm-similarity: the exact nearest by words among millions of past reviews
//!  cache        bsm-cache: single flight, stale-while-revalidate, invalidation that a late load cannot undo
//!  files, text  bsm-base: files named by data, opened beneath a directory handle; outside text and its one cleaner
//! ```
//!
//! A room knows the rooms below it, nothing above or beside it. An event enters at the top, goes down one
//! floor at a time, and comes back as a decision, a report and a snapshot.

pub mod api;
pub mod cli;
pub mod console;
pub mod drill;
pub mod engine;
pub mod filter;
pub mod github;
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
