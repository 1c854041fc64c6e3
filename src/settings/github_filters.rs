//! Which pull requests are not reviewed, for all repositories and for some: data in the user's own settings.
//!
//! Why a filter never approves: what is left out stays without a decision, and the gate stays closed.

use serde::{Deserialize, Serialize};

/// What is left out. Patterns have `*` for any letters; capitals and small letters are the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Filters {
    /// Drafts are reviewed too.
    pub drafts: bool,
    /// Pull requests of bots are reviewed.
    pub bots: bool,
    /// Authors whose pull requests are left out.
    pub ignore_authors: Vec<String>,
    /// Titles that are left out.
    pub ignore_titles: Vec<String>,
    /// Labels that leave a pull request out.
    pub ignore_labels: Vec<String>,
    /// Paths: a change of nothing else is left out, once it was fetched.
    pub ignore_paths: Vec<String>,
    /// Branches that are reviewed for; empty: every one.
    pub only_bases: Vec<String>,
    /// The most that the reviews of one pull request may cost together, US dollars; 0: no bound.
    pub pull_usd: f64,
}

impl Default for Filters {
    fn default() -> Self {
        Self {
            drafts: false,
            bots: true,
            ignore_authors: Vec::new(),
            ignore_titles: Vec::new(),
            ignore_labels: Vec::new(),
            ignore_paths: Vec::new(),
            only_bases: Vec::new(),
            pull_usd: 0.0,
        }
    }
}

/// Other filters for some repositories. What is absent is as for all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RepositoryFilters {
    /// `owner/name`, or `owner/*`.
    pub repository: String,
    /// See [`Filters::drafts`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drafts: Option<bool>,
    /// See [`Filters::bots`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bots: Option<bool>,
    /// See [`Filters::ignore_authors`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_authors: Option<Vec<String>>,
    /// See [`Filters::ignore_titles`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_titles: Option<Vec<String>>,
    /// See [`Filters::ignore_labels`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_labels: Option<Vec<String>>,
    /// See [`Filters::ignore_paths`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_paths: Option<Vec<String>>,
    /// See [`Filters::only_bases`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_bases: Option<Vec<String>>,
    /// See [`Filters::pull_usd`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_usd: Option<f64>,
}

impl RepositoryFilters {
    /// Puts what it says over the filters for all.
    pub(super) fn put_into(&self, filters: &mut Filters) {
        fn put<T: Clone>(from: Option<&T>, to: &mut T) {
            if let Some(value) = from {
                *to = value.clone();
            }
        }
        put(self.drafts.as_ref(), &mut filters.drafts);
        put(self.bots.as_ref(), &mut filters.bots);
        put(self.ignore_authors.as_ref(), &mut filters.ignore_authors);
        put(self.ignore_titles.as_ref(), &mut filters.ignore_titles);
        put(self.ignore_labels.as_ref(), &mut filters.ignore_labels);
        put(self.ignore_paths.as_ref(), &mut filters.ignore_paths);
        put(self.only_bases.as_ref(), &mut filters.only_bases);
        put(self.pull_usd.as_ref(), &mut filters.pull_usd);
    }
}

/// Whether a text is what a pattern with `*` means, without regard to capitals. Takes time in proportion to both
/// lengths.
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_means_any_letters_by_its_star() {
        for (pattern, text) in [
            ("dependabot*", "dependabot[bot]"),
            ("*WIP*", "[wip] better words"),
            ("release/*", "release/1.2"),
            ("*", ""),
            ("a*b*c", "aXbYbZc"),
            ("docs/*.md", "docs/deep/x.md"),
        ] {
            assert!(matches_pattern(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("main", "main2"), ("a*a", "a"), ("*x", "xy"), ("", "x")] {
            assert!(!matches_pattern(pattern, text), "{pattern} {text}");
        }
    }
}
