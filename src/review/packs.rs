//! The rule packs built into the binary. A pack is a file in `assets/rules/` and a line here.

use std::sync::{Arc, OnceLock};

use super::rules::RuleSet;

/// Name, rules, and whether what it finds is a secret.
const PACKS: &[(&str, &str, bool)] = &[
    (
        "secrets",
        include_str!("../../assets/rules/secrets.toml"),
        true,
    ),
    (
        "security",
        include_str!("../../assets/rules/security.toml"),
        false,
    ),
    (
        "governance",
        include_str!("../../assets/rules/governance.toml"),
        false,
    ),
    (
        "quality",
        include_str!("../../assets/rules/quality.toml"),
        false,
    ),
    (
        "hidden-text",
        include_str!("../../assets/rules/hidden-text.toml"),
        false,
    ),
];

/// The names of all packs.
pub fn names() -> impl Iterator<Item = &'static str> {
    PACKS.iter().map(|(name, _, _)| *name)
}

/// All packs, compiled at the first use (the console draws its first frame before that).
pub fn built_in() -> &'static Arc<RuleSet> {
    static SET: OnceLock<Arc<RuleSet>> = OnceLock::new();
    SET.get_or_init(|| Arc::new(RuleSet::load(PACKS)))
}

/// A hash of the packs' text: a resumed run says so when the rules have changed since its intake.
pub fn hash() -> String {
    let text: String = PACKS
        .iter()
        .map(|(name, text, _)| format!("{name}\n{text}"))
        .collect();
    crate::state::short_hash(text.as_bytes())
}
