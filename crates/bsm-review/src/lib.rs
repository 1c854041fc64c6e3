//! A diff or a folder in, findings out, with no network and no key.
//!
//! Why it stands alone: this is what the program is worth offline, and what no model may overrule.
//! [`diff`] reads any diff in bounded memory; [`rules`] matches what [`packs`] and the workspace's own
//! [`policy`] hold (files in gitleaks' form); [`scan`] runs them over pieces and redacts what they hold;
//! `structural_checks`, `commits` and `dependencies` look at the shape of a change, its messages and what it builds on;
//! `inline_suppressions` and [`baseline`] list accepted findings; [`linters`] reads what other tools found; [`folder`]
//! looks at a repository instead of a change; [`verdict`] turns findings and a model's answer into one
//! verdict.

mod allowlist;
mod assignments;
pub mod baseline;
pub mod budget;
pub mod changed_lines;
pub mod commit_message;
pub mod commit_scan;
pub mod commits;
mod decoding;
mod dependencies;
pub mod diff;
pub mod documentation;
mod encoding;
mod entropy;
pub mod explain;
pub mod finding;
pub mod folder;
pub mod git;
mod hits;
mod hunk_redaction;
mod hunk_views;
pub mod images;
mod inline_suppressions;
mod known_secrets;
mod languages;
pub mod linters;
pub mod packs;
mod path_pattern;
mod pattern;
mod percent;
mod placeholders;
pub mod policy;
mod prefilter;
pub mod prepared_text;
pub mod quality;
mod re2;
pub mod redact;
mod regions;
pub mod remark;
mod replaced_checks;
pub mod rule;
mod rule_file;
mod rule_pattern;
mod rule_toml;
pub mod rules;
pub mod scan;
pub mod structural_checks;
pub mod verdict;
mod workflows;
