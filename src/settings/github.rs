//! What comes from GitHub and what goes there, and who may approve it. Why apart: these are the settings
//! that let the engine act on a repository, so they are the user's own, never a workspace's.

use serde::{Deserialize, Serialize};

use super::github_filters::{Filters, RepositoryFilters};

/// Webhooks and publishing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GithubSettings {
    /// Where its API is.
    pub api_url: String,
    /// `owner/name`, or `owner/*`, of those whose webhooks are taken and which the token is used for. Empty: webhooks of
    /// all that know the secret are taken, and the token is used for none.
    pub repositories: Vec<String>,
    /// The variable that holds the token; without one nothing is published.
    pub token_env: String,
    /// A file that holds the token, by its absolute path; it goes before the variable, and a reload reads it again.
    pub token_file: String,
    /// The id (or client id) of a GitHub App; empty: the token is used.
    pub app_id: String,
    /// The variable that holds the app's private key, in PEM.
    pub app_key_env: String,
    /// A file that holds it, by its absolute path; it goes before the variable, and a reload reads it again.
    pub app_key_file: String,
    /// The variable that holds the webhooks' secret; without one webhooks are refused.
    pub webhook_secret_env: String,
    /// The variable that holds the secret that comes after it: both are valid, for a rotation.
    pub next_webhook_secret_env: String,
    /// A change that cannot be fetched is tried again for this long (milliseconds, counted from the webhook); its
    /// run waits meanwhile and takes no place of `engine.maxConcurrentRuns`. 0: it is tried four times.
    pub fetch_wait_ms: u64,
    /// Longest time between two of these tries, milliseconds, unless GitHub asks for a longer one.
    pub fetch_pause_ms: u64,
    /// Pull requests that are not reviewed.
    pub filters: Filters,
    /// Other filters for some repositories.
    pub repository_filters: Vec<RepositoryFilters>,
    /// What is published is written down and shown, and not sent.
    pub dry_run: bool,
    /// Milliseconds between two writes: hosts limit those that write faster.
    pub write_spacing_ms: u64,
    /// What is published.
    pub publish: Publish,
    /// Commands in comments (`/bsm …`) of people with write access are carried out.
    pub commands: bool,
    /// Replies to our remarks that a model answers, for each pull request; 0: none is answered.
    pub replies_per_pull: u32,
    /// Rules (`pack/id`, `pack/*`) whose findings no comment dismisses. Critical findings, secrets and changes of
    /// the policy itself are among them in any case.
    pub not_dismissable: Vec<String>,
}

impl Default for GithubSettings {
    fn default() -> Self {
        Self {
            api_url: "https://api.github.com".into(),
            repositories: Vec::new(),
            token_env: "GITHUB_BSU_TOKEN".into(),
            token_file: String::new(),
            app_id: String::new(),
            app_key_env: "BSM_GITHUB_APP_KEY".into(),
            app_key_file: String::new(),
            webhook_secret_env: "GITHUB_WEBHOOK_SECRET".into(),
            next_webhook_secret_env: "GITHUB_WEBHOOK_SECRET_NEXT".into(),
            fetch_wait_ms: 6 * 3_600_000,
            fetch_pause_ms: 300_000,
            filters: Filters::default(),
            repository_filters: Vec::new(),
            dry_run: false,
            write_spacing_ms: 1_000,
            publish: Publish::default(),
            commands: true,
            replies_per_pull: 10,
            not_dismissable: Vec::new(),
        }
    }
}

impl GithubSettings {
    /// Whether the token may be used for a repository.
    pub fn lists(&self, repository: &str) -> bool {
        self.repositories
            .iter()
            .any(|pattern| fits(pattern, repository))
    }

    /// The filters of a repository. An entry for it alone goes before one for its owner's; of two that are alike
    /// the later one.
    pub fn filters_of(&self, repository: &str) -> Filters {
        let mut filters = self.filters.clone();
        for is_for_all in [true, false] {
            let entries = self.repository_filters.iter();
            let fitting = entries.filter(|entry| {
                entry.repository.ends_with("/*") == is_for_all
                    && fits(&entry.repository, repository)
            });
            for entry in fitting {
                entry.put_into(&mut filters);
            }
        }
        filters
    }
}

/// Whether an entry of the list means a repository: `owner/name`, or `owner/*` for all of an owner's.
fn fits(pattern: &str, repository: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(owner) => repository
            .split_once('/')
            .is_some_and(|(its, _)| !owner.contains('*') && its.eq_ignore_ascii_case(owner)),
        None => pattern.eq_ignore_ascii_case(repository),
    }
}

/// What a run of a webhook leaves on its pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Publish {
    /// One comment, edited in place.
    pub comment: bool,
    /// A commit status; `success` only with full evidence.
    pub status: bool,
    /// Reviews: remarks on lines, and with full evidence a request for changes.
    pub review: bool,
    /// With full evidence an approving review, where the token may dismiss it again.
    pub approve: bool,
    /// A label with the decision, with full evidence only.
    pub labels: bool,
    /// The merge, with full evidence and the four reviewers' kept approval of this very commit.
    pub merge: bool,
}

impl Publish {
    /// Nothing.
    pub const NONE: Self = Self {
        comment: false,
        status: false,
        review: false,
        approve: false,
        labels: false,
        merge: false,
    };
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            comment: true,
            status: true,
            review: true,
            approve: false,
            labels: true,
            merge: false,
        }
    }
}

/// Somebody, and the variable that holds their token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamedToken {
    /// Who: an approver as the registry names them, or a program.
    pub name: String,
    /// The variable that holds their token.
    pub token_env: String,
}

/// Actions that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ApprovalSettings {
    /// What nobody decides on for this long (milliseconds) is denied.
    pub wait_ms: u64,
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        Self {
            wait_ms: 24 * 3_600_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_listed_one_by_one_or_by_their_owner() {
        let settings = GithubSettings {
            repositories: vec![
                "acme/*".into(),
                "Other/One".into(),
                "*/x".into(),
                "*/*".into(),
            ],
            ..GithubSettings::default()
        };
        for listed in ["acme/shop", "ACME/web", "other/one"] {
            assert!(settings.lists(listed), "{listed}");
        }
        for not in ["other/two", "acme", "acme2/shop", "z/x", "evil/acme"] {
            assert!(!settings.lists(not), "{not}");
        }
    }
    #[test]
    fn filters_of_one_repository_go_before_its_owners_and_those_before_all() {
        let entry = |repository: &str, drafts, usd| RepositoryFilters {
            repository: repository.into(),
            drafts,
            pull_usd: usd,
            ..RepositoryFilters::default()
        };
        let settings = GithubSettings {
            filters: Filters {
                ignore_authors: vec!["x".into()],
                ..Filters::default()
            },
            repository_filters: vec![
                entry("acme/shop", None, Some(2.0)),
                entry("acme/*", Some(true), Some(1.0)),
            ],
            ..GithubSettings::default()
        };
        let shop = settings.filters_of("Acme/Shop");
        assert_eq!((shop.drafts, shop.pull_usd), (true, 2.0));
        assert_eq!(shop.ignore_authors, ["x"]);
        assert_eq!(settings.filters_of("acme/web").pull_usd, 1.0);
        assert_eq!(settings.filters_of("other/web"), settings.filters);
    }
}
