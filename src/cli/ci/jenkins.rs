//! Jenkins. Documented: `env-vars.html` of each installation, and
//! <https://www.jenkins.io/doc/book/pipeline/multibranch/>.

use super::pipeline::{About, Named, Pipeline, number, repository_of, text};
use super::system::System;
use crate::settings::env::Env;

/// What the variables say.
pub(super) fn read(env: &Env) -> Pipeline {
    let target = env.get("CHANGE_TARGET");
    let bases = match target {
        Some(_) => vec![Named::branch(target)],
        // What was built well before, else what was built before.
        None => vec![
            Named::commit(env.get("GIT_PREVIOUS_SUCCESSFUL_COMMIT")),
            Named::commit(env.get("GIT_PREVIOUS_COMMIT")),
        ],
    };
    Pipeline {
        system: Some(System::Jenkins),
        // A build of a change is its head, or a merge of target and head that Jenkins made in the clone. The
        // target's share of a merge falls away with the merge base.
        head: Named::Local("HEAD".to_owned()),
        bases: bases.into_iter().flatten().collect(),
        about: About {
            repository: env.get("GIT_URL").and_then(repository_of),
            number: number(env, "CHANGE_ID"),
            title: text(env, "CHANGE_TITLE"),
            author: text(env, "CHANGE_AUTHOR"),
            base_branch: target.map(str::to_owned),
            head_branch: text(env, "CHANGE_BRANCH").or(text(env, "BRANCH_NAME")),
            ..About::default()
        },
    }
}
