//! What a webhook says. The event's name comes in a header that nobody signed, so it must fit the body.

use serde_json::Value;

use super::comment_event::comment;
use super::shape::{Agreement, agreement};
use crate::code_host::{CommentEvent, Pull, PullState};
use crate::text::clean_line;

/// A webhook, as far as it matters here. Texts are outside text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// `pull_request.opened`, `push`, ….
    pub event: String,
    /// `opened`; of an event without one, `None`.
    pub action: Option<String>,
    /// `owner/name`.
    pub repository: Option<String>,
    /// The pull request it is about, or the merge group (number 0).
    pub pull: Option<Pull>,
    /// The pull request's title.
    pub title: Option<String>,
    /// Who opened the pull request.
    pub author: Option<String>,
    /// That is a bot.
    pub author_is_bot: bool,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// The pull request is a draft.
    pub draft: bool,
    /// Where it stands.
    pub state: PullState,
    /// Its commits are in another repository.
    pub fork: bool,
    /// The branch that it goes into was changed.
    pub base_changed: bool,
    /// The body has the shape of another event than the header says: nothing is started by it.
    pub odd: bool,
    /// The comment that was just written.
    pub comment: Option<CommentEvent>,
    /// What it means: the same again is the same. `None`: only its bytes say so.
    pub meaning: Option<String>,
}

/// `X-GitHub-Delivery`: letters, digits and dashes, at most 64.
pub fn is_delivery_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Reads a webhook whose signature was good.
///
/// # Errors
/// A sentence: why it is refused.
pub fn read(named: &str, body: &Value) -> Result<Delivery, String> {
    let is_name = (1..=64).contains(&named.len())
        && named
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !is_name {
        return Err("X-GitHub-Event names no event".into());
    }
    if !body.is_object() {
        return Err("the body is not a JSON object".into());
    }
    let agreement = agreement(named, body);
    if agreement == Agreement::Contradicts {
        return Err(format!(
            "X-GitHub-Event says {named}, and the body is not one"
        ));
    }
    let text = |at: &str| body.pointer(at).and_then(Value::as_str);
    let action = text("/action").map(|action| clean_line(action, 60));
    let event = match &action {
        Some(action) => format!("{named}.{action}"),
        None => named.to_owned(),
    };
    let repository = text("/repository/full_name")
        .filter(|name| is_repository(name))
        .map(str::to_owned);
    let pull = repository
        .as_ref()
        .and_then(|repository| pull(repository, body));
    let about = body.get("pull_request");
    let comment = comment(&event, body).filter(|_| agreement == Agreement::Agrees);
    let meaning = match (&comment, &repository) {
        (Some(comment), Some(repository)) => Some(format!("{repository}!{}+{event}", comment.id)),
        _ => meaning(&event, repository.as_deref(), pull.as_ref(), body),
    };
    let names = body.pointer("/pull_request/labels");
    let names = names.and_then(Value::as_array).into_iter().flatten();
    Ok(Delivery {
        event,
        action,
        repository,
        title: text("/pull_request/title").map(str::to_owned),
        author: text("/pull_request/user/login").map(|name| clean_line(name, 80)),
        author_is_bot: text("/pull_request/user/type") == Some("Bot"),
        labels: names
            .filter_map(|label| label["name"].as_str())
            .take(100)
            .map(|name| clean_line(name, 100))
            .collect(),
        draft: body.pointer("/pull_request/draft") == Some(&Value::Bool(true)),
        state: about.map_or(PullState::Open, state),
        fork: is_fork(body),
        base_changed: body.pointer("/changes/base").is_some_and(Value::is_object),
        odd: agreement == Agreement::Odd,
        pull,
        comment,
        meaning,
    })
}

/// The pull request or the merge group that a body names.
fn pull(repository: &str, body: &Value) -> Option<Pull> {
    let text = |places: &[&str]| places.iter().find_map(|at| body.pointer(at)?.as_str());
    let sha = |places: &[&str]| {
        let sha = text(places).filter(|sha| is_sha(sha));
        sha.map(str::to_ascii_lowercase)
    };
    let is_group = body.get("merge_group").is_some();
    let numbers = [
        "/pull_request/number",
        "/check_suite/pull_requests/0/number",
        "/check_run/pull_requests/0/number",
        "/check_run/check_suite/pull_requests/0/number",
    ];
    let number = if is_group {
        0
    } else {
        numbers.iter().find_map(|at| body.pointer(at)?.as_u64())?
    };
    let base = text(&[
        "/pull_request/base/ref",
        "/check_suite/pull_requests/0/base/ref",
        "/check_run/pull_requests/0/base/ref",
        "/check_run/check_suite/pull_requests/0/base/ref",
        "/merge_group/base_ref",
    ]);
    Some(Pull {
        repository: repository.to_owned(),
        repository_id: body.pointer("/repository/id").and_then(Value::as_u64),
        number,
        head_sha: sha(HEADS)?,
        base: base.map(|name| {
            let name = name.strip_prefix("refs/heads/").unwrap_or(name);
            clean_line(name, 200)
        }),
        base_sha: sha(&[
            "/pull_request/base/sha",
            "/check_suite/pull_requests/0/base/sha",
            "/check_run/pull_requests/0/base/sha",
            "/check_run/check_suite/pull_requests/0/base/sha",
            "/merge_group/base_sha",
        ]),
    })
}

/// Where a body names the commit it is about.
const HEADS: &[&str] = &[
    "/pull_request/head/sha",
    "/check_run/head_sha",
    "/check_suite/head_sha",
    "/merge_group/head_sha",
];

fn state(pull: &Value) -> PullState {
    match (pull["merged"].as_bool(), pull["state"].as_str()) {
        (Some(true), _) => PullState::Merged,
        (_, Some("closed")) => PullState::Closed,
        _ => PullState::Open,
    }
}

/// Its head is in another repository, or in one that is gone.
fn is_fork(body: &Value) -> bool {
    let (Some(head), Some(base)) = (
        body.pointer("/pull_request/head/repo"),
        body.pointer("/pull_request/base/repo"),
    ) else {
        return false;
    };
    head["id"] != base["id"] || head["full_name"] != base["full_name"]
}

/// What it means. A wish to review again is a new one each time.
fn meaning(
    event: &str,
    repository: Option<&str>,
    pull: Option<&Pull>,
    body: &Value,
) -> Option<String> {
    let is_wish = event.ends_with(".rerequested") || event.ends_with(".requested_action");
    let head = HEADS.iter().find_map(|at| body.pointer(at)?.as_str());
    let sha = head
        .filter(|sha| is_sha(sha) && !is_wish)?
        .to_ascii_lowercase();
    let number = pull
        .filter(|p| !p.is_merge_group())
        .map_or_else(String::new, |p| format!("#{}", p.number));
    let base = pull.and_then(|p| p.base.as_ref());
    let into = base.map_or_else(String::new, |b| format!(">{b}"));
    Some(format!("{}{number}@{sha}{into}+{event}", repository?))
}

pub(super) fn is_repository(name: &str) -> bool {
    let part = |p: &str| {
        (1..=100).contains(&p.len())
            && p != "."
            && p != ".."
            && p.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    name.split_once('/')
        .is_some_and(|(owner, name)| part(owner) && part(name))
}

/// A commit's id.
pub fn is_sha(sha: &str) -> bool {
    (40..=64).contains(&sha.len()) && sha.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn opened() -> Value {
        json!({
            "action": "opened",
            "pull_request": {"number": 7, "draft": false, "head": {"sha": "A".repeat(40)}},
            "repository": {"full_name": "acme/shop"},
        })
    }

    #[test]
    fn a_pull_request_and_what_it_means() {
        let delivery = read("pull_request", &opened()).unwrap();
        assert_eq!(delivery.event, "pull_request.opened");
        assert_eq!(delivery.pull.as_ref().unwrap().place(), "acme/shop#7");
        let sha = "a".repeat(40);
        assert_eq!(
            delivery.meaning.unwrap(),
            format!("acme/shop#7@{sha}+pull_request.opened")
        );
        assert!(!delivery.draft);
    }

    #[test]
    fn a_header_that_does_not_fit_the_body_is_refused() {
        for named in ["push", "check_suite", "issues", "pull_request_review"] {
            assert!(read(named, &opened()).is_err(), "{named}");
        }
        assert!(read("pull_request", &json!({"action": "opened"})).is_err());
        assert!(read("pull_request\n", &opened()).is_err());
        assert!(read("", &opened()).is_err());
        assert!(read("pull_request", &json!([1])).is_err());
        // An event that is not known here has a shape that is not known either.
        assert!(read("star", &json!({"action": "created"})).is_ok());
        let other = read("projects_v2_item", &opened()).unwrap();
        assert!(other.odd, "counted, and nothing is started by it");
    }

    #[test]
    fn what_the_reconciler_needs_is_read() {
        let (head, base) = ("a".repeat(40), "b".repeat(40));
        let body = json!({
            "action": "edited",
            "changes": {"base": {"ref": {"from": "develop"}}},
            "pull_request": {
                "number": 7, "title": "T", "draft": true, "state": "closed", "merged": true,
                "user": {"login": "dependabot[bot]", "type": "Bot"},
                "labels": [{"name": "wip"}, {"name": 1}],
                "head": {"sha": head, "repo": {"id": 2, "full_name": "me/shop"}},
                "base": {"sha": base, "ref": "main", "repo": {"id": 1, "full_name": "acme/shop"}},
            },
            "repository": {"id": 1, "full_name": "acme/shop"},
        });
        let read = read("pull_request", &body).unwrap();
        let pull = read.pull.clone().unwrap();
        assert_eq!(
            (pull.repository_id, pull.base.as_deref(), pull.base_sha),
            (Some(1), Some("main"), Some(base))
        );
        assert_eq!(read.action.as_deref(), Some("edited"));
        assert_eq!(read.author.as_deref(), Some("dependabot[bot]"));
        assert_eq!(read.labels, ["wip"]);
        assert_eq!(read.state, PullState::Merged);
        assert!(read.author_is_bot && read.draft && read.fork && read.base_changed);
    }

    #[test]
    fn a_merge_group_is_a_pull_without_a_number() {
        let head = "c".repeat(40);
        let body = json!({
            "action": "checks_requested",
            "merge_group": {
                "head_sha": head, "base_sha": "d".repeat(40), "base_ref": "refs/heads/main",
            },
            "repository": {"full_name": "acme/shop"},
        });
        let pull = read("merge_group", &body).unwrap().pull.unwrap();
        assert!(pull.is_merge_group());
        assert_eq!(pull.place(), "acme/shop@cccccccccccc");
        assert_eq!(pull.base.as_deref(), Some("main"));
        let old: Pull = serde_json::from_value(json!({
            "repository": "acme/shop", "number": 7, "headSha": head,
        }))
        .unwrap();
        assert_eq!((old.base_sha, old.repository_id), (None, None));
    }

    #[test]
    fn a_wish_to_review_again_is_new_each_time() {
        let body = json!({
            "action": "rerequested",
            "check_run": {
                "head_sha": "a".repeat(40),
                "pull_requests": [{"number": 7, "base": {"ref": "main", "sha": "b".repeat(40)}}],
            },
            "repository": {"full_name": "acme/shop"},
        });
        let delivery = read("check_run", &body).unwrap();
        assert_eq!(delivery.pull.unwrap().number, 7);
        assert_eq!(delivery.meaning, None);
    }

    #[test]
    fn names_that_would_leave_their_place_in_a_path_are_none() {
        for bad in [
            "acme", "a/../b", "a/b/c", "../x", "a/..", "a b/c", "a/b?c", "",
        ] {
            let mut body = opened();
            body["repository"]["full_name"] = json!(bad);
            let delivery = read("pull_request", &body).unwrap();
            assert_eq!((delivery.repository, delivery.pull), (None, None), "{bad}");
        }
        let mut body = opened();
        body["pull_request"]["head"]["sha"] = json!("main");
        assert_eq!(read("pull_request", &body).unwrap().pull, None);
    }
}
