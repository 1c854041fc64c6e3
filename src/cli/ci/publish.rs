//! The decision on the pull request itself, from a pipeline: status or check, comment, remarks, label.
//!
//! Why only where a token was handed to the step: a runner gives none by itself, so whoever set it wants it used.
//! What cannot be written leaves the required status missing, and the branch closed.

use clap::ValueEnum;

use super::pipeline::Pipeline;
use super::system::System;
use crate::cli::context::{Setup, runtime};
use crate::cli::failure::Failure;
use crate::code_host::github::{Credentials, Github};
use crate::code_host::{HostError, Pull};
use crate::engine::code_host::once::{OnceDecision, OnceWrite, publish_once};
use crate::engine::code_host::reconciler::web;
use crate::engine::protocol::run::RunResult;
use crate::outbound::egress::system_lookup;
use crate::settings::env::Env;
use crate::text::clean_line;

/// The variable that holds the token of an Actions run.
const TOKEN: &str = "GITHUB_TOKEN";
/// Where the API of the runner's GitHub is.
const API: &str = "GITHUB_API_URL";

/// When the decision is left on the pull request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum PublishWhen {
    /// Where there are a pull request and a token; what cannot be written is said
    #[default]
    Auto,
    /// In any case: without a token, or without the gate's status, the command fails
    Always,
    /// Not at all
    Never,
}

/// What was left, for the log.
pub(super) struct Left {
    /// Lines.
    pub(super) lines: Vec<String>,
    /// The gate's status could not be set, though it was to be.
    pub(super) failed: bool,
}

impl Left {
    fn nothing(why: impl Into<String>, failed: bool) -> Self {
        Self {
            lines: vec![format!("not published: {}", why.into())],
            failed,
        }
    }
}

/// Leaves a decision on the pull request that the pipeline is about.
pub(super) fn publish(
    when: PublishWhen,
    (pipeline, head): (&Pipeline, &str),
    (setup, env): (&Setup, &Env),
    (result, diff): (&RunResult, String),
) -> Result<Option<Left>, Failure> {
    let must = when == PublishWhen::Always;
    if when == PublishWhen::Never {
        return Ok(None);
    }
    let nothing = |why: &str| Ok(must.then(|| Left::nothing(why, true)));
    if pipeline.system != Some(System::GitHub) {
        return nothing("only GitHub Actions hands over a pull request that can be written to");
    }
    let (Some(repository), Some(number)) = (&pipeline.about.repository, pipeline.about.number)
    else {
        return nothing("this pipeline is about no pull request");
    };
    let mut settings = setup.loaded.settings.clone();
    if let Some(api) = env.get(API) {
        api.clone_into(&mut settings.github.api_url);
    }
    let own = settings.github.lists(repository);
    let own = own.then(|| Credentials::read(&settings.github, env));
    let credentials = match (own, env.get(TOKEN)) {
        (Some(Ok(credentials)), _) if credentials.are_some() => credentials,
        (_, Some(token)) if !token.trim().is_empty() => Credentials::Token(token.trim().to_owned()),
        _ => return nothing("there is no token; set GITHUB_TOKEN in the step's env"),
    };
    if result.simulated {
        return nothing("models were simulated");
    }
    if settings.github.dry_run {
        return nothing("github.dryRun is set");
    }
    let decision = OnceDecision {
        pull: Pull {
            repository: repository.clone(),
            number,
            head_sha: head.to_owned(),
            base: pipeline.about.base_branch.clone(),
            ..Pull::default()
        },
        run: result.clone(),
        diff,
        publish: settings.github.publish,
        spacing_ms: settings.github.write_spacing_ms,
        web: web(&settings.github.api_url),
    };
    let github = match Github::new(&settings, env, &system_lookup(), credentials) {
        Ok(github) => github,
        Err(error) => return Ok(Some(Left::nothing(error.to_string(), must))),
    };
    let wants_gate = decision.publish.status;
    let written = runtime()?.block_on(publish_once(&github, &decision));
    Ok(Some(match written {
        Ok(writes) => left(&writes, must && wants_gate),
        Err(error) => Left::nothing(reason(&error), must),
    }))
}

/// What was written, and why the rest was not.
fn left(writes: &[OnceWrite], must: bool) -> Left {
    let mut lines: Vec<String> = writes
        .iter()
        .map(|write| {
            let word = if write.done {
                "published"
            } else {
                "not published"
            };
            format!("{word}: {}: {}", write.kind, clean_line(&write.note, 200))
        })
        .collect();
    let gate_failed = writes.iter().any(|w| w.kind == "status" && !w.done);
    let is_read_only = writes
        .iter()
        .any(|w| !w.done && w.note.contains("answered 403"));
    if is_read_only {
        lines.push(READ_ONLY.into());
    }
    Left {
        lines,
        failed: must && gate_failed,
    }
}

/// What to do about a token that may not write.
const READ_ONLY: &str = "the token may only read: that of a fork's pull request always does; else the job needs \
    permissions: statuses, checks and pull-requests: write. Where the branch requires bsm/review it stays closed; \
    docs/ci.md has the workflow for forks";

fn reason(error: &HostError) -> String {
    clean_line(&error.to_string(), 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(kind: &'static str, done: bool, note: &str) -> OnceWrite {
        OnceWrite {
            kind,
            done,
            note: note.into(),
        }
    }

    #[test]
    fn token_that_may_only_read_is_explained_and_fails_only_where_publishing_was_demanded() {
        let refused = [
            write(
                "status",
                false,
                "GitHub answered 403: Resource not accessible",
            ),
            write("comment", true, "comment 1 written"),
        ];
        let said = left(&refused, true);
        assert!(
            said.failed && said.lines.iter().any(|l| l.contains("fork")),
            "{:?}",
            said.lines
        );
        assert!(!left(&refused, false).failed);
        assert!(!left(&refused[1..], true).failed);
    }
}
