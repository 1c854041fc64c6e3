//! The merge at GitHub: at once, or through the branch's merge queue.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Github, read_json};
use crate::code_host::{HostError, Pull, Written};

/// Puts a pull request at exactly this commit into the queue of its branch.
const ENQUEUE: &str = "mutation($id:ID!,$head:GitObjectID!){enqueuePullRequest(input:{pullRequestId:$id,expectedHeadOid:$head}){mergeQueueEntry{position}}}";

impl Github {
    /// Merges where the branch's rules require our gate, and either a merge queue or an up-to-date branch: then the
    /// host itself keeps a commit out that we did not approve.
    pub(super) async fn merge(&self, pull: &Pull, context: &str) -> Result<Written, HostError> {
        let base = pull.base.as_deref().unwrap_or_default();
        let mut url = self.url(&format!("repos/{}/rules/branches", pull.repository))?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(base);
        }
        let request = self.client.get(url);
        let rules = read_json(self.send_for(&pull.repository, request).await?).await?;
        let all = || rules.as_array().into_iter().flatten();
        let has_queue = all().any(|rule| rule["type"] == "merge_queue");
        if !all().any(|rule| protects(rule, context, has_queue)) {
            return Err(HostError::Refused {
                status: 422,
                message: format!(
                    "{base} does not require {context}, pinned to its app, with branches up to date or a merge queue; without that nothing is merged"
                ),
            });
        }
        if has_queue {
            return self.enqueue(pull).await;
        }
        let path = format!("repos/{}/pulls/{}/merge", pull.repository, pull.number);
        let merged = self.json(Method::PUT, &path, Some(json!({"sha": pull.head_sha})));
        match merged.await {
            Ok(_) => Ok(Written::note("merged")),
            Err(HostError::Refused {
                status: 405,
                message,
            }) => Err(HostError::NotYet(message)),
            Err(error) => Err(error),
        }
    }

    async fn enqueue(&self, pull: &Pull) -> Result<Written, HostError> {
        let path = format!("repos/{}/pulls/{}", pull.repository, pull.number);
        let about = self.json(Method::GET, &path, None).await?;
        let wanted = json!({"id": about["node_id"], "head": pull.head_sha});
        match self.graphql(pull, ENQUEUE, wanted).await {
            Ok(answer) => {
                let entry = &answer["enqueuePullRequest"]["mergeQueueEntry"];
                let at = entry["position"].as_u64();
                let at = at.map_or_else(String::new, |n| format!(", position {n}"));
                Ok(Written::note(format!("in the merge queue{at}")))
            }
            Err(HostError::Refused {
                status: 403,
                message,
            }) => judged(message),
            Err(error) => Err(error),
        }
    }
}

/// What an error of the queue means: it is there already, the token may not, or not yet.
fn judged(message: String) -> Result<Written, HostError> {
    let text = message.to_ascii_lowercase();
    if text.contains("already") && text.contains("queue") {
        return Ok(Written::note("in the merge queue already"));
    }
    let lacks_right = [
        "not accessible",
        "permission",
        "authorized",
        "must have",
        "forbidden",
    ];
    if lacks_right.iter().any(|part| text.contains(part)) {
        return Err(HostError::Refused {
            status: 403,
            message,
        });
    }
    Err(HostError::NotYet(message))
}

/// A rule of a branch that requires our gate from one app alone. Without a queue the branch must be up to date, too.
fn protects(rule: &Value, context: &str, has_queue: bool) -> bool {
    let checks = &rule["parameters"];
    let required = checks["required_status_checks"].as_array();
    rule["type"] == "required_status_checks"
        && (has_queue || checks["strict_required_status_checks_policy"] == true)
        && required
            .into_iter()
            .flatten()
            .any(|c| c["context"] == context && !c["integration_id"].is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_that_is_not_ready_is_waited_for_and_a_missing_right_is_not() {
        assert!(judged("Pull request is already in the queue".into()).is_ok());
        let wait = judged("Required status check \"ci\" is expected.".into());
        assert!(wait.unwrap_err().is_passing());
        let right = judged("Resource not accessible by integration".into());
        assert!(!right.unwrap_err().is_passing());
    }

    #[test]
    fn rule_protects_only_where_the_gate_is_pinned_and_the_branch_up_to_date_or_queued() {
        let rule = |app: Value, strict: bool| {
            json!({"type": "required_status_checks", "parameters": {
                "strict_required_status_checks_policy": strict,
                "required_status_checks": [{"context": "bsm/review (main)", "integration_id": app}],
            }})
        };
        let gate = "bsm/review (main)";
        assert!(protects(&rule(json!(1), true), gate, false));
        assert!(protects(&rule(json!(1), false), gate, true));
        assert!(!protects(&rule(json!(1), false), gate, false));
        assert!(!protects(&rule(Value::Null, true), gate, true));
        assert!(!protects(&rule(json!(1), true), "bsm/review (dev)", true));
    }
}
