//! Text from outside that is pasted into a command or a program.

use std::collections::BTreeSet;

use super::document::{Document, Kind};
use super::expression;
use super::node::Scalar;
use super::remark::{Remark, remark};

/// Inputs of actions that are run as a program or a command.
const CODE_INPUTS: [&str; 12] = [
    "script",
    "inlinescript",
    "run",
    "cmd",
    "command",
    "commands",
    "inline",
    "code",
    "expression",
    "shell-command",
    "inline-script",
    "options",
];

/// Last parts of a context's name that hold text of an outsider's choice.
const FREE_TEXT: [&str; 24] = [
    "title",
    "body",
    "message",
    "name",
    "email",
    "ref",
    "label",
    "head_branch",
    "default_branch",
    "description",
    "page_name",
    "homepage",
    "display_title",
    "text",
    "subject",
    "summary",
    "comment",
    "content",
    "labels",
    "*",
    "topics",
    "login_name",
    "full_ref",
    "diff_hunk",
];

/// Whole objects: what is in them is pasted with them.
const OBJECTS: [&str; 9] = [
    "issue",
    "pull_request",
    "comment",
    "review",
    "discussion",
    "head_commit",
    "commits",
    "release",
    "event",
];

/// What an outsider may have written into a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Outsider,
    /// Who calls the workflow, or starts it by hand.
    Caller,
}

fn origin(context: &str, bounded: &BTreeSet<String>) -> Option<Origin> {
    let parts: Vec<&str> = context.split('.').collect();
    match parts.as_slice() {
        ["github"] => Some(Origin::Outsider),
        ["github", "head_ref" | "ref" | "ref_name"] => Some(Origin::Outsider),
        ["github", "event", "inputs", name] | ["inputs", name] => {
            (!bounded.contains(*name)).then_some(Origin::Caller)
        }
        ["inputs"] => Some(Origin::Caller),
        ["github", "event", "client_payload", ..] => Some(Origin::Caller),
        ["github", "event"] => Some(Origin::Outsider),
        ["github", "event", rest @ ..] => {
            let last = rest.last()?;
            // The base of a pull request, the repository and who sends it are named by the project or by GitHub.
            let known = rest.iter().any(|p| {
                matches!(
                    *p,
                    "base" | "repository" | "sender" | "organization" | "installation"
                )
            });
            let free = FREE_TEXT.contains(last) || OBJECTS.contains(last);
            (!known && free).then_some(Origin::Outsider)
        }
        _ => None,
    }
}

/// Looks at every command and program.
pub(super) fn look(document: &Document<'_>, remarks: &mut Vec<Remark>) {
    let bounded = document.bounded_inputs();
    let mut seen = BTreeSet::new();
    for step in &document.steps {
        let mut sinks: Vec<&Scalar> = step
            .node
            .get("run")
            .and_then(|n| n.scalar())
            .into_iter()
            .collect();
        if step.uses().is_some()
            && let Some(with) = step.node.get("with")
        {
            let code = with
                .entries()
                .iter()
                .filter(|e| CODE_INPUTS.contains(&e.key.to_ascii_lowercase().as_str()));
            sinks.extend(code.filter_map(|e| e.node.scalar()));
        }
        for scalar in sinks {
            for found in expression::all(&scalar.text) {
                for (context, at) in expression::flowing(found.text) {
                    let Some(origin) = origin(&context, &bounded) else {
                        continue;
                    };
                    let line = scalar.line_at(found.offset + 3 + at);
                    let id = match (origin, document.kind) {
                        (Origin::Outsider, _) => "security/workflow-injection",
                        (Origin::Caller, Kind::Workflow | Kind::Action) => {
                            "security/workflow-input-injection"
                        }
                    };
                    if seen.insert((id, line)) {
                        remarks.push(remark(id, line).because(format!("It is {context}.")));
                    }
                }
            }
        }
    }
}
