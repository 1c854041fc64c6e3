//! Which system it is, and what that says, with what was named by hand in its place.

use super::pipeline::{About, Named, Pipeline};
use super::system::System;
use super::{actions, azure, buildkite, circleci, gitlab, jenkins};
use crate::cli::failure::Failure;
use crate::settings::env::Env;

/// What the variables say, with what was named by hand in its place.
///
/// # Errors
/// No system is detected and not both commits are named, or what it says cannot be read.
pub(super) fn read(env: &Env, base: Option<&str>, head: Option<&str>) -> Result<Pipeline, Failure> {
    let local = |revision: &str| Named::Local(revision.to_owned());
    let mut pipeline = match System::of(env) {
        Some(system @ (System::GitHub | System::Gitea | System::Forgejo)) => {
            actions::read(env, system)?
        }
        Some(System::GitLab) => gitlab::read(env),
        Some(System::Buildkite) => buildkite::read(env),
        Some(System::Azure) => azure::read(env),
        Some(System::CircleCi) => circleci::read(env),
        Some(System::Jenkins) => jenkins::read(env),
        None if base.is_some() => Pipeline {
            system: None,
            head: local("HEAD"),
            bases: Vec::new(),
            about: About::default(),
        },
        None => {
            let looked_for = System::variables();
            return Err(Failure::usage(
                format!("no CI system is detected: none of {looked_for} is set"),
                "Name the commits: bsm ci --base origin/main --head HEAD",
            ));
        }
    };
    if let Some(base) = base {
        pipeline.bases = vec![local(base)];
    }
    if let Some(head) = head {
        pipeline.head = local(head);
    }
    Ok(pipeline)
}
