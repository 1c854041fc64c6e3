//! Workflows that outsiders start with the repository's rights, and what these run.

use super::document::Document;
use super::expression;
use super::node::Node;
use super::remark::{Remark, remark};

/// Events that outsiders cause and that run with secrets and rights.
const FROM_OUTSIDE: [&str; 2] = ["workflow_run", "issue_comment"];

/// References to what an outsider proposes.
fn is_outside_ref(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let named = expression::all(&lower).iter().any(|found| {
        expression::contexts(found.text).iter().any(|context| {
            context == "github.head_ref"
                || (context.starts_with("github.event.")
                    && (context.contains(".head.")
                        || context.contains(".head_")
                        || context.ends_with(".merge_commit_sha")))
        })
    });
    named || lower.contains("refs/pull/")
}

pub(super) fn look(document: &Document<'_>, remarks: &mut Vec<Remark>) {
    for (name, line, _) in &document.triggers {
        if FROM_OUTSIDE.contains(&name.as_str()) {
            remarks.push(
                remark("security/workflow-outside-trigger", *line)
                    .because(format!("It is {name}.")),
            );
        }
    }
    let known = !document.triggers.is_empty();
    let outside =
        document.is_triggered_by(&["pull_request_target", "workflow_run", "issue_comment"]);
    let trigger_lines: Vec<u32> = document.triggers.iter().map(|(_, line, _)| *line).collect();
    for step in &document.steps {
        let checkout = step
            .action()
            .is_some_and(|a| a.eq_ignore_ascii_case("actions/checkout"));
        let fetched = checkout
            .then(|| {
                ["ref", "repository"]
                    .iter()
                    .find_map(|name| step.with(name))
            })
            .flatten()
            .filter(|entry| entry.node.text().is_some_and(is_outside_ref));
        let pulled = step.node.entry("run").filter(|entry| {
            entry.node.text().is_some_and(|text| {
                let fetches = ["git checkout", "git fetch", "git pull", "gh pr checkout"];
                fetches.iter().any(|f| text.contains(f))
                    && (text.contains("gh pr checkout") || is_outside_ref(text))
            })
        });
        let Some(entry) = fetched.or(pulled) else {
            continue;
        };
        // In a piece without its triggers: a workflow_run's head is known by its name.
        let by_name = !known
            && entry
                .node
                .text()
                .is_some_and(|t| t.contains("workflow_run.head") || t.contains("refs/pull/"));
        if outside || by_name {
            let mut found = remark("security/workflow-runs-outside-code", entry.line);
            found.also.extend(&trigger_lines);
            found.also.push(step.node.line);
            remarks.push(found);
        }
    }
    permissions(document, remarks);
}

/// Rights to write that every job gets.
fn permissions(document: &Document<'_>, remarks: &mut Vec<Remark>) {
    for root in document
        .roots
        .iter()
        .filter(|r| r.get("jobs").is_some() || r.get("on").is_some())
    {
        let Some(permissions) = root.get("permissions") else {
            continue;
        };
        for entry in permissions.entries() {
            if entry.node.text().map(str::trim) == Some("write") {
                let what = format!("It is {}.", entry.key);
                remarks.push(
                    remark("security/workflow-permissions-for-all", entry.line).because(what),
                );
            }
        }
    }
    for job in &document.jobs {
        for place in container_places(job) {
            let Some(credentials) = place.entry("credentials") else {
                continue;
            };
            let password = credentials
                .node
                .get("password")
                .and_then(Node::text)
                .unwrap_or_default();
            if !password.trim().is_empty() && !password.contains("${{") {
                let mut found = remark("security/workflow-fixed-credentials", credentials.line);
                found
                    .also
                    .extend(credentials.node.entries().iter().map(|e| e.line));
                remarks.push(found);
            }
        }
    }
}

/// The container of a job and its services.
pub(super) fn container_places(job: &Node) -> Vec<&Node> {
    let services = job.get("services").map(Node::entries).unwrap_or_default();
    job.get("container")
        .into_iter()
        .chain(services.iter().map(|e| &e.node))
        .collect()
}
