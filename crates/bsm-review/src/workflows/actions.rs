//! Which actions and images a workflow uses, and what it gives them.

use super::document::{Document, Step};
use super::expression;
use super::node::{Entry, Node};
use super::remark::{Remark, remark};
use super::triggers::container_places;
use bsm_base::spelling::is_one_edit_away;

/// Actions that nearly every project knows.
const WELL_KNOWN: [&str; 34] = [
    "actions/cache",
    "actions/checkout",
    "actions/create-release",
    "actions/deploy-pages",
    "actions/download-artifact",
    "actions/github-script",
    "actions/labeler",
    "actions/setup-dotnet",
    "actions/setup-go",
    "actions/setup-java",
    "actions/setup-node",
    "actions/setup-python",
    "actions/stale",
    "actions/upload-artifact",
    "actions/upload-pages-artifact",
    "aws-actions/configure-aws-credentials",
    "azure/login",
    "codecov/codecov-action",
    "docker/build-push-action",
    "docker/login-action",
    "docker/metadata-action",
    "docker/setup-buildx-action",
    "docker/setup-qemu-action",
    "dtolnay/rust-toolchain",
    "golangci/golangci-lint-action",
    "google-github-actions/auth",
    "goreleaser/goreleaser-action",
    "gradle/actions",
    "hashicorp/setup-terraform",
    "peaceiris/actions-gh-pages",
    "pnpm/action-setup",
    "pypa/gh-action-pypi-publish",
    "ruby/setup-ruby",
    "softprops/action-gh-release",
];

pub(super) fn look(document: &Document<'_>, remarks: &mut Vec<Remark>) {
    for step in &document.steps {
        if let Some((entry, uses)) = step.uses() {
            look_at_name(entry, uses, remarks);
            look_at_app_token(step, entry, remarks);
            if uses.starts_with("docker://") && !uses.contains("@sha256:") && floats(&uses[9..]) {
                remarks.push(remark("security/workflow-unpinned-image", entry.line));
            }
        }
    }
    for job in &document.jobs {
        for place in container_places(job) {
            let image = place.get("image").unwrap_or(place);
            if let Some(text) = image.text() {
                look_at_image(text.trim(), image.line, job, remarks);
            }
        }
    }
}

/// `owner/name` of an action that is almost a well-known one, or has its name and another owner.
fn look_at_name(entry: &Entry, uses: &str, remarks: &mut Vec<Remark>) {
    let Some((name, _)) = uses.split_once('@') else {
        return;
    };
    let mut parts = name.split('/');
    let (Some(owner), Some(repository)) = (parts.next(), parts.next()) else {
        return;
    };
    let own = format!(
        "{}/{}",
        owner.to_ascii_lowercase(),
        repository.to_ascii_lowercase()
    );
    if WELL_KNOWN.contains(&own.as_str()) {
        return;
    }
    if let Some(other) = WELL_KNOWN
        .iter()
        .find(|known| is_one_edit_away(&own, known))
    {
        let what = format!("It looks like {other}.");
        remarks.push(remark("security/workflow-look-alike-action", entry.line).because(what));
    } else if let Some(other) = WELL_KNOWN.iter().find(|known| {
        let (known_owner, known_name) = known.split_once('/').unwrap_or_default();
        matches!(known_owner, "actions" | "docker") && own.ends_with(&format!("/{known_name}"))
    }) {
        let what = format!("{other} has the same name and another owner.");
        remarks.push(remark("security/workflow-action-of-stranger", entry.line).because(what));
    }
}

/// Tokens of GitHub apps that are wider or live longer than needed.
fn look_at_app_token(step: &Step<'_>, entry: &Entry, remarks: &mut Vec<Remark>) {
    const ID: &str = "security/workflow-app-token";
    if !step
        .action()
        .is_some_and(|a| a.eq_ignore_ascii_case("actions/create-github-app-token"))
    {
        return;
    }
    if let Some(skip) = step.with("skip-token-revoke")
        && skip.node.text().is_some_and(|t| t.trim() != "false")
    {
        remarks
            .push(remark(ID, skip.line).because("The token is not revoked at the end.".to_owned()));
    }
    let inputs = step.node.get("with").map(Node::entries).unwrap_or_default();
    let permissions: Vec<&str> = inputs
        .iter()
        .filter_map(|e| e.key.strip_prefix("permission-"))
        .collect();
    let of_repositories = permissions
        .iter()
        .any(|p| !p.starts_with("organization-") && *p != "members");
    if let Some(owner) = step.with("owner")
        && step.with("repositories").is_none()
        && (permissions.is_empty() || of_repositories)
    {
        let what = "It reaches every repository of the owner.".to_owned();
        remarks.push(remark(ID, owner.line).because(what));
    }
    if permissions.is_empty() {
        let what = "It has every permission of the app.".to_owned();
        remarks.push(remark(ID, entry.line).because(what));
    }
}

/// An image without a tag, or with one that moves by design.
fn floats(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn look_at_image(image: &str, line: u32, job: &Node, remarks: &mut Vec<Remark>) {
    const ID: &str = "security/workflow-unpinned-image";
    if image.is_empty() || image.contains("@sha256:") {
        return;
    }
    let found = expression::all(image);
    if found.is_empty() {
        if floats(image) {
            remarks.push(remark(ID, line));
        }
        return;
    }
    for part in found {
        let named = expression::contexts(part.text);
        let of_matrix: Vec<&str> = named
            .iter()
            .filter_map(|c| c.strip_prefix("matrix."))
            .collect();
        let outside = named
            .iter()
            .any(|c| c.starts_with("inputs.") || c.starts_with("vars."));
        let floating = of_matrix.iter().any(|key| {
            matrix_values(job, key)
                .iter()
                .any(|v| (v.is_empty() || floats(v)) && !v.contains("@sha256:"))
        });
        if outside || floating {
            remarks.push(remark(ID, line));
        }
    }
}

/// What a key of the job's matrix may be.
fn matrix_values<'n>(job: &'n Node, key: &str) -> Vec<&'n str> {
    let Some(matrix) = job.get("strategy").and_then(|s| s.get("matrix")) else {
        return Vec::new();
    };
    let mut values = Vec::new();
    matrix.walk(&mut |node| {
        if let Some(found) = node.get(key) {
            values.extend(found.text());
            values.extend(found.items().iter().filter_map(Node::text));
        }
    });
    values
}
