//! Tokens: the code host's, the webhooks', the API's and the approvers', as far as can be told offline.

use std::net::SocketAddr;

use super::report::Line;
use crate::code_host::github::misconfiguration;
use crate::settings::env::Env;
use crate::settings::{Environment, Settings};

/// Shorter secrets can be guessed.
const SECRET: usize = 16;

/// The token that publishes: whether it is there, and has the form of one.
pub(super) fn token(settings: &Settings, env: &Env) -> Line {
    const NAME: &str = "code-host-token";
    let github = &settings.github;
    let variable = &github.token_env;
    let wants = !github.repositories.is_empty();
    if !github.app_id.is_empty() || !github.token_file.is_empty() {
        return match misconfiguration(github, env) {
            Some(sentence) => Line::warn(NAME, sentence, "docs/forges.md has each step"),
            None => Line::pass(
                NAME,
                "it can be read; `bsm doctor --forge` asks for its rights",
            ),
        };
    }
    let Some(token) = env.get(variable) else {
        return if wants {
            Line::warn(
                NAME,
                format!("{variable} is not set: nothing is published for github.repositories"),
                "set it to a token that may write pull requests, checks and contents",
            )
        } else {
            Line::pass(
                NAME,
                "none, and none is needed: github.repositories is empty",
            )
        };
    };
    if token.chars().any(char::is_whitespace) {
        return Line::fail(
            NAME,
            format!("{variable} holds white space"),
            "set it to the token alone, without a line break",
        );
    }
    if !has_form_of_token(token) {
        return Line::warn(
            NAME,
            format!("{variable} does not look like a token of GitHub"),
            "use a fine-grained token (github_pat_…) or an installation's (ghs_…)",
        );
    }
    if !wants {
        return Line::warn(
            NAME,
            format!("{variable} is set, and github.repositories is empty: it is used for none"),
            "list owner/name under github.repositories in your own settings",
        );
    }
    Line::pass(
        NAME,
        format!("{variable} is set; its rights are known when it is used"),
    )
}

fn has_form_of_token(token: &str) -> bool {
    let prefixes = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"];
    let old = token.len() == 40 && token.bytes().all(|b| b.is_ascii_hexdigit());
    old || prefixes
        .iter()
        .any(|p| token.starts_with(p) && token.len() >= 36)
}

/// Repositories are written `owner/name`.
pub(super) fn repositories(settings: &Settings) -> Option<Line> {
    let parts = |r: &str| r.split('/').filter(|part| !part.is_empty()).count();
    let wrong = settings
        .github
        .repositories
        .iter()
        .find(|r| parts(r) != 2)?;
    Some(Line::fail(
        "repositories",
        format!("github.repositories has '{wrong}', which is not owner/name"),
        "write owner/name, without an address",
    ))
}

/// The secret that webhooks are signed with.
pub(super) fn webhook_secret(settings: &Settings, env: &Env) -> Line {
    const NAME: &str = "webhook-secret";
    let variable = &settings.github.webhook_secret_env;
    match env.get(variable) {
        None if settings.github.repositories.is_empty() => {
            Line::pass(NAME, "none: webhooks are refused")
        }
        None => Line::warn(
            NAME,
            format!("{variable} is not set: webhooks are refused"),
            "set it, for example to the output of `openssl rand -hex 32`, and at GitHub too",
        ),
        Some(secret) if secret.trim().len() < SECRET => Line::warn(
            NAME,
            format!("{variable} has fewer than {SECRET} characters"),
            "set a longer one here and at GitHub",
        ),
        Some(_) => Line::pass(NAME, format!("{variable} is set")),
    }
}

/// The admin token, and where the API listens.
pub(super) fn admin_token(settings: &Settings, env: &Env) -> Line {
    const NAME: &str = "admin-token";
    let api = &settings.api;
    let variable = &api.admin_token_env;
    let listen: Option<SocketAddr> = api.listen.parse().ok();
    let Some(at) = listen else {
        return Line::fail(
            NAME,
            format!("api.listen: '{}' is not a valid listen address", api.listen),
            "write 127.0.0.1:3000",
        );
    };
    match env.get(variable) {
        None if !at.ip().is_loopback() => Line::fail(
            NAME,
            format!("api.listen is {at}, beyond this machine, and {variable} is not set"),
            format!("set {variable}, or listen at 127.0.0.1"),
        ),
        None => Line::pass(NAME, "none: nothing is changed over TCP"),
        Some(token) if token.len() < SECRET => {
            let sentence = format!("{variable} has fewer than {SECRET} characters");
            let help = "set it to the output of `openssl rand -hex 32`";
            if settings.environment == Environment::Production {
                Line::fail(
                    NAME,
                    format!("{sentence}; in production `bsm serve` refuses it"),
                    help,
                )
            } else {
                Line::warn(NAME, sentence, help)
            }
        }
        Some(_) => Line::pass(NAME, format!("{variable} is set")),
    }
}

/// Who may approve must have a token.
pub(super) fn approvers(settings: &Settings, env: &Env) -> Vec<Line> {
    let lacks = settings.approvers.iter().filter(|a| {
        env.get(&a.token_env)
            .is_none_or(|t| t.trim().len() < SECRET)
    });
    lacks
        .map(|approver| {
            Line::warn(
                "approvers",
                format!(
                    "{}'s token in {} is missing or has fewer than {SECRET} characters: nothing can be approved with it",
                    approver.name, approver.token_env
                ),
                "set it, or take the approver out of the settings",
            )
        })
        .collect()
}
