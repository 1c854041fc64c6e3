//! With what GitHub is asked: an app's tokens, one token, or none. Read again when the settings are.

use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};

use crate::code_host::github::{Credentials, misconfiguration};
use crate::engine::config::store::ConfigStore;
use crate::engine::notifier::Notifier;
use crate::resilience::clock::lock;
use crate::settings::env::Env;
use crate::settings::{GithubSettings, Settings};
use crate::state::hex;

/// One per engine.
pub(super) struct CredentialStore {
    store: Arc<ConfigStore>,
    read: Mutex<Option<Read>>,
}

/// What the settings named when they were read.
struct Read {
    settings: Arc<Settings>,
    credentials: Credentials,
    /// Tells one from another without being one.
    mark: String,
}

impl CredentialStore {
    pub(super) fn new(store: Arc<ConfigStore>) -> Self {
        Self {
            store,
            read: Mutex::new(None),
        }
    }

    /// What may be used for a repository, and a mark that tells it from other credentials.
    pub(super) fn of(&self, repository: &str) -> (Credentials, String) {
        let settings = self.store.settings();
        if !settings.github.lists(repository) {
            return (Credentials::None, String::new());
        }
        let mut kept = lock(&self.read);
        if let Some(read) = kept.as_ref()
            && Arc::ptr_eq(&read.settings, &settings)
        {
            return (read.credentials.clone(), read.mark.clone());
        }
        let (credentials, mark) = self.read(&settings, kept.as_ref());
        let read = Read {
            settings,
            credentials: credentials.clone(),
            mark: mark.clone(),
        };
        *kept = Some(read);
        (credentials, mark)
    }

    /// An app whose id and key are as they were keeps its tokens.
    fn read(&self, settings: &Settings, before: Option<&Read>) -> (Credentials, String) {
        let (github, env) = (&settings.github, &self.store.env);
        let secrets = [github.token(env), github.app_key(env)].map(|s| s.ok().flatten());
        let [token, key] = secrets.map(Option::unwrap_or_default);
        let mark = mark(&[&github.app_id, &token, &key]);
        if let Some(before) = before.filter(|b| b.mark == mark) {
            return (before.credentials.clone(), mark);
        }
        match Credentials::read(github, env) {
            Ok(credentials) => (credentials, mark),
            Err(error) => {
                tracing::warn!("GitHub is asked without credentials: {error}");
                (Credentials::None, mark)
            }
        }
    }
}

/// Says what is wrong with the settings, or that nothing is any more.
pub fn tell(notifier: &Notifier, github: &GithubSettings, env: &Env) {
    match misconfiguration(github, env) {
        Some(text) => notifier.raise(CODE, "github", text),
        None => notifier.resolve(CODE, "github", "GitHub's settings fit together".into()),
    }
}

/// The alert's code.
const CODE: &str = "code-host-settings";

fn mark(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex(&hash.finalize())
}
