//! Health: one judge over facts. A pure function, so that every face says the same and a test says everything.
//!
//! Unknown is not healthy: what was not looked at yet is a warning.

pub mod code;
mod configuration;
pub mod facts;
mod finding;
mod providers;
pub mod since;
mod storage;
mod work;

use self::code::CHECKS;
use self::facts::Facts;
pub use self::finding::Finding;
use self::finding::Findings;
use crate::engine::protocol::health::{Check, Level};
use crate::engine::protocol::snapshot::{Health, Snapshot};

/// Everything that is not as it should be, the worst first.
pub fn judge(snapshot: &Snapshot, facts: &Facts) -> Vec<Finding> {
    let mut found = Findings::default();
    storage::judge(facts, &mut found);
    providers::judge(snapshot, &mut found);
    work::judge(snapshot, facts, &mut found);
    configuration::judge(snapshot, facts, &mut found);
    // Stable: within a level the order above stays, since a header has room for one.
    found.0.sort_by_key(|f| std::cmp::Reverse(f.level));
    found.0
}

/// What is wrong with disks alone, for whoever looks without an engine.
pub fn disk_findings(disks: &[facts::Disk]) -> Vec<Finding> {
    let mut found = Findings::default();
    for disk in disks {
        storage::judge_disk(disk, &mut found);
    }
    found.0
}

/// Every check with the worst of its reasons.
pub fn checks(findings: &[Finding]) -> Vec<Check> {
    let level = |name: &str| {
        let of = findings.iter().filter(|f| f.code.check() == name);
        of.map(|f| f.level).max().unwrap_or_default()
    };
    CHECKS
        .into_iter()
        .map(|name| Check {
            name: name.to_owned(),
            level: level(name),
        })
        .collect()
}

/// The whole in the word that clients know.
pub fn word(findings: &[Finding]) -> Health {
    match findings.iter().map(|f| f.level).max().unwrap_or_default() {
        Level::Pass => Health::Healthy,
        Level::Warn => Health::Degraded,
        Level::Fail => Health::Unhealthy,
    }
}
