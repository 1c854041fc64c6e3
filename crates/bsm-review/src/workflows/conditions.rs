//! Conditions that do not hold what they promise.

use super::document::Document;
use super::expression;
use super::node::Style;
use super::remark::{Remark, remark};

pub(super) fn look(document: &Document<'_>, remarks: &mut Vec<Remark>) {
    for entry in document.conditions() {
        let Some(scalar) = entry.node.scalar() else {
            continue;
        };
        let text = scalar.text.as_str();
        let found = expression::all(text);
        if is_always_true(text, &found, scalar.style) {
            remarks.push(remark(
                "security/workflow-condition-always-true",
                entry.line,
            ));
        }
        let parts: Vec<(usize, &str)> = if found.is_empty() {
            vec![(0, text)]
        } else {
            found.iter().map(|f| (f.offset, f.text)).collect()
        };
        for (offset, part) in parts {
            let line = match scalar.line_at(offset) {
                0 => entry.line,
                line => line,
            };
            if expression::compared(part)
                .iter()
                .any(|(context, literal)| is_bot_check(context, literal))
            {
                remarks.push(remark("security/workflow-bot-condition", line));
            }
            for (literal, context) in expression::literal_and_context(part, "contains") {
                if is_chosen_by_others(&context) && literal.contains([' ', ',']) {
                    let what = format!("'{context}' only has to be a part of the list.");
                    remarks.push(remark("security/workflow-contains-in-text", line).because(what));
                }
            }
        }
    }
}

/// A text with something beside the expression is never empty, so it counts as true.
fn is_always_true(text: &str, found: &[expression::Found<'_>], style: Style) -> bool {
    if style == Style::StrippedBlock {
        let text = text.trim();
        return is_always_true(text, &expression::all(text), Style::Line);
    }
    let Some(first) = found.first() else {
        return false;
    };
    let whole = found.len() == 1 && first.offset == 0 && text.len() == first.text.len() + 5;
    if whole {
        return false;
    }
    if style == Style::Block {
        // The line break at its end stays.
        return true;
    }
    let lead = &text[..first.offset];
    let end = first.offset + first.text.len() + 5;
    found.len() > 1 || !lead.is_empty() || end < text.len()
}

/// `github.actor` is who acted last, not who wrote the change.
fn is_bot_check(context: &str, literal: &str) -> bool {
    const IDS: [&str; 4] = ["49699333", "27856297", "29139614", "41898282"];
    let actor = matches!(
        context,
        "github.actor" | "github.triggering_actor" | "github.event.pull_request.sender.login"
    );
    let id = matches!(
        context,
        "github.actor_id" | "github.event.pull_request.sender.id"
    );
    (actor && literal.ends_with("[bot]")) || (id && IDS.contains(&literal))
}

fn is_chosen_by_others(context: &str) -> bool {
    matches!(
        context,
        "github.ref"
            | "github.ref_name"
            | "github.head_ref"
            | "github.base_ref"
            | "github.actor"
            | "github.triggering_actor"
            | "env.github_ref"
            | "env.github_ref_name"
            | "env.github_head_ref"
            | "env.github_actor"
    )
}
