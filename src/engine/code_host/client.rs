//! The GitHub client for a repository: with credentials where the repository is listed, without elsewhere.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::code_host::HostError;
use crate::code_host::github::{Credentials, Github};
use crate::engine::code_host::credentials::CredentialStore;
use crate::engine::config::store::ConfigStore;
use crate::engine::lifecycle::Lifecycle;
use crate::outbound::egress::{Lookup, Policy};
use crate::resilience::clock::lock;

/// What a client was built from: another address, token or policy needs another client.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ClientKey(String);

/// One per engine.
pub struct GithubClient {
    lifecycle: Arc<Lifecycle>,
    store: Arc<ConfigStore>,
    lookup: Lookup,
    credentials: CredentialStore,
    client: Mutex<Option<(ClientKey, Arc<Github>)>>,
    /// GitHub asked for a pause until then.
    paused_until: Mutex<Option<Instant>>,
}

impl GithubClient {
    /// Connects when it is first used.
    pub fn new(lifecycle: Arc<Lifecycle>, store: Arc<ConfigStore>, lookup: Lookup) -> Arc<Self> {
        Arc::new(Self {
            credentials: CredentialStore::new(Arc::clone(&store)),
            lifecycle,
            store,
            lookup,
            client: Mutex::new(None),
            paused_until: Mutex::new(None),
        })
    }

    /// The client for a repository (`owner/name`).
    ///
    /// # Errors
    /// [`HostError::NotAsked`] under the simulator and in safe mode.
    pub fn get(&self, repository: &str) -> Result<Arc<Github>, HostError> {
        let settings = self.store.settings();
        if self.lifecycle.mode.simulated {
            return Err(HostError::NotAsked("models are simulated here".into()));
        }
        let (credentials, mark) = self.credentials.of(repository);
        let key = ClientKey(format!(
            "{} {:?} {:?} {mark}",
            settings.github.api_url, settings.egress, settings.egress_allowed_hosts,
        ));
        // Safe mode may have been switched on since the client was built.
        Policy::of(&settings)
            .allows(&settings.github.api_url)
            .map_err(HostError::NotAsked)?;
        let mut kept = lock(&self.client);
        if let Some((with, client)) = kept.as_ref()
            && *with == key
        {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(Github::new(
            &settings,
            &self.store.env,
            &self.lookup,
            credentials,
        )?);
        *kept = Some((key, Arc::clone(&client)));
        Ok(client)
    }

    /// What GitHub is asked with about a repository; `None`: nothing may be written there.
    pub fn token(&self, repository: &str) -> Option<Credentials> {
        let (credentials, _) = self.credentials.of(repository);
        credentials.are_some().then_some(credentials)
    }

    /// GitHub asked for a pause.
    pub fn pause(&self, time: Duration) {
        *lock(&self.paused_until) = Some(self.lifecycle.now() + time);
    }

    /// What is left of the pause that GitHub asked for; `None`: there is none.
    pub fn pause_left(&self) -> Option<Duration> {
        let until = (*lock(&self.paused_until))?;
        let left = until.checked_duration_since(self.lifecycle.now())?;
        (!left.is_zero()).then_some(left)
    }

    /// The end of the pause that GitHub asked for, wall time in milliseconds; `None`: there is none.
    pub fn paused_until_ms(&self) -> Option<i64> {
        let until = (*lock(&self.paused_until))?;
        let left = until.checked_duration_since(self.lifecycle.now())?;
        Some(self.lifecycle.wall_ms() + left.as_millis() as i64 + 1)
    }
}
