//! What comes from GitHub and what goes there, and who may approve it. Why apart: these are the settings
//! that let the engine act on a repository, so they are the user's own, never a workspace's.

use serde::{Deserialize, Serialize};

/// Webhooks and publishing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GithubSettings {
    /// Where its API is.
    pub api_url: String,
    /// `owner/name` of those whose webhooks are taken and which the token is used for. Empty: webhooks of
    /// all that know the secret are taken, and the token is used for none.
    pub repositories: Vec<String>,
    /// The variable that holds the token; without one nothing is published.
    pub token_env: String,
    /// The variable that holds the webhooks' secret; without one webhooks are refused.
    pub webhook_secret_env: String,
    /// The variable that holds the secret that comes after it: both are valid, for a rotation.
    pub next_webhook_secret_env: String,
    /// What is published is written down and shown, and not sent.
    pub dry_run: bool,
    /// Milliseconds between two writes: hosts limit those that write faster.
    pub write_spacing_ms: u64,
    /// What is published.
    pub publish: Publish,
}

impl Default for GithubSettings {
    fn default() -> Self {
        Self {
            api_url: "https://api.github.com".into(),
            repositories: Vec::new(),
            token_env: "GITHUB_BSU_TOKEN".into(),
            webhook_secret_env: "GITHUB_WEBHOOK_SECRET".into(),
            next_webhook_secret_env: "GITHUB_WEBHOOK_SECRET_NEXT".into(),
            dry_run: false,
            write_spacing_ms: 1_000,
            publish: Publish::default(),
        }
    }
}

impl GithubSettings {
    /// Whether the token may be used for a repository.
    pub fn lists(&self, repository: &str) -> bool {
        self.repositories
            .iter()
            .any(|r| r.eq_ignore_ascii_case(repository))
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
