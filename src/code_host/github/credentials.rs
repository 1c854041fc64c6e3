//! The credentials that the settings name: an app's key before a token.

use std::sync::Arc;

use super::app::App;
use super::client::Credentials;
use crate::settings::GithubSettings;
use crate::settings::env::Env;

impl Credentials {
    /// What the settings name. An app goes before a token.
    ///
    /// # Errors
    /// A sentence: a file cannot be read, or the app's key is missing or none.
    pub fn read(github: &GithubSettings, env: &Env) -> Result<Self, String> {
        if github.app_id.is_empty() {
            let token = github.token(env)?;
            return Ok(token.map_or(Self::None, Self::Token));
        }
        let key = github.app_key(env)?.ok_or_else(|| {
            let variable = &github.app_key_env;
            format!(
                "github.appId is set, and the app's key is not ({variable} or github.appKeyFile)"
            )
        })?;
        App::new(&github.app_id, &key).map(|app| Self::App(Arc::new(app)))
    }
}

/// What is wrong with the credentials or the list of repositories, and what to do; `None`: nothing that can be
/// told without asking GitHub.
pub fn misconfiguration(github: &GithubSettings, env: &Env) -> Option<String> {
    match Credentials::read(github, env) {
        Err(error) => Some(format!("GitHub is asked without credentials: {error}")),
        Ok(credentials) if credentials.are_some() && github.repositories.is_empty() => Some(
            "there is a token for GitHub and github.repositories is empty: it is used for none, and webhooks of \
             every repository that knows the secret are taken; list owner/name or owner/* in your own settings"
                .into(),
        ),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_without_repositories_and_app_without_key_are_said() {
        let env = Env::of([("GITHUB_BSU_TOKEN", "ghp-test-token-0123456789")]);
        let mut github = GithubSettings::default();
        let said = |github: &GithubSettings, env: &Env| misconfiguration(github, env);
        assert!(
            said(&github, &env)
                .unwrap()
                .contains("github.repositories is empty")
        );
        assert_eq!(said(&github, &Env::default()), None);
        github.repositories = vec!["acme/*".into()];
        assert_eq!(said(&github, &env), None);
        github.app_id = "1".into();
        assert!(said(&github, &env).unwrap().contains("github.appKeyFile"));
        let bad = Env::of([("BSM_GITHUB_APP_KEY", "no key at all, no key at all")]);
        let said = said(&github, &bad).unwrap();
        assert!(
            said.contains("no RSA key") && !said.contains("at all"),
            "{said}"
        );
    }
}
