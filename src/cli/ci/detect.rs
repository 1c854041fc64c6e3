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

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    /// Head, bases and number of what these variables say.
    fn named(variables: &[(&str, &str)]) -> String {
        let env = Env::of(variables.iter().copied());
        let pipeline = read(&env, None, None).unwrap();
        let bases: Vec<String> = pipeline.bases.iter().map(Named::shown).collect();
        let number = pipeline.about.number.unwrap_or_default();
        format!("{} {} {number}", pipeline.head.shown(), bases.join(","))
    }

    #[test]
    fn less_common_pipelines_name_their_commits() {
        for (variables, wanted) in [
            // A pipeline for merged results: the change is the source, not the merge.
            (
                vec![
                    ("GITLAB_CI", "true"),
                    ("CI_COMMIT_SHA", B),
                    ("CI_MERGE_REQUEST_IID", "3"),
                    ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", A),
                    ("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", B),
                    ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
                ],
                "aaaaaaaaaaaa bbbbbbbbbbbb,main 3",
            ),
            (
                vec![
                    ("GITLAB_CI", "true"),
                    ("CI_COMMIT_SHA", A),
                    ("CI_COMMIT_BEFORE_SHA", B),
                    ("CI_COMMIT_BRANCH", "main"),
                    ("CI_DEFAULT_BRANCH", "main"),
                ],
                "aaaaaaaaaaaa bbbbbbbbbbbb 0",
            ),
            // The first push of a branch has nothing before it.
            (
                vec![
                    ("GITLAB_CI", "true"),
                    ("CI_COMMIT_SHA", A),
                    ("CI_COMMIT_BEFORE_SHA", ZERO),
                    ("CI_COMMIT_BRANCH", "main"),
                    ("CI_DEFAULT_BRANCH", "main"),
                ],
                "aaaaaaaaaaaa  0",
            ),
            (
                vec![
                    ("GITLAB_CI", "true"),
                    ("CI_COMMIT_SHA", A),
                    ("CI_EXTERNAL_PULL_REQUEST_IID", "5"),
                    ("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME", "main"),
                ],
                "aaaaaaaaaaaa main 5",
            ),
            (
                vec![
                    ("BUILDKITE", "true"),
                    ("BUILDKITE_COMMIT", "HEAD"),
                    ("BUILDKITE_PULL_REQUEST", "false"),
                    ("BUILDKITE_BRANCH", "topic"),
                    ("BUILDKITE_PIPELINE_DEFAULT_BRANCH", "main"),
                ],
                "HEAD main 0",
            ),
            (
                vec![
                    ("TF_BUILD", "True"),
                    ("BUILD_SOURCEVERSION", B),
                    ("SYSTEM_PULLREQUEST_PULLREQUESTID", "512"),
                    ("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER", "7"),
                    ("SYSTEM_PULLREQUEST_TARGETBRANCH", "main"),
                ],
                "bbbbbbbbbbbb main 7",
            ),
            (
                vec![
                    ("JENKINS_URL", "x"),
                    ("GIT_PREVIOUS_SUCCESSFUL_COMMIT", A),
                    ("GIT_PREVIOUS_COMMIT", B),
                ],
                "HEAD aaaaaaaaaaaa,bbbbbbbbbbbb 0",
            ),
            // A pull request without its event's file.
            (
                vec![
                    ("GITHUB_ACTIONS", "true"),
                    ("GITHUB_SHA", A),
                    ("GITHUB_BASE_REF", "main"),
                ],
                "aaaaaaaaaaaa main 0",
            ),
        ] {
            assert_eq!(named(&variables), wanted, "{variables:?}");
        }
    }

    #[test]
    fn what_is_named_by_hand_goes_before_what_a_system_says() {
        let env = Env::of([("CIRCLECI", "true"), ("CIRCLE_SHA1", A)]);
        let pipeline = read(&env, Some("origin/main"), Some("HEAD~1")).unwrap();
        assert_eq!(pipeline.head.shown(), "HEAD~1");
        assert_eq!(pipeline.bases, [Named::Local("origin/main".to_owned())]);
    }
}
