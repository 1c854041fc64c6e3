//! GitLab CI. Documented: <https://docs.gitlab.com/ci/variables/predefined_variables/>.

use super::pipeline::{About, Named, Pipeline, number, text};
use super::system::System;
use crate::settings::env::Env;

/// What the variables say.
pub(super) fn read(env: &Env) -> Pipeline {
    let iid = number(env, "CI_MERGE_REQUEST_IID");
    let built = env.get("CI_COMMIT_SHA");
    let mut about = About {
        repository: text(env, "CI_MERGE_REQUEST_PROJECT_PATH").or(text(env, "CI_PROJECT_PATH")),
        number: iid,
        author: text(env, "GITLAB_USER_LOGIN"),
        head_branch: text(env, "CI_COMMIT_REF_NAME"),
        ..About::default()
    };
    let (head, bases) = if let Some(iid) = iid {
        about.title = text(env, "CI_MERGE_REQUEST_TITLE");
        about.body = text(env, "CI_MERGE_REQUEST_DESCRIPTION");
        about.base_branch = text(env, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME");
        about.head_branch = text(env, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME");
        let labels = env.get("CI_MERGE_REQUEST_LABELS").unwrap_or_default();
        about.labels = labels
            .split(',')
            .map(|label| label.trim().to_owned())
            .filter(|label| !label.is_empty())
            .collect();
        // In a pipeline for merged results what was built is a merge; the change is its source.
        let source = env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA").or(built);
        let reference = Some(format!("refs/merge-requests/{iid}/head"));
        (
            Named::at(source, reference),
            // The branch first: the recorded base stays as it was when a request gets another target.
            vec![
                Named::commit(env.get("CI_MERGE_REQUEST_TARGET_BRANCH_SHA")),
                Named::branch(env.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME")),
                Named::commit(env.get("CI_MERGE_REQUEST_DIFF_BASE_SHA")),
            ],
        )
    } else if env.get("CI_EXTERNAL_PULL_REQUEST_IID").is_some() {
        about.number = number(env, "CI_EXTERNAL_PULL_REQUEST_IID");
        about.base_branch = text(env, "CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME");
        (
            Named::commit(
                env.get("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA")
                    .or(built),
            ),
            vec![
                Named::commit(env.get("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_SHA")),
                Named::branch(env.get("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME")),
            ],
        )
    } else {
        about.title = text(env, "CI_COMMIT_TITLE");
        let (own, main) = (env.get("CI_COMMIT_BRANCH"), env.get("CI_DEFAULT_BRANCH"));
        let base = if own.is_some() && own == main {
            Named::commit(env.get("CI_COMMIT_BEFORE_SHA"))
        } else {
            Named::branch(main)
        };
        (Named::commit(built), vec![base])
    };
    Pipeline {
        system: Some(System::GitLab),
        head: head.unwrap_or(Named::Local("HEAD".to_owned())),
        bases: bases.into_iter().flatten().collect(),
        about,
    }
}
