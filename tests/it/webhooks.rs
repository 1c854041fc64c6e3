//! Webhooks as GitHub sends them, over real sockets: forms, large bodies, ids that come twice, and every example
//! that GitHub publishes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Start, state_folder};
use bsm::api::{ApiConfig, Face};
use bsm::code_host::github::sign;
use bsm::engine::protocol::query::{Answer, Query};
use bsm::engine::{Handle, Operator};
use bsm::settings::env::Env;
use bsm::settings::{ApiSettings, RepositoryFilters, Settings};
use serde_json::{Value, json};

const SECRET: &str = "a-webhook-secret-0123456789";
const FORM: &str = "application/x-www-form-urlencoded";

/// An engine whose GitHub is nowhere, and its face.
struct Door {
    handle: Arc<Handle>,
    _face: Face,
    client: reqwest::Client,
    url: String,
    _folder: tempfile::TempDir,
}

impl Door {
    async fn new() -> Self {
        Self::with(&[], |_| ()).await
    }

    async fn with(env: &[(&str, &str)], change: impl FnOnce(&mut Settings)) -> Self {
        let folder = state_folder();
        let mut start = Start::new(folder.path());
        start.resident = true;
        // Nothing listens there, and nothing is tried for long.
        start.settings.github.api_url = "http://127.0.0.1:1".into();
        start.settings.github.fetch_wait_ms = 0;
        start.env = Env::of(env.iter().copied());
        change(&mut start.settings);
        let handle = Arc::new(start.go().await);
        let config = ApiConfig {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            socket: None,
            admin_token: None,
            gateway_tokens: Vec::new(),
            webhook_secrets: vec![SECRET.into()],
            settings: ApiSettings::default(),
            keys: Vec::new(),
        };
        let face = Face::open(Arc::clone(&handle) as Arc<dyn Operator>, config)
            .await
            .unwrap();
        Self {
            url: format!("http://{}", face.address().unwrap()),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            handle,
            _face: face,
            _folder: folder,
        }
    }

    /// Sends signed bytes; the status and the answer.
    async fn send(&self, delivery: &str, event: &str, kind: &str, bytes: Vec<u8>) -> (u16, Value) {
        let sent = self
            .client
            .post(format!("{}/api/webhooks/github", self.url))
            .header("x-github-delivery", delivery)
            .header("x-github-event", event)
            .header("x-hub-signature-256", sign(SECRET, &bytes))
            .header("content-type", kind)
            .body(bytes)
            .send()
            .await
            .unwrap();
        (sent.status().as_u16(), sent.json().await.unwrap())
    }

    async fn json(&self, delivery: &str, event: &str, body: &Value) -> (u16, Value) {
        let bytes = body.to_string().into_bytes();
        self.send(delivery, event, "application/json", bytes).await
    }
}

pub(crate) fn opened(sha: &str) -> Value {
    json!({
        "action": "opened",
        "pull_request": {
            "number": 7, "title": "Better words", "draft": false, "state": "open",
            "head": {"sha": sha}, "base": {"ref": "main", "sha": "b".repeat(40)},
        },
        "repository": {"id": 1, "full_name": "acme/shop"},
    })
}

fn form(body: &Value) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("payload", &body.to_string());
    form.finish().into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhook_in_a_form_is_taken_and_its_signature_is_over_the_form() {
    let door = Door::new().await;
    let body = opened(&"a".repeat(40));
    let (status, answer) = door.send("one", "pull_request", FORM, form(&body)).await;
    assert_eq!(
        (status, &answer["status"]),
        (202, &json!("accepted")),
        "{answer}"
    );
    let (status, answer) = door
        .send("two", "pull_request", FORM, b"a=b".to_vec())
        .await;
    assert_eq!(status, 400);
    assert!(
        answer["error"].as_str().unwrap().contains("payload"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_may_be_25_mib_on_the_webhooks_path_and_nowhere_else() {
    let door = Door::new().await;
    let mut body = opened(&"a".repeat(40));
    body["pull_request"]["body"] = json!("x".repeat((25 << 20) - 2_000));
    let (status, answer) = door.json("large", "pull_request", &body).await;
    assert_eq!(status, 202, "{answer}");
    body["pull_request"]["body"] = json!("x".repeat(25 << 20));
    let bytes = body.to_string().into_bytes();
    let sent = door
        .client
        .post(format!("{}/webhook/github", door.url))
        .body(bytes)
        .send()
        .await;
    // The server may close the connection before all of it was sent.
    assert!(sent.is_err() || sent.is_ok_and(|sent| sent.status() == 413));
    let sent = door
        .client
        .post(format!("{}/api/orchestrator/run", door.url))
        .header("content-type", "application/json")
        .body(vec![b' '; (1 << 20) + 1])
        .send()
        .await;
    assert!(sent.is_err() || sent.is_ok_and(|sent| sent.status().is_client_error()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id_that_came_with_another_body_is_refused() {
    let door = Door::new().await;
    let (first, second) = (opened(&"a".repeat(40)), opened(&"c".repeat(40)));
    let (_, taken) = door.json("one", "pull_request", &first).await;
    let (status, answer) = door.json("one", "pull_request", &second).await;
    assert_eq!(
        (status, &answer["code"]),
        (409, &json!("CONFLICT")),
        "{answer}"
    );
    // The same bytes again are the same, under a new id too, and that id is theirs from then on.
    let (status, again) = door.json("two", "pull_request", &first).await;
    assert_eq!((status, &again["runId"]), (202, &taken["runId"]));
    let (status, _) = door.json("two", "pull_request", &second).await;
    assert_eq!(status, 409);
    let (status, _) = door.json("three", "pull_request", &second).await;
    assert_eq!(status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_stands_for_another_is_reviewed_by_its_rule() {
    let door = Door::new().await;
    let mut body = opened(&"a".repeat(40));
    body["action"] = json!("reopened");
    let (status, answer) = door.json("one", "pull_request", &body).await;
    assert_eq!(status, 202, "{answer}");
    let id = answer["runId"].as_str().unwrap();
    let run = door.handle.finished(id).await.unwrap();
    assert_eq!(run.event, "pull_request.opened");
    assert_eq!(run.requested_event.unwrap().raw(), "pull_request.reopened");
    assert_eq!(run.agents.len(), 4);
    body["action"] = json!("closed");
    let (status, answer) = door.json("two", "pull_request", &body).await;
    assert_eq!(
        (status, &answer["status"]),
        (200, &json!("unmapped")),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filter_leaves_out_and_the_inbox_says_which() {
    let door = Door::with(&[], |s| {
        s.github.filters.ignore_titles = vec!["*words".into()];
        let shop = RepositoryFilters {
            repository: "acme/web".into(),
            ignore_titles: Some(Vec::new()),
            ..RepositoryFilters::default()
        };
        s.github.repository_filters = vec![shop];
    })
    .await;
    let mut body = opened(&"a".repeat(40));
    let (status, answer) = door.json("one", "pull_request", &body).await;
    assert_eq!(
        (status, &answer["status"]),
        (200, &json!("skipped")),
        "{answer}"
    );
    let Ok(Answer::Deliveries { deliveries }) =
        door.handle.query(Query::Deliveries { limit: 1 }).await
    else {
        panic!("no list")
    };
    let note = &deliveries[0].note;
    assert!(
        note.contains("*words (github.filters.ignoreTitles)"),
        "{note}"
    );
    body["repository"]["full_name"] = json!("acme/web");
    let (status, _) = door.json("two", "pull_request", &body).await;
    assert_eq!(status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_without_a_list_of_repositories_is_an_alert() {
    let door = Door::with(&[("GITHUB_BSU_TOKEN", "ghp-test-token-0123456789")], |_| ()).await;
    let snapshot = door.handle.snapshots().borrow().clone();
    let alert = snapshot
        .alerts
        .iter()
        .find(|a| a.text.contains("github.repositories is empty"));
    assert!(alert.is_some(), "{:?}", snapshot.alerts);
}

/// How fast webhooks are answered. `BSM_MEASURE=1` sends a thousand, judges the p99 (10 ms, of a release build on a
/// machine at rest) and writes the figures to `bsm-webhooks.txt` in the folder for temporary files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_answered_before_their_changes_are_fetched() {
    let door = Door::new().await;
    let measure = std::env::var_os("BSM_MEASURE").is_some();
    let count = if measure { 1_000 } else { 20 };
    let mut times = Vec::new();
    for n in 0..count {
        let mut body = opened(&format!("{n:040x}"));
        body["pull_request"]["body"] = json!("word ".repeat(4_000));
        let began = Instant::now();
        let (status, answer) = door.json(&format!("d-{n}"), "pull_request", &body).await;
        times.push(began.elapsed());
        assert_eq!(status, 202, "{answer}");
    }
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    let line = format!("p50 {:?}, p99 {:?}, of {count}", at(50), at(99));
    if measure {
        std::fs::write(std::env::temp_dir().join("bsm-webhooks.txt"), &line).unwrap();
    }
    assert!(!measure || at(99) <= Duration::from_millis(10), "{line}");
}

/// Every example of the pinned npm package, where it is installed (`.ci/run` does; `BSM_WEBHOOK_EXAMPLES` is its
/// folder). Makes the table in docs/forges.md; `BSM_WRITE_DOCS=1` writes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_published_example_is_answered_and_listed_in_the_documents() {
    let Some(folder) = std::env::var_os("BSM_WEBHOOK_EXAMPLES") else {
        return;
    };
    let folder = std::path::PathBuf::from(folder);
    let text = std::fs::read_to_string(folder.join("api.github.com/index.json")).unwrap();
    let events: Vec<Value> = serde_json::from_str(&text).unwrap();
    let door = Door::new().await;
    let mut rows: BTreeMap<String, (u32, String)> = BTreeMap::new();
    let mut bad = Vec::new();
    let mut number = 0;
    for event in &events {
        let name = event["name"].as_str().unwrap();
        for example in event["examples"].as_array().unwrap() {
            number += 1;
            let id = format!("example-{number}");
            let (status, answer) = match number % 2 {
                0 => door.send(&id, name, FORM, form(example)).await,
                _ => door.json(&id, name, example).await,
            };
            if status >= 400 {
                bad.push(format!("{name} {}: {status} {answer}", example["action"]));
            }
            let action = example["action"].as_str();
            let key = action.map_or(name.to_owned(), |action| format!("{name}.{action}"));
            let row = rows.entry(key).or_default();
            row.0 += 1;
            let word = match answer["status"].as_str().unwrap_or_default() {
                "accepted" => "reviewed".to_owned(),
                "unmapped" => "counted".to_owned(),
                other => format!("{other}: {}", answer["reason"].as_str().unwrap_or_default()),
            };
            if !row.1.split("; ").any(|w| w == word) {
                row.1 = [row.1.as_str(), &word]
                    .join("; ")
                    .trim_start_matches("; ")
                    .to_owned();
            }
        }
    }
    assert_eq!(bad, Vec::<String>::new());
    assert!(number > 300, "{number} examples");
    let mut table = format!(
        "{number} examples of {} events. Every event that is not listed is counted too.\n\n\
         | event | examples | what it does |\n|---|---|---|\n",
        events.len()
    );
    for (name, (count, word)) in rows {
        writeln!(table, "| `{name}` | {count} | {word} |").unwrap();
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/forges.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- table of examples -->\n", "<!-- end of the table -->");
    let (before, rest) = page.split_once(begin).unwrap();
    let (old, after) = rest.split_once(end).unwrap();
    if std::env::var_os("BSM_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(old, table, "BSM_WRITE_DOCS=1 writes the table");
    }
}
