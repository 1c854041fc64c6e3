//! The rule packs built into the binary. A pack is a file in `crates/bsm-review/rules/` and a line here.

use std::sync::{Arc, OnceLock};

use super::rules::{Pack, RuleSet, RuleWarning};

/// Name, rules, and whether what it finds is a secret.
const PACKS: &[(&str, &str, bool)] = &[
    ("secrets", include_str!("../rules/secrets.toml"), true),
    ("security", include_str!("../rules/security.toml"), false),
    (
        "supply-chain",
        include_str!("../rules/supply-chain.toml"),
        false,
    ),
    (
        "governance",
        include_str!("../rules/governance.toml"),
        false,
    ),
    ("quality", include_str!("../rules/quality.toml"), false),
    (
        "hidden-text",
        include_str!("../rules/hidden-text.toml"),
        false,
    ),
];

/// The names of all packs.
pub fn names() -> impl Iterator<Item = &'static str> {
    PACKS.iter().map(|(name, _, _)| *name)
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
    PACKS
        .iter()
        .map(|(name, text, secrets)| {
            let mut pack = Pack::read(name, text, *secrets, warnings);
            pack.file.mark_as_ours();
            pack
        })
        .collect()
}

/// A hash of the packs' text.
pub fn hash() -> String {
    let text: String = PACKS
        .iter()
        .map(|(name, text, _)| format!("{name}\n{text}"))
        .collect();
    bsm_base::short_hash(text.as_bytes())
}

#[cfg(test)]
#[path = "packs_tests.rs"]
mod tests;
