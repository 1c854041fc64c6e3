//! What a workflow or an action consists of: triggers, jobs, steps, inputs.

use std::collections::BTreeSet;

use super::node::{Entry, Node, Value};

/// Which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Workflow,
    /// `action.yml`.
    Action,
}

/// What is known of a file.
#[derive(Debug)]
pub(super) struct Document<'n> {
    pub(super) kind: Kind,
    pub(super) roots: &'n [Node],
    /// Names of events with the line of each; empty where the diff does not show them.
    pub(super) triggers: Vec<(String, u32, Option<&'n Node>)>,
    pub(super) steps: Vec<Step<'n>>,
    /// Jobs, and in pieces whatever looks like one.
    pub(super) jobs: Vec<&'n Node>,
}

/// A step, or a job that calls another workflow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'n> {
    pub(super) node: &'n Node,
    /// The job that it belongs to, where it is known.
    pub(super) job: Option<&'n Node>,
}

impl<'n> Step<'n> {
    pub(super) fn uses(&self) -> Option<(&'n Entry, &'n str)> {
        let entry = self.node.entry("uses")?;
        Some((entry, entry.node.text()?.trim()))
    }

    /// The action without its version.
    pub(super) fn action(&self) -> Option<&'n str> {
        self.uses()
            .map(|(_, text)| text.split('@').next().unwrap_or(text))
    }

    pub(super) fn with(&self, name: &str) -> Option<&'n Entry> {
        self.node.get("with")?.entry(name)
    }
}

impl<'n> Document<'n> {
    pub(super) fn new(kind: Kind, roots: &'n [Node]) -> Self {
        let mut document = Self {
            kind,
            roots,
            triggers: Vec::new(),
            steps: Vec::new(),
            jobs: Vec::new(),
        };
        for root in roots {
            if let Some(on) = root.entry("on").or_else(|| root.entry("true")) {
                document.read_triggers(on);
            }
            if let Some(jobs) = root.get("jobs") {
                document.jobs.extend(jobs.entries().iter().map(|e| &e.node));
            }
        }
        let mut seen = BTreeSet::new();
        for job in document.jobs.clone() {
            document.read_steps(job, Some(job), &mut seen);
        }
        for root in roots {
            document.read_steps(root, None, &mut seen);
        }
        document
    }

    fn read_triggers(&mut self, on: &'n Entry) {
        match &on.node.value {
            Value::Scalar(scalar) => {
                self.triggers
                    .push((scalar.text.trim().to_owned(), on.node.line, None));
            }
            Value::Sequence(items) => {
                for item in items {
                    if let Some(text) = item.text() {
                        self.triggers
                            .push((text.trim().to_owned(), item.line, None));
                    }
                }
            }
            Value::Mapping(entries) => {
                for entry in entries {
                    self.triggers
                        .push((entry.key.clone(), entry.line, Some(&entry.node)));
                }
            }
            Value::Null => {}
        }
    }

    fn read_steps(
        &mut self,
        node: &'n Node,
        job: Option<&'n Node>,
        seen: &mut BTreeSet<(u32, usize)>,
    ) {
        node.walk(&mut |node| {
            let is_step = ["run", "uses"]
                .iter()
                .any(|key| node.get(key).is_some_and(|n| n.text().is_some()));
            if is_step && seen.insert((node.line, node.entries().len())) {
                self.steps.push(Step { node, job });
            }
        });
    }

    /// It is started by this event.
    pub(super) fn is_triggered_by(&self, names: &[&str]) -> bool {
        self.triggers
            .iter()
            .any(|(name, _, _)| names.contains(&name.as_str()))
    }

    /// Started by what outsiders do, with the repository's rights.
    pub(super) fn is_started_from_outside(&self) -> bool {
        self.is_triggered_by(&[
            "pull_request_target",
            "workflow_run",
            "issue_comment",
            "issues",
            "discussion",
            "discussion_comment",
            "pull_request_review",
            "pull_request_review_comment",
            "fork",
            "watch",
            "gollum",
        ])
    }

    /// Every `if` with its condition.
    pub(super) fn conditions(&self) -> Vec<&'n Entry> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for root in self.roots {
            root.walk(&mut |node| {
                if let Some(entry) = node.entry("if")
                    && seen.insert(entry.line)
                {
                    found.push(entry);
                }
            });
        }
        found
    }

    /// Inputs that can only be a number, a boolean or one of a list, in lower case.
    pub(super) fn bounded_inputs(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for root in self.roots {
            root.walk(&mut |node| {
                let Some(inputs) = node.get("inputs") else {
                    return;
                };
                for input in inputs.entries() {
                    let kind = input
                        .node
                        .get("type")
                        .and_then(Node::text)
                        .unwrap_or_default();
                    if matches!(kind.trim(), "boolean" | "number" | "choice") {
                        names.insert(input.key.to_ascii_lowercase());
                    }
                }
            });
        }
        names
    }
}
