//! How much of each class the rules find, as it was measured: data for reports.
//!
//! Why said in every report: "no findings" means little without it.

use std::sync::LazyLock;

use serde::Deserialize;

/// One class and one corpus.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measured {
    /// What kind of danger.
    pub class: String,
    /// How many of a hundred are found.
    pub found_percent: u8,
    /// On what it was measured.
    pub corpus: String,
}

#[derive(Deserialize)]
struct File {
    measured: Vec<Measured>,
}

/// All of it, as `crates/bsm-review/rules/measured.toml` has it.
pub fn measured() -> &'static [Measured] {
    static MEASURED: LazyLock<Vec<Measured>> = LazyLock::new(|| {
        let text = include_str!("../rules/measured.toml");
        toml::from_str::<File>(text).map_or_else(|_| Vec::new(), |f| f.measured)
    });
    &MEASURED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_classes_are_read_and_none_claims_all() {
        assert!(measured().len() >= 3);
        assert!(
            measured()
                .iter()
                .all(|m| m.found_percent < 100 && !m.corpus.is_empty())
        );
    }
}
