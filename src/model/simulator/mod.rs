//! A mock model server on loopback with fault injection, for trying everything without a key.
//!
//! Why over HTTP: a simulated run takes the same path as a real one, through the real client, pools
//! and breakers. Its answers say that they are simulated, and so does every report made from them.
//!
//! It speaks chat completions and Anthropic's Messages at `/v1/…`, and for each provider by name at
//! `/NAME/v1/…`. `GET /faults` tells how it behaves and what it did; `PUT /faults` with a [`Switch`]
//! changes it. The same seed and the same questions give the same answers, waits and faults.

mod answers;
mod content;
mod dice;
pub mod faults;
mod pieces;
mod serve;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use url::Url;

pub use faults::{Behaviour, Fault, Faults, Latency, PRESETS, RetryAfter, Switch};

pub use self::state::{Asked, SimulatorSettings, Told};
use self::state::{Inner, Shared};
use crate::resilience::clock::lock;

/// A running simulator; it stops when dropped, whatever it was answering.
pub struct Simulator {
    url: Url,
    shared: Arc<Shared>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Simulator {
    /// Starts on a free port of loopback. Must run inside tokio.
    ///
    /// # Errors
    /// When no port can be had, or its script names no preset.
    pub async fn start(settings: SimulatorSettings) -> std::io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), settings).await
    }

    /// Starts at an address.
    ///
    /// # Errors
    /// When the address cannot be had, or its script names no preset.
    pub async fn listen(at: SocketAddr, settings: SimulatorSettings) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let url = Url::parse(&format!("http://{}", listener.local_addr()?))
            .map_err(std::io::Error::other)?;
        let behaviour = Behaviour {
            all: settings.faults,
            providers: BTreeMap::new(),
        };
        let mut later = Vec::new();
        let mut probe = behaviour.clone();
        for switch in settings.script {
            probe.switch(&switch).map_err(std::io::Error::other)?;
            later.push(switch);
        }
        later.sort_by_key(|s| s.at_ms);
        let shared = Arc::new(Shared {
            seed: settings.seed,
            inner: Mutex::new(Inner {
                told: Told {
                    behaviour,
                    asked: BTreeMap::new(),
                },
                seen: HashMap::new(),
            }),
        });
        let mut tasks = vec![tokio::spawn(serve::serve(listener, Arc::clone(&shared)))];
        if !later.is_empty() {
            tasks.push(tokio::spawn(play(Arc::clone(&shared), later)));
        }
        Ok(Self { url, shared, tasks })
    }

    /// Its address; a provider's base is `{url}/{provider}/v1`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Changes how it behaves, from now on.
    ///
    /// # Errors
    /// A sentence, when the change names no preset.
    pub fn switch(&self, switch: &Switch) -> Result<(), String> {
        self.shared.switch(switch)
    }

    /// One provider's behaviour from now on; `None`: everybody's.
    pub fn behave(&self, provider: Option<&str>, faults: Faults) {
        let switch = Switch {
            provider: provider.map(str::to_owned),
            faults: Some(faults),
            ..Switch::default()
        };
        // Faults in full are always taken.
        let _ = self.shared.switch(&switch);
    }

    /// How it behaves and what it did.
    pub fn told(&self) -> Told {
        self.shared.told()
    }

    /// What one provider was asked.
    pub fn asked(&self, provider: &str) -> Asked {
        lock(&self.shared.inner)
            .told
            .asked
            .get(provider)
            .cloned()
            .unwrap_or_default()
    }

    /// Until it is stopped from outside.
    pub async fn wait(mut self) {
        if let Some(serving) = self.tasks.first_mut() {
            // It ends with the task, never by itself.
            let _ = serving.await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn play(shared: Arc<Shared>, script: Vec<Switch>) {
    let began = tokio::time::Instant::now();
    for switch in script {
        tokio::time::sleep_until(began + Duration::from_millis(switch.at_ms)).await;
        // It was tried out when the script was read.
        let _ = shared.switch(&switch);
    }
}
