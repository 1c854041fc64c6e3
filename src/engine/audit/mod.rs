//! The audit trail: every command, who sent it, when, and what came of it. One JSON line each, chained by hashes,
//! so that a line that was changed or taken out is found ([`verify`]).

mod chain;
mod command_line;
mod trail;
mod writer;

pub use chain::{Broken, Verified, expire, files, first_at, verify};
pub use command_line::CommandLine;
pub use trail::AuditLine;
pub use writer::Audit;
