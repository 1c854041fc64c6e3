//! What a webhook says. The event's name comes in a header that nobody signed, so it must fit the body.

use serde_json::Value;

use crate::code_host::Pull;
use crate::text::clean_line;

/// A webhook, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// `pull_request.opened`, `push`, ….
    pub event: String,
    /// `owner/name`.
    pub repository: Option<String>,
    /// The pull request it is about.
    pub pull: Option<Pull>,
    /// The pull request is a draft.
    pub draft: bool,
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
        && named.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if !is_name {
        return Err("X-GitHub-Event names no event".into());
    }
    if !body.is_object() {
        return Err("the body is not a JSON object".into());
    }
    match shape(body) {
        Some(shape) if shape != named => {
            return Err(format!(
                "X-GitHub-Event says {named}, the body is a {shape}"
            ));
        }
        None if SHAPED.contains(&named) => {
            return Err(format!("X-GitHub-Event says {named}, the body is none"));
        }
        _ => {}
    }
    let action = body.get("action").and_then(Value::as_str);
    let event = match action {
        Some(action) => format!("{named}.{}", clean_line(action, 60)),
        None => named.to_owned(),
    };
    let repository = body
        .pointer("/repository/full_name")
        .and_then(Value::as_str)
        .filter(|name| is_repository(name))
        .map(str::to_owned);
    let number = body
        .pointer("/pull_request/number")
        .or_else(|| body.pointer("/check_suite/pull_requests/0/number"))
        .and_then(Value::as_u64);
    let sha = body
        .pointer("/pull_request/head/sha")
        .or_else(|| body.pointer("/check_suite/head_sha"))
        .and_then(Value::as_str)
        .filter(|sha| is_sha(sha))
        .map(str::to_ascii_lowercase);
    let base = body
        .pointer("/pull_request/base/ref")
        .and_then(Value::as_str)
        .map(|name| clean_line(name, 200));
    let pull = match (&repository, number, &sha) {
        (Some(repository), Some(number), Some(sha)) => Some(Pull {
            repository: repository.clone(),
            number,
            head_sha: sha.clone(),
            base: base.clone(),
        }),
        _ => None,
    };
    let meaning = match (&repository, &sha) {
        (Some(repository), Some(sha)) => {
            let pr = number.map_or_else(String::new, |n| format!("#{n}"));
            let into = base.as_ref().map_or_else(String::new, |b| format!(">{b}"));
            Some(format!("{repository}{pr}@{sha}{into}+{event}"))
        }
        _ => None,
    };
    let draft = body.pointer("/pull_request/draft") == Some(&Value::Bool(true));
    Ok(Delivery {
        event,
        repository,
        pull,
        draft,
        meaning,
    })
}

/// Events whose body has a shape that is known here.
const SHAPED: &[&str] = &[
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "check_suite",
    "check_run",
    "workflow_run",
    "issue_comment",
    "issues",
    "push",
    "ping",
    "release",
];

/// Which event has a body like this.
fn shape(body: &Value) -> Option<&'static str> {
    let has = |key: &str| body.get(key).is_some_and(|v| !v.is_null());
    if has("pull_request") {
        return Some(match (has("review"), has("comment")) {
            (true, _) => "pull_request_review",
            (_, true) => "pull_request_review_comment",
            _ => "pull_request",
        });
    }
    let found = match () {
        () if has("check_run") => "check_run",
        () if has("check_suite") => "check_suite",
        () if has("workflow_run") => "workflow_run",
        () if has("issue") && has("comment") => "issue_comment",
        () if has("issue") => "issues",
        () if has("commits") && has("ref") => "push",
        () if has("zen") && has("hook_id") => "ping",
        () if has("release") => "release",
        () => return None,
    };
    Some(found)
}

fn is_repository(name: &str) -> bool {
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
