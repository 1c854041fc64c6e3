//! The HTTP face over real sockets: every route and guard, the stream, and a console's way over it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{DOCS, Start, Wire, state_folder, trigger, upstream};
use bsm::api::client::{Address, ConnectError, Remote};
use bsm::api::{ApiConfig, Face};
use bsm::engine::protocol::command::{Command, Envelope, Refused, Reply, Subject};
use bsm::engine::protocol::event::Event;
use bsm::engine::protocol::query::{Answer, Query};
use bsm::engine::protocol::run::Action;
use bsm::engine::protocol::snapshot::Health;
use bsm::engine::{Handle, Operator};
use bsm::settings::{ApiSettings, RateLimit};
use serde_json::{Value, json};

const TOKEN: &str = "an-admin-token-0123456789";

struct Rig {
    handle: Arc<Handle>,
    face: Face,
    client: reqwest::Client,
    url: String,
    socket: PathBuf,
    folder: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut ApiConfig)) -> Self {
        let folder = state_folder();
        let handle = Start::new(folder.path()).go().await;
        Self::over(folder, handle, change).await
    }

    /// Over an engine that stays, and so knows whether its journal can be written.
    async fn resident() -> Self {
        let folder = state_folder();
        let mut start = Start::new(folder.path());
        start.resident = true;
        let handle = start.go().await;
        Self::over(folder, handle, |_| ()).await
    }

    /// Over an engine whose models are simulated.
    async fn simulated(change: impl FnOnce(&mut ApiConfig)) -> Self {
        let folder = state_folder();
        let mut start = Start::new(folder.path());
        start.mode.simulated = true;
        let handle = start.go().await;
        Self::over(folder, handle, change).await
    }

    async fn over(
        folder: tempfile::TempDir,
        handle: Handle,
        change: impl FnOnce(&mut ApiConfig),
    ) -> Self {
        let handle = Arc::new(handle);
        let socket = folder.path().join("bsm.sock");
        let mut config = ApiConfig {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            socket: Some(socket.clone()),
            admin_token: Some(TOKEN.into()),
            gateway_tokens: Vec::new(),
            webhook_secrets: Vec::new(),
            settings: ApiSettings {
                rate_limit: RateLimit {
                    max: 0,
                    window_ms: 1_000,
                },
                ..ApiSettings::default()
            },
            keys: vec![("OPENAI_API_KEY".into(), false)],
        };
        change(&mut config);
        let face = Face::open(Arc::clone(&handle) as Arc<dyn Operator>, config)
            .await
            .unwrap();
        let url = format!("http://{}", face.address().unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            handle,
            face,
            client,
            url,
            socket,
            folder,
        }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let sent = self.client.get(format!("{}{path}", self.url)).send().await;
        read(sent.unwrap()).await
    }

    async fn admin(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.url));
        read(request.header("x-admin-token", TOKEN).send().await.unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).json(body);
        read(request.header("x-admin-token", TOKEN).send().await.unwrap()).await
    }
}

async fn read(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let id = response.headers().get("x-correlation-id").cloned();
    assert_eq!(
        response.headers()["x-content-type-options"],
        "nosniff",
        "every answer has its headers"
    );
    let text = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    // The gateway's paths have the shapes of their protocols.
    if status >= 400 && !body["error"].is_object() {
        // One shape, everywhere; where a name is wrong, with those that are right.
        let keys = body.as_object().unwrap().keys();
        let keys: Vec<&String> = keys.filter(|key| *key != "valid").collect();
        assert_eq!(keys, ["error", "code", "correlationId"], "{body}");
        assert_eq!(body["correlationId"], id.unwrap().to_str().unwrap());
        assert!(!body["error"].as_str().unwrap().is_empty());
    }
    (status, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_anybody_on_this_machine_may_read() {
    let rig = Rig::resident().await;
    for path in ["/health", "/api/health"] {
        let (status, body) = rig.get(path).await;
        assert_eq!((status, &body["status"]), (200, &json!("healthy")));
        assert!(body["timestamp"].is_string() && body["correlationId"].is_string());
    }
    let (_, detailed) = rig.get("/api/health/detailed").await;
    for check in [
        "filesystem",
        "agentRegistry",
        "environment",
        "requiredFiles",
        "circuitBreakers",
        "journal",
        "files",
        "drain",
    ] {
        assert_eq!(detailed["checks"][check]["status"], "pass", "{detailed}");
    }
    let openai = &detailed["checks"]["circuitBreakers"]["breakers"]["openai"];
    assert_eq!(
        (&openai["state"], &openai["stats"]["total"]),
        (&json!("CLOSED"), &json!(0)),
        "as the documents show: {detailed}"
    );
    assert_eq!(rig.get("/livez").await.1["status"], "pass");
    let (ready, body) = rig.get("/readyz").await;
    assert_eq!((ready, &body["status"]), (200, &json!("pass")), "{body}");
    let (_, breakers) = rig.get("/api/health/circuit-breakers").await;
    assert_eq!(breakers["circuitBreakers"][0]["state"], "closed");
    let (_, status) = rig.get("/api/status").await;
    assert_eq!(status["environment"], "development");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let (_, caches) = rig.get("/api/cache/stats").await;
    for cache in ["agents", "knowledge", "registry", "responses"] {
        assert!(caches[cache]["ttl"].as_u64().unwrap() > 0, "{caches}");
    }
    let (_, agents) = rig.get("/api/agents").await;
    assert!(agents["total"].as_u64().unwrap() > 3);
    let id = agents["agents"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        agents["agents"][0].get("instructions"),
        None,
        "what it is told is nobody's business"
    );
    for path in ["status", "health"] {
        assert_eq!(rig.get(&format!("/api/agents/{id}/{path}")).await.0, 200);
        assert_eq!(
            rig.get(&format!("/api/agents/nobody/{path}")).await.1["code"],
            "AGENT_NOT_FOUND"
        );
    }
    assert_eq!(rig.get("/api/agents/status").await.0, 200);
    assert_eq!(
        rig.get("/api/agents?mode=nosuch").await.1["code"],
        "INVALID_INPUT"
    );
    let (_, config) = rig.get("/api/orchestrator/config").await;
    assert_eq!(config["success"], true);
    assert_eq!(
        config["totalEvents"],
        config["strategies"].as_array().unwrap().len()
    );
    let (_, keys) = rig.get("/api/chat/key-status").await;
    assert_eq!(keys["keys"]["OPENAI_API_KEY"], false);
    let (_, picture) = rig.get("/api/metrics").await;
    assert_eq!(picture["version"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_has_one_shape() {
    let rig = Rig::new().await;
    for path in [
        "/nothing",
        "/api/nothing",
        "/api/Health",
        "/HEALTH",
        "/api/agents/../status/x",
        "/api//health",
    ] {
        assert_eq!(rig.get(path).await.0, 404, "{path}");
    }
    let url = |path: &str| format!("{}{path}", rig.url);
    let wrong = rig.client.delete(url("/api/status")).send().await.unwrap();
    assert!(wrong.headers().contains_key("allow"));
    assert_eq!(read(wrong).await.1["code"], "METHOD_NOT_ALLOWED");
    let send = |body: &'static str, kind: &'static str| {
        let request = rig.client.post(url("/api/cache/clear")).body(body);
        request
            .header("content-type", kind)
            .header("x-admin-token", TOKEN)
            .send()
    };
    for (body, kind, status, code) in [
        ("{", "application/json", 400, "INVALID_JSON"),
        ("{}", "application/json", 400, "INVALID_INPUT"),
        ("{\"cache\":\"agents\"}", "text/plain", 415, "INVALID_INPUT"),
    ] {
        let (got, answer) = read(send(body, kind).await.unwrap()).await;
        assert_eq!(
            (got, answer["code"].as_str().unwrap()),
            (status, code),
            "{body}"
        );
    }
    let (_, unknown) = rig.post("/api/cache/clear", &json!({"cache": "x"})).await;
    let valid = json!(["agents", "knowledge", "registry", "responses", "all"]);
    assert_eq!(unknown["valid"], valid);
    let (_, all) = rig.post("/api/cache/clear", &json!({"cache": "all"})).await;
    assert_eq!(all["cleared"].as_array().map(Vec::len), Some(4));
    let (_, one) = rig
        .post("/api/cache/clear", &json!({"cache": "agents"}))
        .await;
    assert_eq!(one["cleared"], json!(["agents"]));
    let deep = "[".repeat(100_000);
    let request = rig.client.post(url("/api/cache/clear")).body(deep);
    let request = request
        .header("content-type", "application/json")
        .header("x-admin-token", TOKEN);
    assert_eq!(
        read(request.send().await.unwrap()).await.1["code"],
        "INVALID_JSON"
    );
    let large = json!({"cache": "x".repeat(2 << 20)});
    assert_eq!(
        rig.post("/api/cache/clear", &large).await.1["code"],
        "PAYLOAD_TOO_LARGE"
    );
    // The caller's id is kept when it is one, and replaced when it is not.
    for (sent, kept) in [
        ("abc-123", true),
        ("bad id", false),
        (&"x".repeat(65), false),
    ] {
        let response = rig
            .client
            .get(url("/health"))
            .header("x-correlation-id", sent)
            .send()
            .await
            .unwrap();
        let id = response.headers()["x-correlation-id"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(id == sent, kept, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_leave_nothing_is_changed() {
    let closed = Rig::with(|c| c.admin_token = None).await;
    let open = Rig::new().await;
    let writes = [
        ("/api/cache/clear", json!({"cache": "all"})),
        (
            "/api/orchestrator/run",
            json!({"event": "pull_request.opened"}),
        ),
        ("/api/control/run", json!({"event": "pull_request.opened"})),
        (
            "/api/agents/run",
            json!({"agentId": "security-agent", "input": "x"}),
        ),
        ("/api/chat", json!({"message": "x"})),
        ("/api/chat/direct", json!({"message": "x"})),
        ("/api/runs/job_1/cancel", json!({})),
        ("/api/runs/job_1/rerun", json!({})),
        ("/api/emergency/shutdown", json!({"reason": "x"})),
        (
            "/api/seam/command",
            json!({"command": {"command": "drain"}, "actor": "x"}),
        ),
        ("/api/seam/query", json!({"query": "workspace"})),
    ];
    for (path, body) in &writes {
        let (status, answer) = closed.post(path, body).await;
        assert_eq!(
            (status, answer["code"].as_str().unwrap()),
            (403, "ADMIN_DISABLED"),
            "{path}"
        );
        // An engine for each: wrong tokens are limited.
        let open = Rig::new().await;
        for token in [None, Some("wrong"), Some("")] {
            let mut request = open.client.post(format!("{}{path}", open.url)).json(body);
            if let Some(token) = token {
                request = request.header("x-admin-token", token);
            }
            let (status, answer) = read(request.send().await.unwrap()).await;
            assert_eq!(
                (status, answer["code"].as_str().unwrap()),
                (401, "UNAUTHORIZED"),
                "{path}"
            );
        }
    }
    for path in [
        "/api/knowledge",
        "/api/admin/knowledge",
        "/api/admin/agents",
        "/api/emergency/status",
    ] {
        assert_eq!(open.get(path).await.0, 401, "{path}");
        assert_eq!(open.admin(path).await.0, 200, "{path}");
    }
    let bearer = open
        .client
        .get(format!("{}/api/knowledge", open.url))
        .bearer_auth(TOKEN);
    assert_eq!(bearer.send().await.unwrap().status(), 200);
    assert!(!open.handle.snapshots().borrow().drained);
    // Beyond this machine it does not even listen without a token.
    let config = ApiConfig {
        listen: Some(SocketAddr::from(([0, 0, 0, 0], 0))),
        socket: None,
        admin_token: None,
        gateway_tokens: Vec::new(),
        webhook_secrets: Vec::new(),
        settings: ApiSettings::default(),
        keys: Vec::new(),
    };
    let handle = Arc::clone(&open.handle) as Arc<dyn Operator>;
    assert!(Face::open(handle, config).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_sites_other_names_and_other_networks_are_kept_out() {
    let rig = Rig::with(|c| c.settings.cors = vec!["https://board.example".into()]).await;
    let post = |name: &'static str, value: &'static str| {
        let request = rig.client.post(format!("{}/api/cache/clear", rig.url));
        let request = request
            .json(&json!({"cache": "agents"}))
            .header("x-admin-token", TOKEN);
        request.header(name, value).send()
    };
    assert_eq!(
        read(post("origin", "https://evil.example").await.unwrap())
            .await
            .0,
        403
    );
    assert_eq!(
        read(post("host", "evil.example").await.unwrap()).await.0,
        403
    );
    let allowed = post("origin", "https://board.example").await.unwrap();
    assert_eq!(
        allowed.headers()["access-control-allow-origin"],
        "https://board.example"
    );
    assert_eq!(allowed.status(), 200);
    let asked = rig.client.request(
        reqwest::Method::OPTIONS,
        format!("{}/api/cache/clear", rig.url),
    );
    let asked = asked
        .header("origin", "https://evil.example")
        .send()
        .await
        .unwrap();
    assert!(!asked.headers().contains_key("access-control-allow-origin"));
    // A header gives nobody leave, and what a proxy hands on that is not listed may come from anywhere.
    let lan = Rig::with(|c| c.settings.lan_only = true).await;
    let spoofed = lan
        .client
        .get(format!("{}/health", lan.url))
        .header("x-forwarded-for", "192.168.1.9");
    let (status, body) = read(spoofed.send().await.unwrap()).await;
    assert_eq!((status, &body["code"]), (403, &json!("LAN_ONLY_VIOLATION")));
    assert_eq!(lan.get("/health").await.0, 200);
    let mobile = Rig::with(|c| c.settings.mobile_mode = true).await;
    for path in [
        "/api/agents/run",
        "/api/orchestrator/run",
        "/api/control/run",
        "/api/emergency/shutdown",
    ] {
        assert_eq!(
            mobile.post(path, &json!({})).await.1["code"],
            "MOBILE_MODE_RESTRICTION",
            "{path}"
        );
    }
    assert_eq!(mobile.get("/api/orchestrator/config").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_has_so_many_requests_and_is_told() {
    let rig = Rig::with(|c| {
        c.settings.rate_limit = RateLimit {
            max: 2,
            window_ms: 60_000,
        };
    })
    .await;
    for left in ["1", "0"] {
        let response = rig
            .client
            .get(format!("{}/api/status", rig.url))
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["ratelimit-limit"], "2");
        assert_eq!(response.headers()["ratelimit-remaining"], left);
    }
    let refused = rig
        .client
        .get(format!("{}/api/status", rig.url))
        .send()
        .await
        .unwrap();
    assert!(
        refused.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            <= 60
    );
    assert_eq!(read(refused).await.1["code"], "RATE_LIMITED");
    for path in [
        "/health",
        "/api/health",
        "/api/health/detailed",
        "/api/health/circuit-breakers",
    ] {
        let status = rig.get(path).await.0;
        assert_eq!(status, 200, "who only asks whether it is up is not counted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_over_http_from_its_diff_to_its_report() {
    let rig = Rig::new().await;
    let body = json!({"event": "pull_request.opened", "diff": DOCS, "idempotencyKey": "once"});
    let (status, accepted) = rig.post("/api/orchestrator/run", &body).await;
    assert_eq!(status, 202, "{accepted}");
    let id = accepted["runId"].as_str().unwrap().to_owned();
    assert!(accepted["correlationId"].is_string());
    rig.handle.finished(&id).await.unwrap();
    let (_, again) = rig.post("/api/control/run", &body).await;
    assert_eq!(again["runId"], id.as_str(), "asked twice, it ran once");
    let (_, run) = rig.get(&format!("/api/runs/{id}")).await;
    assert_eq!(run["decision"]["action"], "approve_and_merge");
    let (status, rerun) = rig.post(&format!("/api/runs/{id}/rerun"), &json!({})).await;
    assert_eq!(
        (status, &rerun["rerunOf"]),
        (202, &id.as_str().into()),
        "{rerun}"
    );
    let second = rerun["runId"].as_str().unwrap().to_owned();
    assert_ne!(second, id);
    let second = rig.handle.finished(&second).await.unwrap();
    assert_eq!(second.event, "pull_request.opened");
    let (status, unknown) = rig.post("/api/runs/job_0/rerun", &json!({})).await;
    assert_eq!((status, &unknown["code"]), (404, &"NOT_FOUND".into()));
    let linted = r#"{"message": "m", "location": {"path": "docs/guide.md", "range": {"start": {"line": 1}}}, "severity": "ERROR", "source": {"name": "vale"}}"#;
    let with_findings = json!({
        "event": "pull_request.opened", "diff": DOCS, "filterMode": "all",
        "findings": [{"name": "vale.jsonl", "content": linted}],
    });
    let (_, accepted) = rig.post("/api/orchestrator/run", &with_findings).await;
    let other = accepted["runId"].as_str().unwrap().to_owned();
    rig.handle.finished(&other).await.unwrap();
    let (_, run) = rig.get(&format!("/api/runs/{other}")).await;
    assert_eq!(run["decision"]["action"], "request_changes");
    assert!(run.to_string().contains("lint:vale/unnamed"), "{run}");
    let (_, runs) = rig.get("/api/runs?limit=5").await;
    assert_eq!(runs["runs"][2]["id"], id.as_str());
    assert_eq!(rig.get("/api/runs?limit=0").await.0, 400);
    assert_eq!(rig.get("/api/runs/job_0").await.1["code"], "NOT_FOUND");
    let report = rig
        .client
        .get(format!("{}/api/runs/{id}/report", rig.url))
        .send()
        .await
        .unwrap();
    assert!(
        report.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/markdown")
    );
    assert!(report.text().await.unwrap().contains("# Agents summary"));
    assert_eq!(
        rig.post(&format!("/api/runs/{id}/cancel"), &json!({}))
            .await
            .0,
        404,
        "it has ended"
    );
    let large = json!({"event": "pull_request.opened", "diff": "x".repeat(17 << 20)});
    assert_eq!(
        rig.post("/api/orchestrator/run", &large).await.1["code"],
        "PAYLOAD_TOO_LARGE"
    );
    let (_, drained) = rig
        .post("/api/emergency/shutdown", &json!({"reason": "trying it"}))
        .await;
    assert_eq!(drained["success"], true, "{drained}");
    assert_eq!(
        rig.post("/api/emergency/shutdown", &json!({"reason": " "}))
            .await
            .0,
        400
    );
    assert_eq!(rig.admin("/api/emergency/status").await.1["drained"], true);
    let other = json!({"event": "pull_request.opened", "diff": DOCS});
    assert_eq!(
        rig.post("/api/orchestrator/run", &other).await.1["code"],
        "ORCHESTRATION_FAILED"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chat_is_answered_by_a_model_or_says_why_not() {
    let none = Rig::new().await;
    let (status, answer) = none.post("/api/chat", &json!({"message": "hello"})).await;
    assert_eq!(
        (status, answer["code"].as_str().unwrap()),
        (503, "MISSING_API_KEY")
    );
    let up = upstream(|_, user| match user {
        u if u.contains("fail") => Wire::Status(500, "{}"),
        _ => Wire::Content("an answer".into()),
    })
    .await;
    let folder = state_folder();
    let handle = Start::new(folder.path()).upstream(&up.url).go().await;
    let rig = Rig::over(folder, handle, |_| ()).await;
    let history =
        json!([{"role": "user", "text": "before"}, {"role": "assistant", "text": "said"}]);
    let (_, answer) = rig
        .post(
            "/api/chat",
            &json!({"message": "hello", "history": history, "language": "ar"}),
        )
        .await;
    assert_eq!(answer["output"], "an answer", "{answer}");
    let (_, answer) = rig
        .post(
            "/api/agents/run",
            &json!({"agentId": "security-agent", "input": "look"}),
        )
        .await;
    assert_eq!(
        (answer["output"].as_str(), answer["agentId"].as_str()),
        (Some("an answer"), Some("security-agent"))
    );
    let (status, answer) = rig
        .post("/api/chat/direct", &json!({"message": "fail"}))
        .await;
    assert_eq!(
        (status, answer["code"].as_str().unwrap()),
        (503, "ALL_MODELS_FAILED")
    );
    for bad in [
        json!({"message": ""}),
        json!({"message": "x".repeat(4_001)}),
        json!({"message": "x", "language": "fr"}),
    ] {
        assert_eq!(rig.post("/api/chat", &bad).await.0, 400);
    }
    let long = json!({"agentId": "security-agent", "input": "x".repeat(4_001)});
    assert_eq!(rig.post("/api/agents/run", &long).await.0, 400);
    let nobody = json!({"agentId": "nobody", "input": "x"});
    assert_eq!(
        rig.post("/api/agents/run", &nobody).await.1["code"],
        "AGENT_NOT_FOUND"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_what_a_collector_reads() {
    let rig = Rig::resident().await;
    let response = rig
        .client
        .get(format!("{}/metrics", rig.url))
        .send()
        .await
        .unwrap();
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let text = response.text().await.unwrap();
    let lines = text.lines().map(|l| Ok(l.to_owned()));
    let page = prometheus_parse::Scrape::parse(lines).unwrap();
    let value = |name: &str| {
        let sample = page.samples.iter().find(|s| s.metric == name);
        match sample.unwrap_or_else(|| panic!("{name} is missing")).value {
            prometheus_parse::Value::Counter(v) | prometheus_parse::Value::Gauge(v) => v,
            ref other => panic!("{other:?}"),
        }
    };
    assert!((value("bsm_health") - 0.0).abs() < 1e-9);
    assert!(value("process_resident_memory_bytes") >= 0.0);
    let closed = page
        .samples
        .iter()
        .filter(|s| s.metric == "bsm_breaker_state" && s.labels.get("state") == Some("closed"));
    assert!(closed.count() >= 4);
    let mut names: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("# TYPE "))
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "each family once");
}

/// The board and the rules ask for figures that are there, and every rule leads to a page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn board_and_alert_rules_know_the_metrics_and_their_pages() {
    let rig = Rig::new().await;
    // One decision, so that every family has a sample.
    let body = json!({"event": "pull_request.opened", "diff": DOCS});
    let (_, answer) = rig.post("/api/orchestrator/run", &body).await;
    rig.handle
        .finished(answer["runId"].as_str().unwrap())
        .await
        .unwrap();
    let mut pictures = rig.handle.snapshots();
    pictures
        .wait_for(|s| !s.decisions.is_empty())
        .await
        .unwrap();
    let (_, page) = rig.get("/metrics").await;
    let page = page.as_str().unwrap();
    let families: Vec<&str> = page
        .lines()
        .filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = std::fs::read_to_string(root.join("assets/prometheus/alerts.yaml")).unwrap();
    let board = std::fs::read_to_string(root.join("assets/grafana/bsm.json")).unwrap();
    let board: Value = serde_json::from_str(&board).unwrap();
    let mut asked = Vec::new();
    gather(&board, "expr", &mut asked);
    let rules: Value = serde_yaml::from_str(&rules).unwrap();
    gather(&rules, "expr", &mut asked);
    assert!(asked.len() > 40, "{}", asked.len());
    let mut known = 0;
    for word in asked
        .iter()
        .flat_map(|e| e.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|w| w.starts_with("bsm_") || w.starts_with("gen_ai_") || w.starts_with("process_"))
    {
        assert!(families.contains(&word), "{word} is no metric");
        known += 1;
    }
    assert!(known > 60, "{known}");
    let mut pages = Vec::new();
    gather(&rules, "runbook_url", &mut pages);
    let mut alerts = Vec::new();
    gather(&rules, "alert", &mut alerts);
    assert_eq!(pages.len(), alerts.len(), "every rule has a page");
    for page in pages {
        let text = std::fs::read_to_string(root.join(&page)).unwrap_or_default();
        assert!(text.lines().count() > 8, "{page}");
    }
}

/// Texts under a key, wherever it stands.
fn gather(value: &Value, key: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (k, v) in map {
                match v.as_str() {
                    Some(text) if k == key => out.push(text.to_owned()),
                    _ => gather(v, key, out),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|v| gather(v, key, out)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_over_the_socket_sees_and_does_what_one_inside_does() {
    let rig = Rig::with(|c| c.admin_token = None).await;
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&rig.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let remote = Remote::connect(Address::Socket(rig.socket.clone()))
        .await
        .unwrap();
    let mut events = remote.events();
    assert_eq!(
        remote.snapshots().borrow().workspace,
        rig.handle.snapshots().borrow().workspace
    );
    let envelope = Envelope {
        command: Command::Trigger(trigger("pull_request.opened", DOCS)),
        actor: "test".into(),
        correlation: None,
    };
    let Ok(Reply::Accepted { run, .. }) = remote.send(envelope).await else {
        panic!("not accepted");
    };
    let finished = async {
        loop {
            if let Event::RunFinished { run: id, action } = events.next().await.unwrap()
                && id == run
            {
                return action;
            }
        }
    };
    let action = tokio::time::timeout(Duration::from_secs(30), finished)
        .await
        .unwrap();
    assert_eq!(action, Action::ApproveAndMerge);
    let Ok(Answer::Run { run: over_it }) = remote.query(Query::Run { id: run.clone() }).await
    else {
        panic!("no run");
    };
    let Ok(Answer::Run { run: inside }) = rig.handle.query(Query::Run { id: run }).await else {
        panic!("no run");
    };
    assert_eq!(over_it, inside);
    // The changes add up to the picture inside.
    let mut pictures = remote.snapshots();
    let same = pictures.wait_for(|p| {
        let inside = rig.handle.snapshots().borrow().clone();
        p.sequence == inside.sequence && **p == *inside
    });
    tokio::time::timeout(Duration::from_secs(10), same)
        .await
        .unwrap()
        .unwrap();
    let refused = remote.query(Query::Report { id: "job_0".into() }).await;
    assert_eq!(
        refused,
        rig.handle.query(Query::Report { id: "job_0".into() }).await
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tcp_no_file_of_the_machine_can_be_named() {
    let rig = Rig::new().await;
    let url = url::Url::parse(&rig.url).unwrap();
    let http = |token: Option<&str>| Address::Http {
        url: url.clone(),
        token: token.map(str::to_owned),
    };
    let remote = Remote::connect(http(Some(TOKEN))).await.unwrap();
    assert!(!remote.capabilities().local_paths);
    let mut named = trigger("pull_request.opened", DOCS);
    named.subject = Some(Subject::Folder { dir: "/etc".into() });
    let envelope = Envelope {
        command: Command::Trigger(named),
        actor: "test".into(),
        correlation: None,
    };
    let refused = remote.send(envelope).await.unwrap_err();
    assert!(refused.to_string().contains("owner's socket"), "{refused}");
    // Without the token it looks on, and does nothing.
    let looking = Remote::connect(http(None)).await.unwrap();
    let refused = looking.query(Query::Workspace).await.unwrap_err();
    assert!(refused.to_string().contains("BSM_TOKEN"), "{refused}");
    let clear = || Envelope {
        command: Command::ClearCache {
            cache: None,
            tag: None,
        },
        actor: "test".into(),
        correlation: None,
    };
    let refused = looking.send(clear()).await.unwrap_err().to_string();
    assert!(
        refused.contains("401") && !refused.contains("not known"),
        "what was refused was not done: {refused}"
    );
    // Who said --read-only changes nothing, whatever the token would allow.
    let reading = remote.reading_only();
    assert!(reading.capabilities().read_only);
    let refused = reading.send(clear()).await;
    assert!(matches!(refused, Err(Refused::ReadOnly)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_link_is_said_and_mended_and_no_event_is_lost() {
    let rig = Rig::resident().await;
    let remote = Remote::connect(Address::Socket(rig.socket.clone()))
        .await
        .unwrap();
    let mut pictures = remote.snapshots();
    let mut events = remote.events();
    let Rig {
        handle,
        face,
        socket,
        folder: _folder,
        ..
    } = rig;
    face.close(Duration::from_secs(1)).await;
    let lost = pictures.wait_for(|p| p.health == Health::Unhealthy);
    let lost = tokio::time::timeout(Duration::from_secs(10), lost)
        .await
        .unwrap()
        .unwrap();
    assert!(
        lost.reasons[0]
            .message
            .starts_with("disconnected from unix:"),
        "{:?}",
        lost.reasons
    );
    drop(lost);
    let config = ApiConfig {
        listen: None,
        socket: Some(socket),
        admin_token: None,
        gateway_tokens: Vec::new(),
        webhook_secrets: Vec::new(),
        settings: ApiSettings::default(),
        keys: Vec::new(),
    };
    let face = Face::open(Arc::clone(&handle) as Arc<dyn Operator>, config)
        .await
        .unwrap();
    let back = pictures.wait_for(|p| p.health == Health::Healthy);
    tokio::time::timeout(Duration::from_secs(20), back)
        .await
        .unwrap()
        .unwrap();
    let id = crate::support::accept(&handle, trigger("pull_request.opened", DOCS)).await;
    let seen = async {
        loop {
            if let Event::RunFinished { run, .. } = events.next().await.unwrap() {
                return run;
            }
        }
    };
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(20), seen)
            .await
            .unwrap(),
        id
    );
    face.close(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_and_nobody_are_told_apart() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let app = axum::Router::new().route(
        "/api/seam/hello",
        axum::routing::get(|| async { axum::Json(json!({"seam": 99, "version": "9.9.9"})) }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let connect = async |text: &str| {
        Remote::connect(Address::read(text, None).unwrap())
            .await
            .err()
            .unwrap()
    };
    let error = connect(&url).await;
    assert!(matches!(error, ConnectError::Version { .. }), "{error}");
    assert!(error.to_string().contains("9.9.9"));
    assert!(matches!(
        connect("unix:/nonexistent/bsm.sock").await,
        ConnectError::Nobody { .. }
    ));
    for bad in ["ftp://x", "nonsense", "unix", ""] {
        assert!(Address::read(bad, None).is_err(), "{bad}");
    }
    assert!(
        Address::read("http://10.0.0.1:3000", Some("t".into())).is_err(),
        "no token in clear text"
    );
}

/// Runs where `BSM_PYTHON` names a Python that has the `openai` package; CI installs one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_python_client_completes_and_streams() {
    let Some(python) = std::env::var_os("BSM_PYTHON") else {
        println!("skipped: BSM_PYTHON names no Python with the openai package");
        return;
    };
    let rig = Rig::simulated(|_| ()).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openai_client.py");
    let output = tokio::process::Command::new(python)
        .args([script, &format!("{}/v1", rig.url), TOKEN])
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success() && output.stdout.starts_with(b"ok"),
        "{} {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs where `BSM_PYTHON` names a Python that has schemathesis; CI installs it. Left out: the stream, which
/// has no end, and the drain, after which nothing is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_no_failure_and_no_answer_that_is_not_described() {
    let Some(python) = std::env::var_os("BSM_PYTHON") else {
        println!("skipped: BSM_PYTHON names no Python with schemathesis");
        return;
    };
    let rig = Rig::simulated(|c| {
        c.webhook_secrets = vec!["a-webhook-secret-0123456789".into()];
    })
    .await;
    let output = tokio::process::Command::new(python)
        .args([
            "-m",
            "schemathesis.cli",
            "run",
            "--no-color",
            "--max-examples",
            "10",
        ])
        .args([
            "--seed",
            "7",
            "--generation-database",
            "none",
            "--request-timeout",
            "20",
        ])
        .args([
            "--exclude-path",
            "/api/stream",
            "--exclude-path",
            "/api/emergency/shutdown",
        ])
        // A text that is no diff is a text all the same: no schema can say it.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .args(["-H", &format!("x-admin-token: {TOKEN}")])
        .arg(format!("{}/openapi.json", rig.url))
        .env("NO_PROXY", "127.0.0.1")
        .current_dir(rig.folder.path())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("SUMMARY"),
        "{said}"
    );
}

/// Approvals, agents and lists over HTTP: who may, and what is said to the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_stopped_and_approvals_need_an_approver() {
    let rig = Rig::new().await;
    for path in [
        "/api/approvals/apr_x/approve",
        "/api/agents/stop/security-agent",
        "/api/agents/start/security-agent",
    ] {
        let request = rig
            .client
            .post(format!("{}{path}", rig.url))
            .json(&json!({"reason": "r"}));
        assert_eq!(read(request.send().await.unwrap()).await.0, 401, "{path}");
    }
    let why = json!({"reason": "looked at it"});
    let (status, body) = rig.post("/api/approvals/apr_x/approve", &why).await;
    assert_eq!(status, 401, "an administrator is no approver: {body}");
    let request = rig
        .client
        .post(format!("{}/api/approvals/apr_x/deny", rig.url))
        .json(&why);
    let request = request
        .header("x-admin-token", TOKEN)
        .header("x-approver-token", "guess");
    let (status, body) = read(request.send().await.unwrap()).await;
    assert_eq!(
        (status, &body["code"]),
        (403, &json!("FORBIDDEN")),
        "{body}"
    );
    let (status, _) = rig.post("/api/agents/stop/nobody", &json!({})).await;
    assert_eq!(status, 404);
    let (status, body) = rig
        .post("/api/agents/stop/security-agent", &json!({}))
        .await;
    assert_eq!((status, &body["agentId"]), (200, &json!("security-agent")));
    // Where it is wanted and does not work, a person decides.
    let wanted = json!({"event": "pull_request.opened", "diff": DOCS});
    let (_, answer) = rig.post("/api/orchestrator/run", &wanted).await;
    let run = rig
        .handle
        .finished(answer["runId"].as_str().unwrap())
        .await
        .unwrap();
    let decision = run.decision.unwrap();
    assert_eq!(decision.action, Action::ManualReview);
    assert!(
        decision.reason.raw().contains("an operator stopped it"),
        "{decision:?}"
    );
    let (status, _) = rig
        .post("/api/agents/start/security-agent", &json!({}))
        .await;
    assert_eq!(status, 200);
    let (_, answer) = rig.post("/api/orchestrator/run", &wanted).await;
    let run = rig
        .handle
        .finished(answer["runId"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(run.decision.unwrap().action, Action::ApproveAndMerge);
}

/// What systemd hears of a served engine: ready, alive, stopping; and its signals.
#[test]
fn a_service_tells_when_it_is_ready_alive_and_stopping() {
    use std::os::unix::net::UnixDatagram;
    let folder = state_folder();
    let path = folder.path().join("notify");
    let ear = UnixDatagram::bind(&path).unwrap();
    ear.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let hear = || {
        let mut bytes = [0; 200];
        let read = ear.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    };
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_bsm"))
        .args(["serve", "--no-tcp", "--offline", "--allow-root"])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("XDG_STATE_HOME", folder.path())
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(hear(), "READY=1");
    assert_eq!((hear(), hear()), ("WATCHDOG=1".into(), "WATCHDOG=1".into()));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    while hear() != "STOPPING=1" {}
    assert!(child.wait().unwrap().success());
    let units = ["bsm.service", "bsm-user.service"];
    for unit in units {
        let path = format!("{}/assets/systemd/{unit}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.contains("Type=notify") && text.contains(" serve"),
            "{unit}"
        );
    }
}

/// Who says nothing, or stops in the middle, does not hold a place; who finds none waits for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_slow_connections_are_closed_and_places_are_counted() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let rig = Rig::with(|c| {
        c.settings.idle_ms = 200;
        c.settings.max_connections = 2;
    })
    .await;
    let at = rig.face.address().unwrap();
    let gone = async |sent: &[u8]| {
        let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        assert!(
            ended.is_ok(),
            "still open: {:?}",
            String::from_utf8_lossy(sent)
        );
        String::from_utf8_lossy(&answer).into_owned()
    };
    gone(b"").await;
    gone(b"GET /health HTTP/1.1\r\nhost: localho").await;
    let answered = gone(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    let body = format!(
        "POST /api/cache/clear HTTP/1.1\r\nhost: localhost\r\nx-admin-token: {TOKEN}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    let answered = gone(body.as_bytes()).await;
    assert!(!answered.contains(" 200 "), "{answered}");
    // Both places taken by people who say nothing: health is answered all the same, nothing else is.
    let _idle = [
        tokio::net::TcpStream::connect(at).await.unwrap(),
        tokio::net::TcpStream::connect(at).await.unwrap(),
    ];
    for path in ["/health", "/livez", "/readyz", "/api/health/detailed"] {
        assert_eq!(rig.get(path).await.0, 200, "{path}");
    }
    let (status, body) = rig.get("/api/agents").await;
    assert_eq!((status, &body["code"]), (503, &json!("RATE_LIMITED")));
    rig.face.close(Duration::from_secs(2)).await;
}

/// What a proxy hands on is not this machine's own, and only a listed one says whose it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_nobody_is_local() {
    let rig = Rig::with(|c| {
        c.settings.lan_only = true;
        c.settings.trusted_proxies = vec!["127.0.0.1".into()];
    })
    .await;
    let through = async |path: &str, client: &str| {
        let request = rig.client.get(format!("{}{path}", rig.url));
        read(
            request
                .header("x-forwarded-for", client)
                .send()
                .await
                .unwrap(),
        )
        .await
    };
    assert_eq!(rig.get("/api/runs").await.0, 200);
    assert_eq!(through("/api/runs", "192.168.1.9").await.0, 401);
    assert_eq!(through("/health", "192.168.1.9").await.0, 200);
    let (status, body) = through("/health", "203.0.113.9").await;
    assert_eq!((status, &body["code"]), (403, &json!("LAN_ONLY_VIOLATION")));
    let folder = state_folder();
    let handle = Arc::new(Start::new(folder.path()).go().await);
    let config = ApiConfig {
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        socket: None,
        admin_token: None,
        gateway_tokens: Vec::new(),
        webhook_secrets: Vec::new(),
        settings: ApiSettings {
            trusted_proxies: vec!["proxy.example".into()],
            ..ApiSettings::default()
        },
        keys: Vec::new(),
    };
    let refused = Face::open(handle as Arc<dyn Operator>, config)
        .await
        .err()
        .unwrap();
    assert!(refused.to_string().contains("trustedProxies"), "{refused}");
}

/// Who else looks is in the picture, and gone from it when they leave: people, not clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn picture_names_each_attached_person_once_and_no_command_line_client() {
    let rig = Rig::new().await;
    let mut pictures = rig.handle.snapshots();
    let socket = || Address::Socket(rig.socket.clone());
    let client = Remote::connect(socket()).await.unwrap();
    let first = Remote::connect_console(socket()).await.unwrap();
    let me = bsm::api::client::whoami();
    assert!(me.contains('@'));
    let mut of_client = client.snapshots();
    // A picture that is held keeps the next one from coming: it is let go at once.
    let seen = of_client.wait_for(|s| !s.attached.is_empty()).await;
    let seen = seen.unwrap().attached.clone();
    assert_eq!(seen, std::slice::from_ref(&me), "a client is nobody");
    let second = Remote::connect_console(socket()).await.unwrap();
    drop(first);
    let other = rig.handle.attach("another@there".into());
    let seen = pictures.wait_for(|s| s.attached.len() == 2).await;
    let seen = seen.unwrap().attached.clone();
    assert_eq!(seen, [me.clone(), "another@there".into()]);
    drop(second);
    let one = pictures.wait_for(|s| s.attached == ["another@there"]);
    drop(one.await.unwrap());
    drop(other);
    pictures.wait_for(|s| s.attached.is_empty()).await.unwrap();
}

/// Every path that is served is described, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_is_of_what_is_served() {
    let rig = Rig::new().await;
    let (status, api) = rig.get("/openapi.json").await;
    assert_eq!((status, &api["openapi"]), (200, &json!("3.1.0")));
    let paths = api["paths"].as_object().unwrap();
    assert!(paths.len() > 35, "{}", paths.len());
    let mut ids = std::collections::BTreeSet::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].to_string()), "{path}");
            assert!(!operation["summary"].as_str().unwrap().is_empty());
            let real = path.replace("{id}", "nobody");
            if method == "get" && path != "/api/stream" {
                let (status, body) = rig.admin(&real).await;
                assert_ne!(body["code"], "METHOD_NOT_ALLOWED", "{path}");
                let known = &operation["responses"][status.to_string()];
                assert!(
                    !known.is_null(),
                    "{path} answered {status}, which is not described"
                );
                let schema = &known["content"]["application/json"]["schema"];
                for needed in schema["required"].as_array().into_iter().flatten() {
                    let needed = needed.as_str().unwrap();
                    assert!(!body[needed].is_null(), "{path}: {needed} in {body}");
                }
            } else if method == "post" && methods.get("get").is_none() {
                let (status, _) = rig.get(&real).await;
                assert_eq!(status, 405, "{path}");
            }
        }
    }
}

/// Wrong tokens are limited wherever they are tried, whatever address a header claims, and the right one does not
/// show through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_a_token_is_slow_on_every_route() {
    let rig = Rig::new().await;
    let ask = async |path: &str, token: &str, n: usize| {
        let request = rig.client.get(format!("{}{path}", rig.url));
        let request = request.header("x-forwarded-for", format!("203.0.113.{n}"));
        let sent = request.bearer_auth(token).send().await.unwrap();
        (
            sent.status().as_u16(),
            sent.headers().contains_key("retry-after"),
        )
    };
    let paths = [
        "/metrics",
        "/api/agents",
        "/api/stream",
        "/v1/models",
        "/api/runs",
    ];
    assert_ne!(ask("/metrics", TOKEN, 0).await.0, 429);
    for n in 0..10 {
        let (status, _) = ask(paths[n % paths.len()], "a-wrong-token-0123456789", n).await;
        assert_ne!(status, 429, "{n}");
    }
    for (n, path) in paths.into_iter().enumerate() {
        for token in ["a-wrong-token-0123456789", TOKEN] {
            assert_eq!(ask(path, token, 20 + n).await, (429, true), "{path}");
        }
    }
    // Health is answered, and requests without a token are.
    assert_eq!(
        ask("/api/health", "a-wrong-token-0123456789", 30).await.0,
        200
    );
    assert_eq!(rig.get("/metrics").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_token_is_refused_beyond_loopback_in_every_environment() {
    let folder = state_folder();
    let handle = Arc::new(Start::new(folder.path()).go().await);
    for (token, good) in [("fifteen-letters", false), ("sixteen-letters!", true)] {
        let config = ApiConfig {
            listen: Some(SocketAddr::from(([0, 0, 0, 0], 0))),
            socket: None,
            admin_token: Some(token.into()),
            gateway_tokens: Vec::new(),
            webhook_secrets: Vec::new(),
            settings: ApiSettings::default(),
            keys: Vec::new(),
        };
        let opened = Face::open(Arc::clone(&handle) as Arc<dyn Operator>, config).await;
        assert_eq!(opened.is_ok(), good, "{token}");
        if let Err(error) = opened {
            let said = error.to_string();
            assert!(said.contains("fewer than 16 characters"), "{said}");
        }
    }
}

/// One client's streams leave places for others, and come back when they end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_client_are_bounded() {
    let rig = Rig::with(|c| c.settings.max_connections = 8).await;
    let open = async || {
        let request = rig.client.get(format!("{}/api/stream", rig.url));
        request.send().await.unwrap()
    };
    let first = open().await;
    let second = open().await;
    assert_eq!(
        (first.status().as_u16(), second.status().as_u16()),
        (200, 200)
    );
    let (status, body) = read(open().await).await;
    assert_eq!((status, body["code"].as_str()), (429, Some("RATE_LIMITED")));
    drop(first);
    let again = async {
        while open().await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again)
        .await
        .unwrap();
}

/// When connections take all places, health and webhooks are still answered, and others are told at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_webhooks_have_places_of_their_own() {
    let rig = Rig::with(|c| {
        c.settings.max_connections = 4;
        c.webhook_secrets = vec!["a-webhook-secret-0123456789".into()];
    })
    .await;
    let at = rig.face.address().unwrap();
    // Four that say nothing; one client has three of the four places, the fourth is a reserved one already.
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(tokio::net::TcpStream::connect(at).await.unwrap());
    }
    let (status, body) = rig.get("/api/agents").await;
    assert_eq!((status, body["code"].as_str()), (503, Some("RATE_LIMITED")));
    assert_eq!(rig.get("/api/health").await.0, 200);
    let hook = rig.client.post(format!("{}/webhook/github", rig.url));
    let answered = hook
        .json(&json!({}))
        .send()
        .await
        .unwrap()
        .status()
        .as_u16();
    assert_ne!(answered, 503, "the signature decides");
    drop(idle);
    let freed = async {
        while rig.get("/api/agents").await.0 != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_are_read_and_acknowledged_over_http() {
    let rig = Rig::new().await;
    let isolate = Command::IsolateBreaker {
        breaker: "openai".into(),
    };
    crate::support::command(&rig.handle, isolate).await.unwrap();
    let (status, body) = rig.get("/api/alerts").await;
    assert_eq!(status, 200, "{body}");
    let alert = &body["alerts"][0];
    assert_eq!(
        (&alert["code"], &alert["runbook"]),
        (&json!("breaker-isolated"), &json!("breaker-open")),
        "{body}"
    );
    let path = format!("/api/alerts/{}/acknowledge", alert["id"].as_str().unwrap());
    let nobody = rig.client.post(format!("{}{path}", rig.url)).send().await;
    assert_eq!(read(nobody.unwrap()).await.0, 401, "an administrator's");
    let (status, body) = rig.post(&path, &json!({})).await;
    assert_eq!(status, 200, "{body}");
    let (_, body) = rig.get("/api/alerts").await;
    assert_eq!(body["alerts"][0]["acknowledgedBy"], "api", "{body}");
    let (status, _) = rig
        .post("/api/alerts/alr_nobody/acknowledge", &json!({}))
        .await;
    assert_eq!(status, 404);
}
