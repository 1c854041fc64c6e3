//! The gate on a commit of GitHub: a check run where the token is an app's, else a commit status.
//!
//! Why both: only apps can make check runs, and only a check run can be pinned to who made it.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Github;
use crate::code_host::{HostError, LineComment, Publication, Pull, Written};
use crate::text::clean_block;

/// Annotations of one request, as GitHub has it.
const ANNOTATIONS: usize = 50;
/// Longest text of an annotation, characters.
const MESSAGE: usize = 2_000;

impl Github {
    /// Sets the gate.
    pub(super) async fn gate(
        &self,
        pull: &Pull,
        publication: &Publication,
    ) -> Result<Written, HostError> {
        let Publication::Status {
            state,
            description,
            context,
            commit,
            check,
            annotations,
        } = publication
        else {
            return Ok(Written::default());
        };
        let commit = if commit.is_empty() {
            &pull.head_sha
        } else {
            commit
        };
        if self.is_app() {
            let wanted = check_run(context, commit, (state, description));
            match self.check(pull, *check, wanted, annotations).await {
                // An installation may lack the right for checks alone.
                Err(HostError::Refused {
                    status: 403 | 404, ..
                }) => {}
                done => return done,
            }
        }
        let path = format!("repos/{}/statuses/{commit}", pull.repository);
        let body = json!({"state": state, "description": description, "context": context});
        self.json(Method::POST, &path, Some(body)).await?;
        Ok(Written::note(format!("status {state}")))
    }

    async fn check(
        &self,
        pull: &Pull,
        known: Option<u64>,
        wanted: Value,
        annotations: &[LineComment],
    ) -> Result<Written, HostError> {
        let all = format!("repos/{}/check-runs", pull.repository);
        let mut parts = annotations.chunks(ANNOTATIONS);
        let first = with_annotations(wanted.clone(), parts.next().unwrap_or_default());
        let edited = match known {
            Some(id) => {
                let one = format!("{all}/{id}");
                match self.json(Method::PATCH, &one, Some(first.clone())).await {
                    Ok(_) => Some(id),
                    Err(HostError::Refused { status: 404, .. }) => None,
                    Err(error) => return Err(error),
                }
            }
            None => None,
        };
        let id = match edited {
            Some(id) => id,
            None => {
                let made = self.json(Method::POST, &all, Some(first)).await?;
                made["id"].as_u64().unwrap_or(0)
            }
        };
        for part in parts {
            let more = with_annotations(wanted.clone(), part);
            self.json(Method::PATCH, &format!("{all}/{id}"), Some(more))
                .await?;
        }
        Ok(Written {
            id: Some(id),
            ..Written::note(format!("check run {id}"))
        })
    }
}

/// A check run. None is `neutral`: a branch that requires it would let that pass.
fn check_run(context: &str, commit: &str, (state, description): (&str, &str)) -> Value {
    let mut run = json!({
        "name": context,
        "head_sha": commit,
        "output": {"title": description, "summary": description},
    });
    // A person must look, and nothing goes on by itself.
    let waits = state == "pending" && description.starts_with("manual_review");
    let conclusion = match state {
        "success" => "success",
        "failure" => "failure",
        "error" => "failure",
        _ if waits => "action_required",
        _ => {
            run["status"] = json!("in_progress");
            return run;
        }
    };
    run["status"] = json!("completed");
    run["conclusion"] = json!(conclusion);
    run
}

fn with_annotations(mut run: Value, annotations: &[LineComment]) -> Value {
    let all: Vec<Value> = annotations
        .iter()
        .map(|remark| {
            // The first line is the marker by which a comment is found again.
            let text = remark.body.split_once('\n').map_or("", |(_, text)| text);
            json!({
                "path": remark.path,
                "start_line": remark.line,
                "end_line": remark.line,
                "annotation_level": "warning",
                "message": clean_block(text, MESSAGE),
            })
        })
        .collect();
    run["output"]["annotations"] = all.into();
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_run_never_concludes_so_that_a_branch_lets_it_pass_unless_it_is_a_success() {
        for (state, description, status, conclusion) in [
            (
                "success",
                "approve_and_merge (full): x",
                "completed",
                json!("success"),
            ),
            (
                "failure",
                "block_pr (full): x",
                "completed",
                json!("failure"),
            ),
            ("error", "no decision", "completed", json!("failure")),
            (
                "pending",
                "manual_review (full): x",
                "completed",
                json!("action_required"),
            ),
            ("pending", "under review", "in_progress", Value::Null),
        ] {
            let run = check_run("bsm/review (main)", "aaaa", (state, description));
            assert_eq!(run["status"], status, "{state}");
            assert_eq!(run["conclusion"], conclusion, "{state} {description}");
        }
    }
}
