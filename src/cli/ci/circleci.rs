//! CircleCI. Documented: <https://circleci.com/docs/reference/variables/>.
//!
//! It has no variable for the base; pipeline values have one, and `--base` takes it.

use super::pipeline::{About, Named, Pipeline, number, text};
use super::system::System;
use crate::settings::env::Env;

/// What the variables say.
pub(super) fn read(env: &Env) -> Pipeline {
    let part = |name: &str| env.get(name);
    let repository = match (
        part("CIRCLE_PROJECT_USERNAME"),
        part("CIRCLE_PROJECT_REPONAME"),
    ) {
        (Some(owner), Some(name)) => Some(format!("{owner}/{name}")),
        _ => None,
    };
    let of_address = |address: &str| address.rsplit('/').next()?.parse().ok();
    Pipeline {
        system: Some(System::CircleCi),
        head: Named::commit(env.get("CIRCLE_SHA1")).unwrap_or(Named::Local("HEAD".to_owned())),
        bases: Vec::new(),
        about: About {
            repository,
            number: number(env, "CIRCLE_PR_NUMBER")
                .or(env.get("CIRCLE_PULL_REQUEST").and_then(of_address)),
            author: text(env, "CIRCLE_PR_USERNAME").or(text(env, "CIRCLE_USERNAME")),
            head_branch: text(env, "CIRCLE_BRANCH"),
            ..About::default()
        },
    }
}
