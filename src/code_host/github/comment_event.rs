//! Comments as GitHub tells of them: on the pull request as a whole, and on one of its lines.

use serde_json::Value;

use crate::code_host::CommentEvent;
use crate::text::clean_line;

/// Longest text that is looked at, bytes.
const LONGEST: usize = 8 << 10;

/// The comment that a webhook is about; `None`: it is about none that was just written on a pull request.
pub(super) fn comment(event: &str, body: &Value) -> Option<CommentEvent> {
    let (about, is_on_line) = match event {
        // An issue has comments of the same kind; only a pull request has this entry.
        "issue_comment.created" if body.pointer("/issue/pull_request")?.is_object() => {
            (&body["issue"], false)
        }
        "pull_request_review_comment.created" => (&body["pull_request"], true),
        _ => return None,
    };
    let comment = &body["comment"];
    let author = comment["user"]["login"].as_str()?;
    let opener = about["user"]["login"].as_str();
    let by_app = comment
        .get("performed_via_github_app")
        .is_some_and(|app| !app.is_null());
    Some(CommentEvent {
        id: comment["id"].as_u64()?,
        number: about["number"].as_u64()?,
        in_reply_to: comment["in_reply_to_id"].as_u64().filter(|_| is_on_line),
        author: clean_line(author, 80),
        is_bot: by_app || comment["user"]["type"] != "User",
        by_pull_author: opener.is_some_and(|opener| opener.eq_ignore_ascii_case(author)),
        text: crate::text::cut(comment["body"].as_str()?, LONGEST).to_owned(),
        title: about["title"].as_str().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(user: &Value) -> Value {
        json!({
            "issue": {"number": 7, "title": "T", "user": {"login": "Ana"}, "pull_request": {}},
            "comment": {"id": 5, "user": user, "body": "/bsm help", "in_reply_to_id": 4},
        })
    }

    #[test]
    fn comment_of_a_person_on_a_pull_request_is_read_and_of_an_issue_not() {
        let whole = body(&json!({"login": "ana", "type": "User"}));
        let read = comment("issue_comment.created", &whole).unwrap();
        assert_eq!((read.id, read.number, read.in_reply_to), (5, 7, None));
        assert!(read.by_pull_author && !read.is_bot);
        assert_eq!(comment("issue_comment.edited", &whole), None);
        let mut issue = whole;
        issue["issue"]
            .as_object_mut()
            .unwrap()
            .remove("pull_request");
        assert_eq!(comment("issue_comment.created", &issue), None);
    }

    #[test]
    fn comment_of_a_bot_or_through_an_app_says_so() {
        let bot = body(&json!({"login": "x[bot]", "type": "Bot"}));
        assert!(comment("issue_comment.created", &bot).unwrap().is_bot);
        let mut app = body(&json!({"login": "ana", "type": "User"}));
        app["comment"]["performed_via_github_app"] = json!({"id": 1});
        assert!(comment("issue_comment.created", &app).unwrap().is_bot);
    }
}
