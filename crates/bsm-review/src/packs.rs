//! The rule packs built into the binary. A pack is a folder of `crates/bsm-review/rules/`; each file in it
//! holds one family of rules and stands in the list `rules/packs.toml`.
//!
//! Why as JSON: half a megabyte of TOML takes longer to read than all else that a start does. `build.rs` reads it
//! once, with the same code (`rule_toml.rs`).

use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use super::rule_file::{RawAllow, RawRule, RuleFile};
use super::rules::{Pack, RuleSet, RuleWarning};

/// What `build.rs` made of all packs.
const PACKS: &str = include_str!(concat!(env!("OUT_DIR"), "/packs.json"));

/// A pack as `build.rs` writes it.
#[derive(Deserialize)]
struct Built {
    name: String,
    secrets: bool,
    allowlists: Vec<RawAllow>,
    rules: Vec<RawRule>,
}

/// The names of all packs.
const NAMES: [&str; 6] = [
    "secrets",
    "security",
    "supply-chain",
    "governance",
    "quality",
    "hidden-text",
];

/// The names of all packs.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter()
}

/// All packs, read at the first use (the console draws its first frame before that).
pub fn built_in() -> &'static Arc<RuleSet> {
    static SET: OnceLock<Arc<RuleSet>> = OnceLock::new();
    SET.get_or_init(|| {
        let mut warnings = Vec::new();
        let packs = read(&mut warnings);
        Arc::new(RuleSet::compile(packs, warnings, |_| None))
    })
}

/// All packs as they are written, to be changed before they are compiled.
pub(super) fn read(warnings: &mut Vec<RuleWarning>) -> Vec<Pack> {
    let built: Vec<Built> = match serde_json::from_str(PACKS) {
        Ok(built) => built,
        Err(error) => {
            warnings.push(RuleWarning::lost("all packs", error.to_string()));
            Vec::new()
        }
    };
    let packs = built.into_iter().map(|built| {
        let mut file = RuleFile {
            allows: built.allowlists,
            ..RuleFile::default()
        };
        for rule in built.rules {
            file.add(rule);
        }
        file.mark_as_ours();
        Pack {
            name: built.name,
            file,
            secrets: built.secrets,
        }
    });
    packs.collect()
}

/// Identifiers of gitleaks' own rules, which configurations name.
pub fn gitleaks_ids() -> impl Iterator<Item = &'static str> {
    include_str!("../rules/gitleaks-ids.txt").lines()
}

/// A hash of the packs' text.
pub fn hash() -> String {
    bsm_base::short_hash(PACKS.as_bytes())
}

#[cfg(test)]
#[path = "packs_tests.rs"]
mod tests;
