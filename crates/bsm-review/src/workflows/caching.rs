//! Caches in workflows that publish: what a cheaper job put into the cache is then shipped.

use super::document::{Document, Step};
use super::node::Node;
use super::remark::{Remark, remark};

/// How an action's cache is switched.
#[derive(Debug, Clone, Copy)]
enum Switch {
    /// It cannot be switched off.
    Always,
    /// On unless this input is false.
    OnUnlessFalse(&'static str),
    /// On unless this input is true.
    OnUnlessTrue(&'static str),
    /// Off unless this input says something else than false.
    OffUnless(&'static str),
}

/// Actions that restore caches.
const ACTIONS: &[(&str, Switch)] = &[
    ("actions/cache", Switch::OnUnlessTrue("lookup-only")),
    ("swatinem/rust-cache", Switch::OnUnlessTrue("lookup-only")),
    ("mozilla-actions/sccache-action", Switch::Always),
    ("determinatesystems/magic-nix-cache-action", Switch::Always),
    ("nix-community/cache-nix-action", Switch::Always),
    ("leafwing-studios/cargo-cache", Switch::Always),
    ("astral-sh/setup-uv", Switch::OnUnlessFalse("enable-cache")),
    ("actions/setup-go", Switch::OnUnlessFalse("cache")),
    ("actions/setup-python", Switch::OffUnless("cache")),
    ("actions/setup-java", Switch::OffUnless("cache")),
    ("actions/setup-dotnet", Switch::OffUnless("cache")),
    ("pnpm/action-setup", Switch::OffUnless("cache")),
    ("ruby/setup-ruby", Switch::OffUnless("bundler-cache")),
    ("pyo3/maturin-action", Switch::OffUnless("sccache")),
    (
        "ramsey/composer-install",
        Switch::OnUnlessTrue("ignore-cache"),
    ),
    (
        "docker/setup-buildx-action",
        Switch::OnUnlessFalse("cache-binary"),
    ),
    (
        "golangci/golangci-lint-action",
        Switch::OnUnlessTrue("skip-cache"),
    ),
    (
        "gradle/actions/setup-gradle",
        Switch::OnUnlessTrue("cache-disabled"),
    ),
    ("mlugg/setup-zig", Switch::OnUnlessFalse("use-cache")),
    ("oven-sh/setup-bun", Switch::OnUnlessTrue("no-cache")),
    (
        "actions-rust-lang/setup-rust-toolchain",
        Switch::OnUnlessFalse("cache"),
    ),
    ("moonrepo/setup-rust", Switch::OnUnlessFalse("cache")),
    ("jdx/mise-action", Switch::OnUnlessFalse("cache")),
    ("bazel-contrib/setup-bazel", Switch::OffUnless("disk-cache")),
];

/// Actions that publish.
const PUBLISHERS: [&str; 14] = [
    "pypa/gh-action-pypi-publish",
    "softprops/action-gh-release",
    "goreleaser/goreleaser-action",
    "js-devtools/npm-publish",
    "rubygems/release-gem",
    "ncipollo/release-action",
    "actions/create-release",
    "svenstaro/upload-release-action",
    "docker/build-push-action",
    "redhat-actions/push-to-registry",
    "peaceiris/actions-gh-pages",
    "cycjimmy/semantic-release-action",
    "changesets/action",
    "katyo/publish-crates",
];

/// Commands that publish.
const PUBLISHING: [&str; 10] = [
    "npm publish",
    "yarn publish",
    "pnpm publish",
    "cargo publish",
    "twine upload",
    "gem push",
    "nuget push",
    "uv publish",
    "poetry publish",
    "docker push",
];

pub(super) fn look(
    document: &Document<'_>,
    comment: &dyn Fn(u32) -> String,
    remarks: &mut Vec<Remark>,
) {
    let releases = is_release(document);
    for step in &document.steps {
        let Some((entry, _)) = step.uses() else {
            continue;
        };
        let publishes = releases
            || document
                .steps
                .iter()
                .any(|other| same_job(step, other) && is_publisher(other));
        if publishes && restores_cache(document, step, &comment(entry.line)) {
            let mut found = remark("security/workflow-cache-poisoning", entry.line);
            found
                .also
                .extend(document.triggers.iter().map(|(_, line, _)| *line));
            found.also.push(step.node.line);
            remarks.push(found);
        }
    }
}

fn same_job(a: &Step<'_>, b: &Step<'_>) -> bool {
    match (a.job, b.job) {
        (Some(a), Some(b)) => std::ptr::eq(a, b),
        _ => false,
    }
}

/// Started by a release, a tag or a branch of releases.
fn is_release(document: &Document<'_>) -> bool {
    document
        .triggers
        .iter()
        .any(|(name, _, node)| match name.as_str() {
            "release" => true,
            "push" => node.is_some_and(|node| node.get("tags").is_some() || names_release(node)),
            _ => false,
        })
}

/// Its branches are named after releases.
fn names_release(push: &Node) -> bool {
    let branches = push.get("branches").map(Node::items).unwrap_or_default();
    branches.iter().any(|b| {
        b.text()
            .is_some_and(|t| t.to_ascii_lowercase().contains("release"))
    })
}

fn has_release_branch(document: &Document<'_>) -> bool {
    let named = |(name, _, node): &(String, u32, Option<&Node>)| {
        name == "push" && node.is_some_and(names_release)
    };
    document.triggers.iter().any(named)
}

fn is_publisher(step: &Step<'_>) -> bool {
    let action = step.action().map(str::to_ascii_lowercase);
    let by_action = action.is_some_and(|a| {
        PUBLISHERS.contains(&a.as_str())
            && (a != "docker/build-push-action"
                || step
                    .with("push")
                    .is_some_and(|e| e.node.text().is_some_and(|t| t.trim() != "false")))
    });
    let by_command = step
        .node
        .get("run")
        .and_then(|n| n.text())
        .is_some_and(|text| {
            PUBLISHING.iter().any(|p| text.contains(p)) && !text.contains("--dry-run")
        });
    by_action || by_command
}

fn restores_cache(document: &Document<'_>, step: &Step<'_>, comment: &str) -> bool {
    let Some(action) = step.action().map(str::to_ascii_lowercase) else {
        return false;
    };
    let input = |name: &str| {
        step.with(name)
            .and_then(|e| e.node.text())
            .map(|t| t.trim().to_ascii_lowercase())
    };
    let tag = || {
        step.uses()
            .and_then(|(_, uses)| uses.split_once('@'))
            .and_then(|(_, v)| major(v))
    };
    let version = major(comment).or_else(tag);
    // What switches the cache off for tags does so for every release, unless a branch is one, too.
    let off_for_tags = |value: &str| {
        value.contains("${{")
            && value.contains('!')
            && (value.contains("refs/tags/") || value.contains("ref_type"))
            && !has_release_branch(document)
    };
    if action == "actions/setup-node" {
        let named = input("cache").is_some_and(|c| !c.is_empty() && c != "false");
        let by_default = version.is_some_and(|v| v >= 5)
            && input("package-manager-cache").as_deref() != Some("false");
        return named || by_default;
    }
    if action == "astral-sh/setup-uv" && version.is_some_and(|v| v >= 10) {
        return input("enable-cache").is_some_and(|v| !matches!(v.as_str(), "false" | "auto"));
    }
    let Some((_, switch)) = ACTIONS.iter().find(|(name, _)| *name == action) else {
        return false;
    };
    match switch {
        Switch::Always => true,
        Switch::OnUnlessFalse(name) => input(name).as_deref() != Some("false"),
        Switch::OnUnlessTrue(name) => {
            !input(name).is_some_and(|v| matches!(v.as_str(), "true" | "yes" | "1"))
        }
        Switch::OffUnless(name) => {
            input(name).is_some_and(|v| !matches!(v.as_str(), "" | "false") && !off_for_tags(&v))
        }
    }
}

/// The first number of a version: `# v6.1.0`, `v4`.
fn major(text: &str) -> Option<u32> {
    let at = text.find('v')?;
    let digits: String = text[at + 1..]
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}
