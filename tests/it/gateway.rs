//! The gateway with scripted providers: what passes untouched, who answers a named model, what an error
//! says, and what a stream does when it breaks.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderName;
use bsm::api::{ApiConfig, Face};
use bsm::engine::{Handle, Operator};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::provider::{Received, Say, ScriptedProvider};
use crate::support::{Start, state_folder, trusting};

const TOKEN: &str = "admin-token-0123456789";

/// An engine with two providers, and its face.
struct Rig {
    local: ScriptedProvider,
    cloud: ScriptedProvider,
    url: String,
    client: reqwest::Client,
    handle: Arc<Handle>,
    _face: Face,
    folders: (tempfile::TempDir, tempfile::TempDir),
}

/// Local: `small` (with `big` as its fallback where `fallbacks` says so) and `tiny`; cloud: `big`, every wire.
async fn rig(fallbacks: &str, change: impl FnOnce(&mut Start<'_>)) -> Rig {
    let (state, root) = (state_folder(), tempfile::tempdir().unwrap());
    let local = ScriptedProvider::start(answer).await;
    let cloud = ScriptedProvider::start(answer).await;
    let all = "[chat, completions, embeddings, responses, messages, gemini]";
    let models = format!(
        "version: 1
providers:
  local: {{kind: chat, baseUrl: '{}/v1', wires: {all}}}
  cloud: {{kind: chat, baseUrl: '{}/v1', keyEnv: [CLOUD_KEY], wires: {all}}}
  plain: {{kind: chat, baseUrl: '{}/v1'}}
  claude: {{kind: anthropic, baseUrl: '{}/v1'}}
models:
  small: {{provider: local, upstreamName: small-7b}}
  tiny: {{provider: local}}
  big: {{provider: cloud}}
  'cloud/*': {{provider: cloud}}
  chat-only: {{provider: plain}}
  messages-only: {{provider: claude}}
fallbacks: {fallbacks}
default: small
",
        local.url, cloud.url, cloud.url, cloud.url
    );
    std::fs::create_dir(root.path().join("agents")).unwrap();
    std::fs::write(root.path().join("agents/models.yaml"), models).unwrap();
    let mut start = Start::new(state.path());
    start.root = Some(root.path());
    start.trust = trusting(root.path());
    start.env = bsm::settings::env::Env::of([("CLOUD_KEY", "cloud-secret-0123456789")]);
    let hosts = vec!["127.0.0.1".to_owned()];
    start.settings.key_hosts.insert("CLOUD_KEY".into(), hosts);
    change(&mut start);
    let handle = Arc::new(start.go().await);
    let config = ApiConfig {
        listen: Some(([127, 0, 0, 1], 0).into()),
        socket: None,
        admin_token: Some(TOKEN.into()),
        gateway_tokens: vec![("shop".into(), "shop-token-0123456789".into())],
        webhook_secrets: Vec::new(),
        settings: bsm::settings::ApiSettings::default(),
        keys: Vec::new(),
    };
    let operator = Arc::clone(&handle) as Arc<dyn Operator>;
    let face = Face::open(operator, config).await.unwrap();
    Rig {
        url: format!("http://{}", face.address().unwrap()),
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
        local,
        cloud,
        handle,
        _face: face,
        folders: (state, root),
    }
}

impl Rig {
    fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.url));
        request
            .bearer_auth(TOKEN)
            .header("content-type", "application/json")
            .body(body)
    }

    async fn chat(&self, body: &Value) -> reqwest::Response {
        let request = self.post("/v1/chat/completions", body.to_string());
        request.send().await.unwrap()
    }
}

const CHAT_STREAM: &str = concat!(
    "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    ": a comment\n\n",
    "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}],\"foreign\":1}\n\n",
    "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n",
    "data: [DONE]\n\n",
);
const RESPONSES_STREAM: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"model\":\"m\"}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"usage\":{\"input_tokens\":7,\"output_tokens\":3}}}\n\n",
);
const MESSAGES_STREAM: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);
const GEMINI_STREAM: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":7,\"candidatesTokenCount\":3}}\r\n\r\n";

/// As a provider of every wire answers.
fn answer(received: &Received) -> Say {
    let streams = received.body.windows(13).any(|w| w == b"\"stream\":true");
    let gemini_stream = received.path.ends_with(":streamGenerateContent");
    let stream = match received.path.as_str() {
        "/v1/chat/completions" if streams => CHAT_STREAM,
        "/v1/responses" if streams => RESPONSES_STREAM,
        "/v1/messages" if streams => MESSAGES_STREAM,
        _ if gemini_stream => GEMINI_STREAM,
        _ => "",
    };
    if !stream.is_empty() {
        return Say::Events(stream.to_owned());
    }
    let body = match received.path.as_str() {
        "/v1/chat/completions" => json!({
            "id": "c", "model": received.model(), "foreign": {"a": [1]},
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }),
        "/v1/completions" => json!({
            "model": received.model(), "choices": [{"text": "hi", "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        }),
        "/v1/embeddings" => json!({
            "model": received.model(), "data": [{"embedding": [0.25]}], "usage": {"prompt_tokens": 7},
        }),
        "/v1/responses" => json!({
            "model": received.model(), "status": "completed", "output": [],
            "usage": {"input_tokens": 7, "output_tokens": 3},
        }),
        "/v1/messages" => json!({
            "type": "message", "model": received.model(), "content": [{"type": "text", "text": "hi"}],
            "stop_reason": "end_turn", "usage": {"input_tokens": 7, "output_tokens": 3},
        }),
        "/v1/messages/count_tokens" => json!({"input_tokens": 7}),
        _ => json!({
            "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3},
        }),
    };
    Say::ok(&body)
}

/// Paths of every wire with a body that has fields nobody here knows, spaced as no serializer does it.
const WIRES: [(&str, &str, &str); 8] = [
    (
        "/v1/chat/completions",
        "",
        "{ \"model\" : \"small\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:x\"}}]}],\"n\":1,\"vendor\":{\"z\":1.50, \"a\":[ ]}}",
    ),
    (
        "/v1/completions",
        "",
        "{\"prompt\":\"p\",  \"model\":\"small\",\"logprobs\":2}",
    ),
    (
        "/v1/embeddings",
        "",
        "{\"model\":\"small\",\"input\":[\"a\"],\"dimensions\":3}",
    ),
    (
        "/v1/responses",
        "",
        "{\"model\":\"small\",\"input\":[{\"type\":\"reasoning\",\"encrypted_content\":\"e\"}],\"previous_response_id\":\"r\"}",
    ),
    (
        "/v1/messages",
        "?beta=true",
        "{\"model\":\"small\",\"max_tokens\":9,\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":[],\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":5}}",
    ),
    (
        "/v1/messages/count_tokens",
        "",
        "{\"model\":\"small\",\"messages\":[]}",
    ),
    (
        "/v1beta/models/small:generateContent",
        "",
        "{\"contents\":[{\"parts\":[{\"text\":\"q\"}]}],\"model\":\"kept\"}",
    ),
    ("/v1beta/models/small:countTokens", "", "{\"contents\":[]}"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_of_every_wire_arrives_as_it_was_sent_but_for_the_model() {
    let rig = rig("{}", |_| ()).await;
    for (path, query, body) in WIRES {
        let request = rig.post(&format!("{path}{query}"), body);
        let request = request
            .header("anthropic-beta", "tools-1,cache-2")
            .header("anthropic-version", "2026-01-01")
            .header("openai-beta", "b")
            .header("traceparent", "00-1-2-01")
            .header("x-stainless-lang", "js")
            .header("cookie", "session=1");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["x-bsm-model"], "small", "{path}");
        assert!(response.headers().contains_key("x-request-id"), "{path}");
        let answered = response.bytes().await.unwrap();
        let received = rig.local.last();
        let Say::Json(_, _, wanted) = answer(&received) else {
            unreachable!("whole answers alone are asked for");
        };
        assert_eq!(answered, wanted.as_bytes(), "{path}");
        let named = body.replacen("\"small\"", "\"small-7b\"", 1);
        let named = if path.starts_with("/v1beta") {
            body
        } else {
            &named
        };
        assert_eq!(received.body, named.as_bytes(), "{path}");
        let upstream_path = path
            .replace("small:", "small-7b:")
            .replace("/v1beta", "/v1");
        assert_eq!(received.path, upstream_path);
        assert_eq!(received.query, query.trim_start_matches('?'), "{path}");
        let mut names: Vec<&str> = received.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let wanted = [
            "accept",
            "anthropic-beta",
            "anthropic-version",
            "content-length",
            "content-type",
            "host",
            "openai-beta",
            "traceparent",
            "user-agent",
        ];
        assert_eq!(names, wanted, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_of_every_wire_passes_untouched() {
    let rig = rig("{}", |_| ()).await;
    let body = r#"{"model":"small","stream":true}"#;
    for (path, wanted) in [
        ("/v1/chat/completions", CHAT_STREAM),
        ("/v1/responses", RESPONSES_STREAM),
        ("/v1/messages", MESSAGES_STREAM),
        (
            "/v1beta/models/small:streamGenerateContent?alt=sse",
            GEMINI_STREAM,
        ),
    ] {
        let response = rig.post(path, body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["x-bsm-provider"], "local", "{path}");
        let kind = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(kind.starts_with("text/event-stream"), "{path}: {kind}");
        assert_eq!(response.text().await.unwrap(), wanted, "{path}");
        if !path.starts_with("/v1beta") {
            let sent = rig.local.last().body;
            assert_eq!(
                sent,
                r#"{"model":"small-7b","stream":true}"#.as_bytes(),
                "{path}"
            );
        }
    }
    // What they used is known, though nobody was asked to say it.
    let mut snapshots = rig.handle.snapshots();
    let known = snapshots.wait_for(|s| s.tokens >= 40);
    tokio::time::timeout(Duration::from_secs(20), known)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn named_model_is_answered_by_no_other_and_errors_stay_themselves() {
    let rig = rig("{}", |s| s.settings.retry.attempts = 1).await;
    for status in [400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 529] {
        rig.local.behave(move |_| Say::error(status));
        for path in ["/v1/chat/completions", "/v1/responses", "/v1/messages"] {
            let response = rig.post(path, r#"{"model":"tiny"}"#).send().await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            let body: Value = response.json().await.unwrap();
            let said = body["error"]["message"].as_str().unwrap_or_default();
            assert!(
                said.contains(&format!("scripted {status}")),
                "{path} {body}"
            );
            let reset = bsm::engine::protocol::command::Command::ResetBreaker { breaker: None };
            crate::support::command(&rig.handle, reset).await.unwrap();
        }
    }
    assert_eq!(rig.cloud.count(), 0, "nobody wrote it down as a fallback");
    // A name that is none.
    let response = rig.chat(&json!({"model": "nosuch"})).await;
    assert_eq!(response.status(), 404);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "model_not_found");
    // Any model of a provider whose entry allows it.
    let response = rig.chat(&json!({"model": "cloud/any/thing"})).await;
    assert_eq!(response.status(), 200);
    assert_eq!(rig.cloud.last().model(), "any/thing");
    let key = rig.cloud.last().headers["authorization"].clone();
    assert_eq!(key, "Bearer cloud-secret-0123456789");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn written_fallback_answers_and_is_named() {
    let rig = rig("{small: [big]}", |s| s.settings.retry.attempts = 1).await;
    rig.local.behave(|_| Say::error(500));
    let response = rig.chat(&json!({"model": "small"})).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-bsm-model"], "big");
    assert_eq!(response.headers()["x-bsm-attempts"], "2");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["model"], "big");
    // Not where the caller wants none.
    let request = rig.post("/v1/chat/completions", r#"{"model":"small"}"#);
    let response = request.header("x-bsm-fallback", "false").send().await;
    assert_eq!(response.unwrap().status(), 500);
    // A request that is wrong is not asked of another one.
    rig.local.behave(|_| Say::error(400));
    let asked = rig.cloud.count();
    assert_eq!(rig.chat(&json!({"model": "small"})).await.status(), 400);
    assert_eq!(rig.cloud.count(), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_of_one_model_holds_no_other_and_nobody_waits_beside_a_fallback() {
    let rig = rig("{small: [big]}", |_| ()).await;
    let later = |_: &Received| {
        let Say::Json(status, _, body) = Say::error(429) else {
            unreachable!();
        };
        Say::Json(status, vec![("retry-after", "40".into())], body)
    };
    rig.local
        .behave(move |received| match received.model().as_str() {
            "small-7b" => later(received),
            _ => answer(received),
        });
    let began = std::time::Instant::now();
    for _ in 0..3 {
        let response = rig.chat(&json!({"model": "small"})).await;
        assert_eq!(response.headers()["x-bsm-model"], "big");
    }
    assert_eq!(rig.local.count(), 1, "it said for how long it wants quiet");
    assert_eq!(rig.chat(&json!({"model": "tiny"})).await.status(), 200);
    // Without a fallback the wait is the caller's, who is told it at once.
    let request = rig.post("/v1/chat/completions", r#"{"model":"small"}"#);
    let response = request.header("x-bsm-fallback", "false").send().await;
    let response = response.unwrap();
    assert_eq!(response.status(), 429);
    let after = response.headers()["retry-after"].to_str().unwrap();
    assert!(
        (30..=40).contains(&after.parse::<u32>().unwrap()),
        "{after}"
    );
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outage_of_one_model_stops_no_other() {
    let rig = rig("{}", |_| ()).await;
    rig.local
        .behave(|received| match received.model().as_str() {
            "small-7b" => Say::error(500),
            _ => answer(received),
        });
    // Its breaker opens; the provider's was opened by it alone.
    for _ in 0..8 {
        rig.chat(&json!({"model": "small"})).await;
    }
    let refused = rig.local.count();
    assert!(refused < 24, "{refused}");
    for _ in 0..3 {
        assert_eq!(rig.chat(&json!({"model": "tiny"})).await.status(), 200);
    }
    // With another model that answers, the failures are its own.
    for _ in 0..8 {
        rig.chat(&json!({"model": "small"})).await;
    }
    assert_eq!(rig.chat(&json!({"model": "tiny"})).await.status(), 200);
    let mut snapshot = rig.handle.snapshots();
    // The provider's row says what its own breaker does not.
    let shown = snapshot.wait_for(|s| {
        let counted = |name: &str| s.breakers.iter().any(|b| b.name == name && b.failures > 0);
        let mut rows = s.provider_rows.iter();
        counted("local/small-7b") && rows.any(|r| r.name == "local" && r.models_refused == 1)
    });
    tokio::time::timeout(Duration::from_secs(20), shown)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_here_and_at_the_client_do_not_multiply() {
    let rig = rig("{}", |_| ()).await;
    rig.local.behave(|_| Say::error(500));
    let response = rig.chat(&json!({"model": "tiny"})).await;
    assert_eq!(response.headers()["x-bsm-attempts"], "3");
    assert_eq!(response.headers()["x-should-retry"], "false");
    assert_eq!(rig.local.count(), 3);
    let request = rig.post("/v1/chat/completions", r#"{"model":"tiny"}"#);
    let again = request.header("x-stainless-retry-count", "1").send().await;
    assert_eq!(again.unwrap().status(), 500);
    assert_eq!(rig.local.count(), 4);
}

/// A channel that the provider streams from, given to its next request.
fn live(provider: &ScriptedProvider) -> mpsc::UnboundedSender<Bytes> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = std::sync::Mutex::new(Some(receiver));
    provider.behave(move |_| match receiver.lock().unwrap().take() {
        Some(receiver) => Say::Live(receiver),
        None => Say::Nothing,
    });
    sender
}

fn put(sender: &mpsc::UnboundedSender<Bytes>, text: &'static str) {
    sender.send(Bytes::from_static(text.as_bytes())).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_that_fails_before_its_content_is_another_models() {
    let rig = rig("{small: [big]}", |s| s.settings.retry.attempts = 1).await;
    let broken = live(&rig.local);
    put(
        &broken,
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\ndata: {\"error\":{\"message\":\"busy\"}}\n\n",
    );
    drop(broken);
    let response = rig.chat(&json!({"model": "small", "stream": true})).await;
    assert_eq!(response.headers()["x-bsm-model"], "big");
    assert_eq!(response.text().await.unwrap(), CHAT_STREAM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_that_breaks_after_its_content_ends_with_an_error_of_its_wire() {
    let rig = rig("{small: [big]}", |_| ()).await;
    for (path, piece, sign) in [
        (
            "/v1/chat/completions",
            "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: {\"cho",
            "data: {\"error\":{",
        ),
        (
            "/v1/messages",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"hi\"}}\n\n",
            "event: error\ndata: {\"type\":\"error\"",
        ),
        (
            "/v1/responses",
            "data: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n",
            "event: error\ndata: {\"type\":\"error\"",
        ),
    ] {
        let broken = live(&rig.local);
        put(&broken, piece);
        drop(broken);
        let request = rig.post(path, r#"{"model":"small","stream":true}"#);
        let text = request.send().await.unwrap().text().await.unwrap();
        let whole = &piece[..piece.rfind("\n\n").unwrap() + 2];
        let rest = text.strip_prefix(whole).unwrap_or_else(|| panic!("{text}"));
        assert!(rest.starts_with(sign), "{path}: {rest}");
        assert!(!text.contains("[DONE]") && rest.ends_with("\n\n"), "{path}");
    }
    assert_eq!(rig.cloud.count(), 0, "nobody goes on with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_stream_has_its_head_at_once_and_stays_alive() {
    let rig = rig("{}", |s| s.settings.gateway.keep_alive_ms = 100).await;
    let silent = live(&rig.local);
    put(&silent, ": nothing yet\n\n");
    let mut response = rig.chat(&json!({"model": "small", "stream": true})).await;
    assert_eq!(response.status(), 200);
    assert!(
        !response.headers().contains_key("x-bsm-model"),
        "not known yet"
    );
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(first, ": keep-alive\n\n");
    put(&silent, CHAT_STREAM);
    drop(silent);
    let rest = response.text().await.unwrap();
    let rest = rest.replace(": keep-alive\n\n", "");
    assert_eq!(
        rest,
        format!(": x-bsm-model: small\n\n: nothing yet\n\n{CHAT_STREAM}")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_leaves_ends_the_call_and_is_charged_what_came() {
    let rig = rig("{}", |_| ()).await;
    let endless = live(&rig.local);
    put(
        &endless,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":70,\"output_tokens\":1}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"hi there\"}}\n\n",
    );
    let request = rig.post("/v1/messages", r#"{"model":"small","stream":true}"#);
    let mut response = request.send().await.unwrap();
    response.chunk().await.unwrap().unwrap();
    drop(response);
    let left = async {
        while *rig.local.left.lock().unwrap() == 0 {
            // The provider finds out when it writes.
            let _ = endless.send(Bytes::from_static(b": alive\n\n"));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), left)
        .await
        .unwrap();
    let mut snapshots = rig.handle.snapshots();
    let booked = snapshots.wait_for(|s| s.tokens == 72);
    tokio::time::timeout(Duration::from_secs(20), booked)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_needs_a_key_in_any_of_the_headers_that_clients_use() {
    let rig = rig("{}", |_| ()).await;
    let send = async |name: &'static str, value: &str, path: &str| {
        let request = rig.client.post(format!("{}{path}", rig.url));
        let request = request.header(name, value).body(r#"{"model":"small"}"#);
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let key = "shop-token-0123456789";
    for (name, value) in [
        ("authorization", format!("bearer {key}")),
        ("x-api-key", key.into()),
        ("api-key", key.into()),
        ("x-goog-api-key", key.into()),
    ] {
        assert_eq!(send(name, &value, "/v1/messages").await.0, 200, "{name}");
    }
    let (status, body) = send("x-api-key", "wrong", "/v1/messages").await;
    assert_eq!(
        (status, &body["error"]["type"]),
        (401, &json!("authentication_error"))
    );
    assert_eq!(body["type"], "error", "in Anthropic's shape");
    let (status, body) = send("x-api-key", "wrong", "/v1/chat/completions").await;
    assert_eq!(
        (status, &body["error"]["type"]),
        (401, &json!("authentication_error"))
    );
    for path in ["/api/knowledge", "/api/emergency/status"] {
        let request = rig.client.get(format!("{}{path}", rig.url));
        let response = request.header("x-api-key", key).send().await.unwrap();
        assert_eq!(response.status(), 401, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_is_put_into_the_wire_that_its_provider_speaks() {
    let rig = rig("{}", |_| ()).await;
    let said = json!([{"role": "user", "content": "q"}]);
    // Messages at a provider of chat completions.
    let body = json!({"model": "chat-only", "max_tokens": 9, "top_k": 3, "messages": said});
    let response = rig
        .post("/v1/messages", body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-bsm-lost"], "top_k");
    let message: Value = response.json().await.unwrap();
    assert_eq!(message["content"], json!([{"type": "text", "text": "hi"}]));
    assert_eq!(
        (&message["model"], &message["stop_reason"]),
        (&json!("chat-only"), &json!("end_turn"))
    );
    assert_eq!(rig.cloud.last().path, "/v1/chat/completions");
    let mut streamed = body.clone();
    streamed["stream"] = json!(true);
    let response = rig
        .post("/v1/messages", streamed.to_string())
        .send()
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    let kinds: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("event: "))
        .collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    assert!(text.contains("\"output_tokens\":3"), "{text}");
    // Responses at the same one, and at one of Messages.
    for (model, path) in [
        ("chat-only", "/v1/chat/completions"),
        ("messages-only", "/v1/messages"),
    ] {
        let body = json!({"model": model, "input": "q", "stream": true});
        let response = rig
            .post("/v1/responses", body.to_string())
            .send()
            .await
            .unwrap();
        let text = response.text().await.unwrap();
        assert_eq!(rig.cloud.last().path, path);
        let last = text
            .lines()
            .rev()
            .find_map(|l| l.strip_prefix("data: "))
            .unwrap();
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["type"], "response.completed", "{text}");
        assert_eq!(last["response"]["output"][0]["content"][0]["text"], "hi");
    }
    // A chat at a provider of Messages, whose version header it gets.
    let response = rig
        .chat(&json!({"model": "messages-only", "messages": said}))
        .await;
    let chat: Value = response.json().await.unwrap();
    assert_eq!(chat["choices"][0]["message"]["content"], "hi");
    assert!(rig.cloud.last().headers.contains_key("anthropic-version"));
    assert_eq!(rig.cloud.last().json()["max_tokens"], 4_096);
    // What it cannot say is refused in words, and what nobody counts is estimated and says so.
    let response = rig
        .chat(&json!({"model": "messages-only", "messages": said, "n": 2}))
        .await;
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    assert!(
        body["error"]["message"].as_str().unwrap().contains("n:"),
        "{body}"
    );
    let body = json!({"model": "chat-only", "messages": said}).to_string();
    let response = rig
        .post("/v1/messages/count_tokens", body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-bsm-estimated"], "true");
}

/// What the operator's settings name no more is refused from the next reload on, although the workspace
/// changed since it was trusted; and that workspace's models stay as they were trusted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_program_is_refused_and_an_untrusted_edit_changes_no_model() {
    let named = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let loads = Arc::clone(&named);
    let rig = rig("{}", |start| {
        let mut with = start.settings.clone();
        with.api.gateway_tokens = vec![bsm::settings::NamedToken {
            name: "shop".into(),
            token_env: "SHOP".into(),
        }];
        start.settings = with.clone();
        start.settings_loader = Some(Arc::new(move |_, _| {
            let mut settings = with.clone();
            if !loads.load(std::sync::atomic::Ordering::Relaxed) {
                settings.api.gateway_tokens.clear();
            }
            Ok(settings)
        }));
    })
    .await;
    let ask = async || {
        let request = rig.client.post(format!("{}/v1/chat/completions", rig.url));
        let request = request.bearer_auth("shop-token-0123456789");
        let response = request.body(r#"{"model":"tiny"}"#).send().await.unwrap();
        response.status().as_u16()
    };
    assert_eq!(ask().await, 200);
    let models = rig.folders.1.path().join("agents/models.yaml");
    let text = std::fs::read_to_string(&models).unwrap();
    std::fs::write(&models, text.replace("tiny:", "renamed:")).unwrap();
    let reload = || bsm::engine::protocol::command::Command::Reload;
    crate::support::command(&rig.handle, reload())
        .await
        .unwrap();
    assert_eq!(ask().await, 200, "the trusted version stays in effect");
    named.store(false, std::sync::atomic::Ordering::Relaxed);
    crate::support::command(&rig.handle, reload())
        .await
        .unwrap();
    assert_eq!(ask().await, 401);
}
