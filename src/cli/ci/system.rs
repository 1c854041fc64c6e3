//! Which CI system a pipeline runs on, by the variables that its documentation promises, and what is the same
//! for none of them: how to get the whole history.

use crate::settings::env::Env;

/// A CI system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    /// GitHub Actions.
    GitHub,
    /// Gitea Actions.
    Gitea,
    /// Forgejo Actions.
    Forgejo,
    /// GitLab CI/CD.
    GitLab,
    /// Buildkite.
    Buildkite,
    /// Azure Pipelines.
    Azure,
    /// CircleCI.
    CircleCi,
    /// Jenkins.
    Jenkins,
}

/// A system and the variable that says so. The first that is set wins: Forgejo also sets Gitea's and GitHub's
/// variable, and a build of Jenkins may be started by another system's job.
const SYSTEMS: [(System, &str); 8] = [
    (System::Forgejo, "FORGEJO_ACTIONS"),
    (System::Gitea, "GITEA_ACTIONS"),
    (System::GitHub, "GITHUB_ACTIONS"),
    (System::GitLab, "GITLAB_CI"),
    (System::Buildkite, "BUILDKITE"),
    (System::Azure, "TF_BUILD"),
    (System::CircleCi, "CIRCLECI"),
    (System::Jenkins, "JENKINS_URL"),
];

impl System {
    /// The system that set these variables.
    pub(super) fn of(env: &Env) -> Option<Self> {
        let set = |name: &str| {
            env.get(name)
                .is_some_and(|value| !value.eq_ignore_ascii_case("false"))
        };
        let found = SYSTEMS.iter().find(|(_, name)| set(name));
        found.map(|(system, _)| *system)
    }

    /// The variables that were looked for.
    pub(super) fn variables() -> String {
        SYSTEMS.map(|(_, name)| name).join(", ")
    }

    /// Its name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub Actions",
            Self::Gitea => "Gitea Actions",
            Self::Forgejo => "Forgejo Actions",
            Self::GitLab => "GitLab CI",
            Self::Buildkite => "Buildkite",
            Self::Azure => "Azure Pipelines",
            Self::CircleCi => "CircleCI",
            Self::Jenkins => "Jenkins",
        }
    }

    /// Its runners take GitHub's workflow commands and files.
    pub(super) fn has_workflow_commands(self) -> bool {
        matches!(self, Self::GitHub | Self::Gitea | Self::Forgejo)
    }
}

/// What to write into the pipeline's file, so that the history is there before the review.
pub(super) fn line_for_history(system: Option<System>) -> &'static str {
    match system {
        Some(System::GitHub | System::Gitea | System::Forgejo) => {
            "Add to the step that uses actions/checkout:  with: {fetch-depth: 0}"
        }
        Some(System::GitLab) => "Add to the job:  variables: {GIT_DEPTH: \"0\"}",
        Some(System::Azure) => {
            "Make this the job's first step:  - {checkout: self, fetchDepth: 0, persistCredentials: true}"
        }
        Some(System::CircleCi) => "Make this the job's first step:  - checkout: {method: full}",
        Some(System::Jenkins) => {
            "Use this checkout:  checkout scmGit(branches: scm.branches, userRemoteConfigs: \
             scm.userRemoteConfigs, extensions: [cloneOption(shallow: false, honorRefspec: false)])"
        }
        Some(System::Buildkite) | None => {
            "Run before it:  git fetch --unshallow origin || git fetch origin"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_is_told_by_its_own_variable_before_those_it_shares() {
        let shared = [("GITHUB_ACTIONS", "true"), ("GITEA_ACTIONS", "true")];
        for (own, system) in [
            (Some("FORGEJO_ACTIONS"), System::Forgejo),
            (None, System::Gitea),
        ] {
            let env = Env::of(shared.into_iter().chain(own.map(|name| (name, "true"))));
            assert_eq!(System::of(&env), Some(system));
        }
        assert_eq!(
            System::of(&Env::of([("TF_BUILD", "True")])),
            Some(System::Azure)
        );
        assert_eq!(
            System::of(&Env::of([("BUILDKITE", "false"), ("CI", "true")])),
            None
        );
    }
}
