//! Keys and models: whether the providers of the workspace can be asked.

use super::report::Line;
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::workspace::models::ModelTable;

/// Why a value is no key, as the end of a sentence.
fn flaw(value: &str) -> Option<&'static str> {
    if value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("holds white space or a control character");
    }
    if !value.is_ascii() {
        return Some("holds characters that no key has");
    }
    let lower = value.to_ascii_lowercase();
    let placeholders = [
        "changeme",
        "change-me",
        "your-",
        "your_",
        "<",
        "xxxx",
        "todo",
    ];
    if placeholders.iter().any(|p| lower.starts_with(p)) {
        return Some("holds a placeholder");
    }
    (value.len() < 8).then_some("is too short for a key")
}

/// One line for each provider that needs a key.
pub(super) fn keys(table: &ModelTable, env: &Env) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut any = false;
    for (name, provider) in &table.providers {
        let set: Vec<&String> = provider
            .key_env
            .iter()
            .filter(|v| env.get(v).is_some())
            .collect();
        any |= !set.is_empty();
        for variable in set {
            let line = match env.get(variable).and_then(flaw) {
                Some(flaw) => Line::fail(
                    &format!("key-{name}"),
                    format!("{variable} {flaw}"),
                    format!("set {variable} to the key as {name} gave it to you"),
                ),
                None => Line::pass(&format!("key-{name}"), format!("{variable} is set")),
            };
            lines.push(line);
        }
    }
    if !any {
        let mut variables: Vec<&str> = table
            .providers
            .values()
            .filter_map(|p| p.key_env.first())
            .map(String::as_str)
            .collect();
        variables.sort_unstable();
        variables.dedup();
        lines.push(Line::warn(
            "keys",
            "no provider has a key: rules decide alone",
            format!("set one of {}", variables.join(", ")),
        ));
    }
    lines
}

/// Models that are named and not listed.
pub(super) fn models(table: &ModelTable, settings: &Settings) -> Vec<Line> {
    const NAME: &str = "models";
    let mut lines = Vec::new();
    let mut missing = |model: &str, place: &str| {
        if !table.models.contains_key(model) {
            lines.push(Line::fail(
                NAME,
                format!(
                    "{place} names the model '{model}', which agents/models.yaml does not list"
                ),
                "list it under models, or name one that is listed",
            ));
        }
    };
    if let Some(model) = &settings.default_model {
        missing(model, "defaultModel");
    }
    missing(&table.default, "default");
    for (task, routes) in &table.routes {
        for entry in routes.values().flatten() {
            missing(entry.model(), &format!("routes.{task}"));
        }
    }
    for (model, others) in &table.fallbacks {
        for other in others {
            missing(other, &format!("fallbacks.{model}"));
        }
    }
    for (name, model) in &table.models {
        if !table.providers.contains_key(&model.provider) {
            lines.push(Line::fail(
                NAME,
                format!(
                    "the model '{name}' names the provider '{}', which is not listed",
                    model.provider
                ),
                "list it under providers in agents/models.yaml",
            ));
        }
    }
    if lines.is_empty() {
        let (models, providers) = (table.models.len(), table.providers.len());
        lines.push(Line::pass(
            NAME,
            format!("{models} models of {providers} providers"),
        ));
    }
    lines
}
