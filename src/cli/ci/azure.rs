//! Azure Pipelines. Documented: <https://learn.microsoft.com/azure/devops/pipelines/build/variables>.

use super::pipeline::{About, Named, Pipeline, number, text};
use super::system::System;
use crate::settings::env::Env;

/// What the variables say.
pub(super) fn read(env: &Env) -> Pipeline {
    let target = env.get("SYSTEM_PULLREQUEST_TARGETBRANCH");
    let about = About {
        repository: text(env, "BUILD_REPOSITORY_NAME"),
        // A pull request at GitHub has an id of its own beside its number.
        number: number(env, "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER")
            .or(number(env, "SYSTEM_PULLREQUEST_PULLREQUESTID")),
        title: target
            .is_none()
            .then(|| text(env, "BUILD_SOURCEVERSIONMESSAGE"))
            .flatten()
            .and_then(|m| m.lines().next().map(str::to_owned)),
        author: text(env, "BUILD_REQUESTEDFOR"),
        base_branch: target.map(str::to_owned),
        head_branch: text(env, "SYSTEM_PULLREQUEST_SOURCEBRANCH")
            .or(text(env, "BUILD_SOURCEBRANCH")),
        ..About::default()
    };
    // What is built for a pull request is a merge of both; the change is its source.
    let source = env.get("SYSTEM_PULLREQUEST_SOURCECOMMITID");
    Pipeline {
        system: Some(System::Azure),
        head: Named::commit(source.or(env.get("BUILD_SOURCEVERSION")))
            .unwrap_or(Named::Local("HEAD".to_owned())),
        bases: Named::branch(target).into_iter().collect(),
        about,
    }
}
