//! The rule packs built into the binary. A pack is a folder of `crates/bsm-review/rules/`; each file in it
//! holds one family of rules and stands in the list here.

use std::sync::{Arc, OnceLock};

use super::rules::{Pack, RuleSet, RuleWarning};

/// A pack: its name, the text of its files, and whether what it finds is a secret.
pub(super) type PackSource = (&'static str, &'static [&'static str], bool);

/// All packs.
const PACKS: &[PackSource] = &[
    (
        "secrets",
        &[
            include_str!("../rules/secrets/keys.toml"),
            include_str!("../rules/secrets/services.toml"),
            include_str!("../rules/secrets/cloud.toml"),
            include_str!("../rules/secrets/code-hosts.toml"),
            include_str!("../rules/secrets/ai.toml"),
            include_str!("../rules/secrets/payments.toml"),
            include_str!("../rules/secrets/messaging.toml"),
            include_str!("../rules/secrets/monitoring.toml"),
            include_str!("../rules/secrets/identity.toml"),
            include_str!("../rules/secrets/data.toml"),
            include_str!("../rules/secrets/business.toml"),
            include_str!("../rules/secrets/developer-tools.toml"),
            include_str!("../rules/secrets/web-data.toml"),
            include_str!("../rules/secrets/files.toml"),
            include_str!("../rules/secrets/assigned.toml"),
        ],
        true,
    ),
    (
        "security",
        &[
            include_str!("../rules/security/ci.toml"),
            include_str!("../rules/security/containers.toml"),
            include_str!("../rules/security/code.toml"),
            include_str!("../rules/security/infrastructure.toml"),
            include_str!("../rules/security/repository.toml"),
            include_str!("../rules/security/danger.toml"),
            include_str!("../rules/security/removed.toml"),
            include_str!("../rules/security/silenced.toml"),
        ],
        false,
    ),
    (
        "supply-chain",
        &[
            include_str!("../rules/supply-chain/dependencies.toml"),
            include_str!("../rules/supply-chain/sources.toml"),
            include_str!("../rules/supply-chain/hooks.toml"),
        ],
        false,
    ),
    (
        "governance",
        &[include_str!("../rules/governance/governance.toml")],
        false,
    ),
    (
        "quality",
        &[include_str!("../rules/quality/quality.toml")],
        false,
    ),
    (
        "hidden-text",
        &[include_str!("../rules/hidden-text/hidden-text.toml")],
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
        .map(|(name, texts, secrets)| {
            let mut pack = Pack::read(name, texts, *secrets, warnings);
            pack.file.mark_as_ours();
            pack
        })
        .collect()
}

/// Identifiers of gitleaks' own rules, which configurations name.
pub fn gitleaks_ids() -> impl Iterator<Item = &'static str> {
    include_str!("../rules/gitleaks-ids.txt").lines()
}

/// A hash of the packs' text.
pub fn hash() -> String {
    let text: String = PACKS
        .iter()
        .map(|(name, texts, _)| format!("{name}\n{}", texts.concat()))
        .collect();
    bsm_base::short_hash(text.as_bytes())
}

#[cfg(test)]
#[path = "packs_tests.rs"]
mod tests;
