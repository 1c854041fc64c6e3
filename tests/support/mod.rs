//! What the test binaries share: an engine of their own, an upstream whose answers are written by hand.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "each test binary uses a part of it"
)]

pub mod provider;
pub mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bsm::engine::protocol::command::{Command, Envelope, Reply, Subject, Trigger};
use bsm::engine::protocol::run::RunResult;
use bsm::engine::protocol::snapshot::Mode;
use bsm::engine::{EngineConfig, Handle, Operator as _};
use bsm::model::simulator::{Faults, Latency, SimulatorSettings};
use bsm::resilience::clock::SystemClock;
use bsm::settings::Settings;
use bsm::settings::env::Env;
use bsm::state::StateDir;
use bsm::workspace::trust::TrustStore;

/// A change that no rule objects to.
pub const DOCS: &str = include_str!("../../assets/samples/docs.diff");

/// How the upstream answers one call.
#[derive(Debug, Clone)]
pub enum Wire {
    /// A complete answer with this content.
    Content(String),
    /// This status with this body.
    Status(u16, &'static str),
    /// A 200 with this body, whatever it is.
    Body(&'static str),
    /// A complete answer, later.
    Slow(Duration, String),
}

impl Wire {
    /// A verdict in the form asked for.
    pub fn verdict(decision: &str) -> Self {
        Self::Content(format!(
            r#"{{"decision":"{decision}","score":90,"comments":[]}}"#
        ))
    }
}

type Script = Arc<dyn Fn(&str, &str) -> Wire + Send + Sync>;

/// An OpenAI-compatible server in the test's own process. It counts what it was asked.
pub struct Upstream {
    /// Its base address.
    pub url: String,
    /// (system prompt, user prompt) of each call.
    pub calls: Arc<Mutex<Vec<(String, String)>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts an upstream; `script` gets system and user prompt.
pub async fn upstream(script: impl Fn(&str, &str) -> Wire + Send + Sync + 'static) -> Upstream {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let script: Script = Arc::new(script);
    let routes = Router::new()
        .route("/v1/chat/completions", post(answer))
        .layer(axum::extract::DefaultBodyLimit::max(64 << 20))
        .with_state((script, Arc::clone(&calls)));
    let task = tokio::spawn(async move {
        axum::serve(listener, routes).await.unwrap();
    });
    Upstream { url, calls, task }
}

async fn answer(
    State((script, calls)): State<(Script, Arc<Mutex<Vec<(String, String)>>>)>,
    body: Bytes,
) -> Response {
    let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let text = |n: usize| {
        request["messages"][n]["content"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let (system, user) = (text(0), text(1));
    calls.lock().unwrap().push((system.clone(), user.clone()));
    let complete = |content: String| {
        let body = serde_json::json!({
            "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        });
        axum::Json(body).into_response()
    };
    match script(&system, &user) {
        Wire::Content(content) => complete(content),
        Wire::Slow(wait, content) => {
            tokio::time::sleep(wait).await;
            complete(content)
        }
        Wire::Status(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Wire::Body(body) => ([("content-type", "application/json")], body).into_response(),
    }
}

/// What an engine of a test is started with.
pub struct Start<'a> {
    pub state: &'a Path,
    pub root: Option<&'a Path>,
    pub env: Env,
    pub settings: Settings,
    pub mode: Mode,
    pub resident: bool,
    pub settings_loader: Option<bsm::engine::config::store::SettingsLoader>,
    pub shared_redactor: bsm::engine::config::store::SharedRedactor,
    pub trust: TrustStore,
}

impl<'a> Start<'a> {
    /// Offline, in memory, with settings that waste no time.
    pub fn new(state: &'a Path) -> Self {
        let mut settings = Settings::default();
        settings.retry.base_ms = 1;
        settings.retry.cap_ms = 20;
        Self {
            state,
            root: None,
            env: Env::default(),
            settings,
            mode: Mode::default(),
            resident: false,
            settings_loader: None,
            shared_redactor: Arc::default(),
            trust: TrustStore::default(),
        }
    }

    /// With models at `url`.
    pub fn upstream(mut self, url: &str) -> Self {
        self.env = Env::of([
            ("OPENAI_BASE_URL", url),
            ("OPENAI_API_KEY", "test-key-0123456789"),
        ]);
        self
    }

    /// Starts it.
    pub async fn go(self) -> Handle {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let state = StateDir::at(self.state);
        state.prepare().unwrap();
        Handle::start(EngineConfig {
            settings: self.settings,
            env: self.env,
            root: self.root.map(Path::to_path_buf),
            trust: self.trust,
            workspace: None,
            follows_folder: true,
            state,
            mode: self.mode,
            resident: self.resident,
            log: None,
            settings_loader: self.settings_loader,
            clock: Arc::new(SystemClock),
            shared_redactor: self.shared_redactor,
            simulator: SimulatorSettings {
                faults: Faults::after(Latency::Between { from: 1, to: 20 }),
                ..SimulatorSettings::default()
            },
        })
        .await
        .unwrap()
    }
}

/// A store that trusts a workspace as it is now.
pub fn trusting(root: &Path) -> TrustStore {
    let path = std::fs::canonicalize(root).unwrap();
    let hash = bsm::workspace::trust::policy_hash(&bsm::files::Root::open(&path).unwrap());
    serde_json::from_value(serde_json::json!({"trusted": {path.to_str().unwrap(): hash}})).unwrap()
}

/// A private state folder.
pub fn state_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    dir
}

/// A trigger of an event over a diff.
pub fn trigger(event: &str, diff: &str) -> Trigger {
    Trigger {
        event: event.into(),
        subject: Some(Subject::Diff {
            diff: diff.as_bytes().to_vec().into(),
        }),
        ..Trigger::default()
    }
}

/// Sends a trigger; the run's id.
pub async fn accept(handle: &Handle, trigger: Trigger) -> String {
    let envelope = Envelope {
        command: Command::Trigger(trigger),
        actor: "test".into(),
        correlation: None,
    };
    match handle.send(envelope).await.unwrap() {
        Reply::Accepted { run, .. } => run,
        other => panic!("{other:?}"),
    }
}

/// Sends a command.
pub async fn command(
    handle: &Handle,
    command: Command,
) -> Result<Reply, bsm::engine::protocol::command::Refused> {
    handle
        .send(Envelope {
            command,
            actor: "test".into(),
            correlation: None,
        })
        .await
}

/// Runs a trigger to its end.
pub async fn finish(handle: &Handle, trigger: Trigger) -> RunResult {
    let id = accept(handle, trigger).await;
    tokio::time::timeout(Duration::from_secs(30), handle.finished(&id))
        .await
        .unwrap()
        .unwrap()
}

/// Text of every file beneath a folder, by path.
pub fn all_bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                found.insert(path.display().to_string(), bytes);
            }
        }
    }
    found
}

/// True when `needle` stands in `bytes`.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|w| w == needle)
}

/// A private key, put together at run time: (the key, one line of its body).
pub fn private_key() -> (String, String) {
    let body: Vec<String> = (0..12)
        .map(|i| format!("MIIEvQ{i:02}IBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJT{i:02}"))
        .collect();
    let begin = ["-----BEGIN RSA PRIV", "ATE KEY-----"].concat();
    let end = ["-----END RSA PRIV", "ATE KEY-----"].concat();
    (
        format!("{begin}\n{}\n{end}", body.join("\n")),
        body[5].clone(),
    )
}

/// A diff that adds `text` as a new file.
pub fn adding(file: &str, text: &str) -> String {
    let lines: String = text.lines().map(|l| format!("+{l}\n")).collect();
    // As git ends a name with blanks.
    let tab = if file.contains(' ') { "\t" } else { "" };
    format!(
        "diff --git a/{file} b/{file}\nnew file mode 100644\n--- /dev/null\n+++ b/{file}{tab}\n@@ -0,0 +1,{} @@\n{lines}",
        text.lines().count()
    )
}
