//! A diff or a folder in, findings out, with no network and no key.
//!
//! Why it stands alone: this is what the program is worth offline, and what no model may overrule.
//! [`diff`] reads any git or unified diff in bounded memory; [`rules`] holds packs in gitleaks' TOML
//! format; [`scan`] runs the packs over pieces and redacts what they hold; [`checks`] looks at the
//! change as a whole; [`folder`] looks at a repository instead; [`verdict`] turns findings and a
//! model's answer into one verdict.

pub mod checks;
pub mod diff;
mod diff_names;
pub mod finding;
pub mod folder;
pub mod git;
mod masking;
pub mod packs;
pub mod redact;
pub mod rules;
pub mod scan;
pub mod verdict;
