//! Buildkite. Documented: <https://buildkite.com/docs/pipelines/configure/environment-variables>.

use super::pipeline::{About, Named, Pipeline, number, repository_of, text};
use super::system::System;
use crate::settings::env::Env;

/// What the variables say.
pub(super) fn read(env: &Env) -> Pipeline {
    // `false` where the build is about no pull request.
    let pull = number(env, "BUILDKITE_PULL_REQUEST");
    let target = env.get("BUILDKITE_PULL_REQUEST_BASE_BRANCH");
    let (own, main) = (
        env.get("BUILDKITE_BRANCH"),
        env.get("BUILDKITE_PIPELINE_DEFAULT_BRANCH"),
    );
    let base = match pull {
        Some(_) => Named::branch(target.or(main)),
        // The default branch itself: Buildkite does not say what was there before.
        None if own == main => None,
        None => Named::branch(main),
    };
    let labels = env.get("BUILDKITE_PULL_REQUEST_LABELS").unwrap_or_default();
    Pipeline {
        system: Some(System::Buildkite),
        // The commit may be the word HEAD.
        head: Named::commit(env.get("BUILDKITE_COMMIT")).unwrap_or(Named::Local("HEAD".to_owned())),
        bases: base.into_iter().collect(),
        about: About {
            repository: env.get("BUILDKITE_REPO").and_then(repository_of),
            number: pull,
            title: text(env, "BUILDKITE_MESSAGE").and_then(|m| m.lines().next().map(str::to_owned)),
            author: text(env, "BUILDKITE_BUILD_AUTHOR").or(text(env, "BUILDKITE_BUILD_CREATOR")),
            labels: labels
                .split(',')
                .map(|label| label.trim().to_owned())
                .filter(|label| !label.is_empty())
                .collect(),
            base_branch: pull.and(target).map(str::to_owned),
            head_branch: own.map(str::to_owned),
            ..About::default()
        },
    }
}
