//! What a workflow does with its secrets and with its environment.

use super::document::{Document, Kind, Step};
use super::expression;
use super::node::{Node, Scalar, Value};
use super::remark::{Remark, remark};

pub(super) fn look(document: &Document<'_>, remarks: &mut Vec<Remark>) {
    for root in document.roots {
        root.walk(&mut |node| {
            if let Value::Scalar(scalar) = &node.value {
                look_at_text(scalar, remarks);
            }
            insecure_commands(node, remarks);
        });
    }
    for step in &document.steps {
        sent_away(step, remarks);
        environment_file(document, step, remarks);
        kept_credentials(step, remarks);
    }
}

/// All secrets at once, and parts of a secret, which are not masked in logs.
fn look_at_text(scalar: &Scalar, remarks: &mut Vec<Remark>) {
    for found in expression::all(&scalar.text) {
        let line = scalar.line_at(found.offset);
        let flowing = expression::flowing(found.text);
        let calls = expression::calls(found.text);
        let called = |name: &str| calls.iter().any(|c| c == name);
        if called("tojson") && flowing.iter().any(|(c, _)| c == "secrets") {
            remarks.push(remark("security/workflow-all-secrets", line));
        } else if called("fromjson") && flowing.iter().any(|(c, _)| c.starts_with("secrets.")) {
            remarks.push(remark("security/workflow-secret-unmasked", line));
        } else if flowing
            .iter()
            .any(|(c, _)| c == "secrets.*" || c.starts_with("secrets.*."))
        {
            remarks.push(remark("security/workflow-all-secrets", line));
        }
    }
}

/// A secret in the address or the data of a request in a command.
fn sent_away(step: &Step<'_>, remarks: &mut Vec<Remark>) {
    let Some(scalar) = step.node.get("run").and_then(Node::scalar) else {
        return;
    };
    let secret_names: Vec<&str> = step
        .node
        .get("env")
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .filter(|e| e.node.text().is_some_and(|t| t.contains("secrets")))
        .map(|e| e.key.as_str())
        .collect();
    let mut offset = 0;
    for text in scalar.text.split('\n') {
        let lower = text.to_ascii_lowercase();
        let address = lower.find("http://").or_else(|| lower.find("https://"));
        if let Some(at) = address
            && ["curl", "wget", "fetch", "invoke-"]
                .iter()
                .any(|c| lower.contains(c))
        {
            let end = text[at..]
                .find([' ', '"', '\''])
                .map_or(text.len(), |e| at + e);
            // Inside an expression there are blanks.
            let address = if text[at..end].contains("${{") {
                &text[at..]
            } else {
                &text[at..end]
            };
            let pasted = expression::all(address).iter().any(|f| {
                expression::contexts(f.text)
                    .iter()
                    .any(|c| c.starts_with("secrets."))
            });
            let query = address.find('?').map_or("", |q| &address[q..]);
            let by_name = secret_names
                .iter()
                .any(|n| query.contains(&format!("${n}")) || query.contains(&format!("${{{n}}}")));
            if pasted || by_name {
                remarks.push(remark(
                    "security/workflow-secret-in-address",
                    scalar.line_at(offset),
                ));
            }
        }
        offset += text.len() + 1;
    }
}

/// Writes to GITHUB_ENV or GITHUB_PATH of what is not fixed, where outsiders have a say.
fn environment_file(document: &Document<'_>, step: &Step<'_>, remarks: &mut Vec<Remark>) {
    let reached = document.kind == Kind::Action || document.is_started_from_outside();
    let Some(entry) = step.node.entry("run").filter(|_| reached) else {
        return;
    };
    let Some(scalar) = entry.node.scalar() else {
        return;
    };
    let writes = scalar.text.split('\n').any(|line| {
        let Some(at) = ["GITHUB_ENV", "GITHUB_PATH"]
            .iter()
            .find_map(|name| line.find(name))
        else {
            return false;
        };
        let Some(arrow) = line[..at]
            .rfind(">>")
            .or_else(|| line[..at].rfind('>'))
            .or_else(|| line[..at].rfind("tee "))
            .or_else(|| line[..at].rfind("Out-File"))
            .or_else(|| line[..at].rfind("Add-Content"))
        else {
            return false;
        };
        let written = &line[..arrow];
        let percent = written.matches('%').count() >= 2;
        written.contains('$') || written.contains('`') || percent || !written.contains("echo")
    });
    if writes {
        let mut found = remark("security/workflow-environment-write", entry.line);
        found
            .also
            .extend(scalar.lines.iter().map(|(_, line)| *line));
        found
            .also
            .extend(document.triggers.iter().map(|(_, line, _)| *line));
        remarks.push(found);
    }
}

/// The old commands that anything printed can give.
fn insecure_commands(node: &Node, remarks: &mut Vec<Remark>) {
    let Some(env) = node.entry("env") else { return };
    let Some(switch) = env.node.entry("ACTIONS_ALLOW_UNSECURE_COMMANDS") else {
        return;
    };
    let value = switch
        .node
        .text()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if value == "true" {
        let mut found = remark("security/workflow-insecure-commands", env.line);
        found.also.push(switch.line);
        remarks.push(found);
    }
}

/// The token that a checkout leaves in the folder.
fn kept_credentials(step: &Step<'_>, remarks: &mut Vec<Remark>) {
    let checkout = step
        .action()
        .is_some_and(|a| a.eq_ignore_ascii_case("actions/checkout"));
    let off = step
        .with("persist-credentials")
        .is_some_and(|e| e.node.text().map(str::trim) == Some("false"));
    if checkout && !off {
        let line = step.uses().map_or(step.node.line, |(entry, _)| entry.line);
        let mut found = remark("security/workflow-credentials-kept", line);
        found.also.push(step.node.line);
        remarks.push(found);
    }
}
