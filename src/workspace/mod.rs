//! What people wrote on disk: agents, registry, events, models, knowledge.
//!
//! Why data: a workspace comes from a repository, and a repository may be hostile. Loading it opens
//! only plain files beneath its folder and runs nothing; one broken file takes out itself and is
//! reported with line and column; what could reach outside (addresses, key names, headers) waits for
//! the operator's trust.

pub mod agent;
pub mod built_in;
pub mod built_in_agents;
pub mod check;
mod contents;
pub mod deployments;
pub mod event_match;
pub mod event_names;
pub mod events;
pub mod groups;
pub mod init;
pub mod knowledge;
mod load;
pub mod models;
pub mod policy_files;
mod problem;
pub mod registry;
pub mod schedule;
pub mod trust;
pub mod watch;
mod yaml_file;
pub mod yaml_position;

pub use self::contents::Workspace;
pub use self::problem::{Level, Problem};
pub(crate) use self::yaml_file::too_deep;
pub use self::yaml_file::{LARGEST_FILE, without_values};

#[cfg(test)]
#[path = "workspace_tests.rs"]
mod tests;
