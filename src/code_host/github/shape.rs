//! Which event a body is. The event's name comes in a header that nobody signed; the body is signed.
//!
//! Why by shape: whoever repeats a signed body under another name must not make another event of it.

use serde_json::Value;

/// Events whose body is known by its shape: none of them passes for another one.
const SHAPED: &[&str] = &[
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "check_suite",
    "check_run",
    "workflow_run",
    "workflow_job",
    "deployment",
    "deployment_status",
    "merge_group",
    "issue_comment",
    "issues",
    "push",
    "ping",
    "release",
];

/// Whether a header and a body agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    /// The body is what the header says, or neither is known here.
    Agrees,
    /// The header names an event of a shape that is not known here, and the body has that of another one.
    Odd,
    /// The header names an event that the body is not.
    Contradicts,
}

/// Compares the header's event with the body's shape.
pub(super) fn agreement(named: &str, body: &Value) -> Agreement {
    let shape = shape(body);
    match shape {
        _ if shape == Some(named) => Agreement::Agrees,
        _ if SHAPED.contains(&named) => Agreement::Contradicts,
        None => Agreement::Agrees,
        Some(_) => Agreement::Odd,
    }
}

/// Which event has a body like this. What holds another event's object as well comes before that event.
fn shape(body: &Value) -> Option<&'static str> {
    let has = |key: &str| body.get(key).is_some_and(|v| !v.is_null());
    let found = match () {
        () if has("deployment_status") => "deployment_status",
        () if has("pull_request") && has("review") => "pull_request_review",
        () if has("pull_request") && has("comment") => "pull_request_review_comment",
        () if has("pull_request") && has("thread") => "pull_request_review_thread",
        () if has("pull_request") => "pull_request",
        () if has("merge_group") => "merge_group",
        () if has("workflow_job") => "workflow_job",
        () if has("deployment") && !has("deployment_callback_url") => "deployment",
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn body_that_holds_several_objects_is_the_event_that_sends_all_of_them() {
        for (named, body) in [
            (
                "deployment_status",
                json!({"deployment_status": {}, "deployment": {}, "check_run": {}, "workflow_run": {}}),
            ),
            (
                "workflow_job",
                json!({"workflow_job": {}, "deployment": {}}),
            ),
            (
                "pull_request_review_thread",
                json!({"pull_request": {}, "thread": {}}),
            ),
            ("merge_group", json!({"merge_group": {}})),
        ] {
            assert_eq!(agreement(named, &body), Agreement::Agrees, "{named}");
        }
    }

    #[test]
    fn event_without_a_known_shape_never_contradicts() {
        let pull = json!({"pull_request": {}});
        assert_eq!(agreement("push", &pull), Agreement::Contradicts);
        assert_eq!(agreement("sub_issues", &pull), Agreement::Odd);
        assert_eq!(agreement("star", &json!({})), Agreement::Agrees);
        assert_eq!(
            agreement("pull_request", &json!({})),
            Agreement::Contradicts
        );
    }
}
