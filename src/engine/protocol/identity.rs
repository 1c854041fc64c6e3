//! What a run is about, as people know it: repository, pull request, title, author, commit, branch.
//!
//! Why beside the payload: a list shows hundreds of runs, and no face should know every shape of payload.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::filter::lowered;
use crate::text::{Untrusted, cut};

/// Most characters of a title.
const TITLE: usize = 120;
/// Most characters of every other part.
const NAME: usize = 80;
/// Characters of a commit's id that are shown.
const SHA: usize = 12;

/// What a run is about. A part that its payload does not name is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunIdentity {
    /// `owner/name` as the payload names it; of a folder or a range, the folder's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Untrusted>,
    /// The pull request's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<u64>,
    /// Its title, at most 120 characters; of a push or a range, the newest commit's subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Untrusted>,
    /// Who wrote the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Untrusted>,
    /// The first 12 characters of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_sha: Option<String>,
    /// The branch of the change; of a range, the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Untrusted>,
    /// Who started the run: `github` (a webhook), `schedule`, `console`, `cli`, `api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
}

/// Where payloads name the repository: a webhook's, the pull request of an interface, a short form of one's own.
const REPOSITORY: [&str; 4] = [
    "/repository/full_name",
    "/pull_request/base/repo/full_name",
    "/base/repo/full_name",
    "/repository",
];
/// The pull request's number.
const PULL: [&str; 5] = [
    "/pull_request/number",
    "/check_suite/pull_requests/0/number",
    "/check_run/pull_requests/0/number",
    "/check_run/check_suite/pull_requests/0/number",
    "/number",
];
/// The title.
const TITLES: [&str; 7] = [
    "/pull_request/title",
    "/issue/title",
    "/head_commit/message",
    "/check_suite/head_commit/message",
    "/merge_group/head_commit/message",
    "/release/name",
    "/title",
];
/// The author.
const AUTHORS: [&str; 9] = [
    "/pull_request/user/login",
    "/issue/user/login",
    "/head_commit/author/username",
    "/head_commit/author/name",
    "/check_suite/head_commit/author/name",
    "/user/login",
    "/author/login",
    "/author",
    "/sender/login",
];
/// The commit.
const COMMITS: [&str; 8] = [
    "/pull_request/head/sha",
    "/check_suite/head_sha",
    "/check_run/head_sha",
    "/merge_group/head_sha",
    "/head/sha",
    "/after",
    "/headRefOid",
    "/head_sha",
];
/// The branch.
const BRANCHES: [&str; 5] = [
    "/pull_request/head/ref",
    "/check_suite/head_branch",
    "/head/ref",
    "/headRefName",
    "/ref",
];

impl RunIdentity {
    /// What a payload says. `payload` is redacted already.
    pub fn of_payload(payload: &Value) -> Self {
        let text = |places: &[&str]| {
            let mut found = places.iter().filter_map(|at| payload.pointer(at)?.as_str());
            found.find(|text| !text.trim().is_empty())
        };
        let line = |places: &[&str], most: usize| {
            let first = text(places)?.trim().lines().next()?;
            Some(Untrusted::new(cut(first, most)))
        };
        let mut numbers = PULL.iter().filter_map(|at| payload.pointer(at)?.as_u64());
        Self {
            repository: line(&REPOSITORY, NAME),
            pull: numbers.next(),
            title: line(&TITLES, TITLE),
            author: line(&AUTHORS, NAME),
            head_sha: text(&COMMITS).and_then(short_sha),
            branch: line(&BRANCHES, NAME).map(|name| {
                match name.raw().strip_prefix("refs/heads/") {
                    Some(short) => Untrusted::new(short),
                    None => name,
                }
            }),
            started_by: None,
        }
    }

    /// What this one says, and where it is silent, what `other` does.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            repository: self.repository.or(other.repository),
            pull: self.pull.or(other.pull),
            title: self.title.or(other.title),
            author: self.author.or(other.author),
            head_sha: self.head_sha.or(other.head_sha),
            branch: self.branch.or(other.branch),
            started_by: self.started_by.or(other.started_by),
        }
    }

    /// `owner/name#482`, `owner/name`, `#482`; `None` where neither is known.
    pub fn place(&self) -> Option<String> {
        let number = self.pull.map(|n| format!("#{n}")).unwrap_or_default();
        match &self.repository {
            Some(repository) => Some(format!("{}{number}", repository.line(NAME))),
            None => (!number.is_empty()).then_some(number),
        }
    }
}

impl RunIdentity {
    /// A field of the filter language.
    pub(super) fn field(&self, key: &str) -> Vec<String> {
        let text = |t: &Option<Untrusted>| t.iter().map(|t| lowered(t.raw())).collect();
        match key {
            "repo" => text(&self.repository),
            "author" => text(&self.author),
            "branch" => text(&self.branch),
            "pr" => self.pull.iter().map(u64::to_string).collect(),
            "sha" => self.head_sha.iter().cloned().collect(),
            "by" => self.started_by.iter().map(|b| lowered(b)).collect(),
            _ => Vec::new(),
        }
    }
}

/// The first characters of a commit's id; `None` where it is none.
pub fn short_sha(sha: &str) -> Option<String> {
    let is_sha = (7..=64).contains(&sha.len()) && sha.bytes().all(|b| b.is_ascii_hexdigit());
    let is_null = sha.bytes().all(|b| b == b'0');
    (is_sha && !is_null).then(|| cut(sha, SHA).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Repository, title, author, commit, branch; `-` where it is not known.
    fn parts(identity: &RunIdentity) -> String {
        let texts = [
            &identity.repository,
            &identity.title,
            &identity.author,
            &identity.head_sha.clone().map(Untrusted::new),
            &identity.branch,
        ];
        let shown = texts.map(|t| t.as_ref().map_or("-".to_owned(), |t| t.raw().to_owned()));
        shown.join(" | ")
    }

    #[test]
    fn payload_of_each_known_shape_names_what_it_is_about() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        let webhook = RunIdentity::of_payload(&json!({
            "action": "opened",
            "repository": {"full_name": "acme/app"},
            "pull_request": {
                "number": 482, "title": "Retry payments on 409\nand more",
                "user": {"login": "usr"}, "head": {"sha": sha, "ref": "retry"},
            },
            "sender": {"login": "robot"},
        }));
        assert_eq!(
            parts(&webhook),
            "acme/app | Retry payments on 409 | usr | 0123456789ab | retry"
        );
        assert_eq!(webhook.place().as_deref(), Some("acme/app#482"));
        let push = RunIdentity::of_payload(&json!({
            "ref": "refs/heads/main", "after": sha, "repository": {"full_name": "acme/web"},
            "head_commit": {"message": "Bump vite\n\nbody", "author": {"name": "Bo"}},
        }));
        assert_eq!(
            parts(&push),
            "acme/web | Bump vite | Bo | 0123456789ab | main"
        );
        let own = RunIdentity::of_payload(&json!({
            "number": 7, "title": "t", "author": {"login": "anas"}, "headRefName": "b",
        }));
        assert_eq!(parts(&own), "- | t | anas | - | b");
        assert_eq!(own.place().as_deref(), Some("#7"));
    }

    #[test]
    fn payload_that_names_nothing_leaves_everything_unknown() {
        for payload in [
            json!(null),
            json!({}),
            json!({"title": "  ", "after": "0000000000", "number": "7"}),
        ] {
            let identity = RunIdentity::of_payload(&payload);
            assert_eq!(identity, RunIdentity::default(), "{payload}");
            assert_eq!(identity.place(), None);
        }
    }

    #[test]
    fn title_of_any_length_is_bounded() {
        let identity = RunIdentity::of_payload(&json!({"title": "é".repeat(10_000)}));
        assert!(identity.title.unwrap().raw().len() <= TITLE * 4);
    }
}
