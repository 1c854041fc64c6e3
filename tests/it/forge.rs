//! Changes as they come from GitHub: by the ids of commits, from the list of files where the diff is too large,
//! waited for while GitHub is away, and asked for with an app's tokens.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::collections::VecDeque;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use bsm::engine::protocol::blob::Blob;
use bsm::engine::protocol::command::{Command, Reply};
use bsm::engine::protocol::github::Webhook;
use bsm::engine::protocol::run::{Action, RunResult, RunState};
use bsm::engine::{Handle, Operator as _};
use bsm::settings::Settings;
use bsm::settings::env::Env;
use serde_json::{Value, json};

use crate::support::{DOCS, Start, Wire, command, state_folder, upstream};
use crate::webhooks::opened;

const TOKEN: &str = "ghp-test-token-0123456789";

/// An answer to the next request whose path has `part` in it.
struct Once {
    part: &'static str,
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

/// A GitHub with one pull request.
struct Hub {
    head: String,
    state: &'static str,
    files: Vec<Value>,
    tree: Value,
    once: VecDeque<Once>,
    /// Method, path with query, authorization, if-none-match.
    asked: Vec<(String, String, String, String)>,
    installation: Option<u64>,
    tokens: u32,
    /// What the repository is called by now.
    name: &'static str,
    /// The branch that the pull request goes into.
    base: &'static str,
}

#[derive(Clone)]
struct Forge {
    hub: Arc<Mutex<Hub>>,
    url: String,
}

async fn answer(
    State(hub): State<Arc<Mutex<Hub>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let mut hub = hub.lock().unwrap();
    let text = |name: &str| {
        let value = headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    };
    let whole = uri.path_and_query().unwrap().as_str().to_owned();
    let seen = (
        method.to_string(),
        whole.clone(),
        text("authorization"),
        text("if-none-match"),
    );
    hub.asked.push(seen);
    if let Some(at) = hub.once.iter().position(|once| whole.contains(once.part)) {
        let once = hub.once.remove(at).unwrap();
        let mut response =
            (StatusCode::from_u16(once.status).unwrap(), Json(once.body)).into_response();
        for (name, value) in once.headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        return response;
    }
    let path = uri
        .path()
        .trim_start_matches("/repositories/99")
        .trim_start_matches("/repos/acme/shop")
        .trim_start_matches("/repos/acme/store");
    match path {
        "/pulls/7" => {
            let tag = format!("\"{}{}\"", hub.head, hub.state);
            if text("if-none-match") == tag {
                return StatusCode::NOT_MODIFIED.into_response();
            }
            let body = json!({"number": 7, "comments": 0, "state": hub.state, "head": {"sha": hub.head},
                "base": {"ref": hub.base, "sha": "b".repeat(40), "repo": {"full_name": hub.name, "id": 99}}});
            ([("etag", tag)], Json(body)).into_response()
        }
        "/pulls/7/files" => {
            let page: usize = whole.split("page=").last().unwrap().parse().unwrap();
            let some: Vec<&Value> = hub.files.iter().skip((page - 1) * 100).take(100).collect();
            Json(json!(some)).into_response()
        }
        "/installation" => match hub.installation {
            Some(id) => Json(json!({"id": id})).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        "/app/installations/5/access_tokens" => {
            hub.tokens += 1;
            let token = format!("installation-token-{}", hub.tokens);
            Json(json!({"token": token, "expires_at": "2099-01-01T00:00:00Z"})).into_response()
        }
        _ if path.starts_with("/compare/") => {
            let wanted = format!("/compare/{}...{}", "b".repeat(40), hub.head);
            if path == wanted {
                DOCS.into_response()
            } else {
                (StatusCode::NOT_FOUND, Json(json!({"message": "Not Found"}))).into_response()
            }
        }
        _ if method == Method::POST => Json(json!({"id": 1})).into_response(),
        _ if path.starts_with("/git/trees/") => Json(hub.tree.clone()).into_response(),
        _ => (StatusCode::NOT_FOUND, Json(json!({"message": "Not Found"}))).into_response(),
    }
}

impl Forge {
    async fn new() -> Self {
        let hub = Arc::new(Mutex::new(Hub {
            head: head(),
            state: "open",
            files: Vec::new(),
            tree: json!({"tree": []}),
            once: VecDeque::new(),
            asked: Vec::new(),
            installation: None,
            tokens: 0,
            name: "acme/shop",
            base: "main",
        }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&hub));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { hub, url }
    }

    async fn engine(&self, folder: &FilePath, change: impl FnOnce(&mut Settings)) -> Handle {
        self.engine_with(folder, &[], change).await
    }

    async fn engine_with(
        &self,
        folder: &FilePath,
        env: &[(&str, &str)],
        change: impl FnOnce(&mut Settings),
    ) -> Handle {
        let mut start = Start::new(folder);
        start.resident = true;
        start.settings.github.api_url.clone_from(&self.url);
        start.settings.github.repositories = vec!["acme/*".into()];
        start.settings.github.dry_run = true;
        start.settings.github.fetch_pause_ms = 20;
        let token = [("GITHUB_BSU_TOKEN", TOKEN)];
        start.env = Env::of(token.iter().chain(env).copied());
        change(&mut start.settings);
        let settings = start.settings.clone();
        start.settings_loader = Some(Arc::new(move |_, _| Ok(settings.clone())));
        start.go().await
    }

    fn once(&self, part: &'static str, status: u16, body: Value) {
        self.with_headers(part, status, body, Vec::new());
    }

    fn with_headers(
        &self,
        part: &'static str,
        status: u16,
        body: Value,
        headers: Vec<(&'static str, String)>,
    ) {
        let once = Once {
            part,
            status,
            headers,
            body,
        };
        self.hub.lock().unwrap().once.push_back(once);
    }

    fn paths(&self) -> Vec<String> {
        let hub = self.hub.lock().unwrap();
        hub.asked.iter().map(|(_, path, ..)| path.clone()).collect()
    }
}

fn head() -> String {
    "a".repeat(40)
}

async fn deliver(handle: &Handle, id: &str, body: &Value) -> String {
    deliver_as(handle, "pull_request", id, body).await
}

async fn deliver_as(handle: &Handle, named: &str, id: &str, body: &Value) -> String {
    let webhook = Command::Deliver(Webhook {
        delivery: id.into(),
        named: named.into(),
        body: Blob(body.to_string().into_bytes()),
    });
    match command(handle, webhook).await.unwrap() {
        Reply::Delivered { run: Some(run), .. } => run,
        other => panic!("{other:?}"),
    }
}

async fn ended(handle: &Handle, run: &str) -> RunResult {
    let ended = tokio::time::timeout(Duration::from_secs(20), handle.finished(run));
    ended.await.unwrap().unwrap()
}

/// Waits until the list of runs says so of the newest one.
async fn says(handle: &Handle, wanted: &str) {
    let mut snapshots = handle.snapshots();
    let said = snapshots.wait_for(|s| {
        let run = s.runs.first();
        run.is_some_and(|r| r.why_at(0).is_some_and(|why| why.contains(wanted)))
    });
    tokio::time::timeout(Duration::from_secs(10), said)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_is_asked_for_once_by_the_ids_of_its_commits() {
    let (forge, folder) = (Forge::new().await, state_folder());
    let handle = forge.engine(folder.path(), |_| ()).await;
    let run = deliver(&handle, "one", &opened(&head())).await;
    let run = ended(&handle, &run).await;
    assert!(run.coverage.is_complete(), "{:?}", run.coverage);
    let wanted = format!("/repos/acme/shop/compare/{}...{}", "b".repeat(40), head());
    assert_eq!(forge.paths(), [wanted]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_that_is_too_large_comes_by_its_files_and_what_is_not_sent_is_named() {
    let (forge, folder) = (Forge::new().await, state_folder());
    let url = |sha: &str| format!("http://h/repos/acme/shop/contents/x?ref={sha}");
    let file = |n: usize| {
        json!({"filename": format!("docs/f{n}.md"), "status": "modified", "additions": 1, "deletions": 0,
            "patch": "@@ -0,0 +1 @@\n+word", "contents_url": url(&head())})
    };
    let entry = |n: usize| json!({"path": format!("docs/f{n}.md"), "mode": "100644"});
    {
        let mut hub = forge.hub.lock().unwrap();
        hub.files = (0..150).map(file).collect();
        hub.files[149].as_object_mut().unwrap().remove("patch");
        hub.tree = json!({"tree": (0..150).map(entry).collect::<Vec<_>>()});
    }
    forge.once("/compare/", 406, json!({"message": "too_large"}));
    let handle = forge.engine(folder.path(), |_| ()).await;
    let run = deliver(&handle, "one", &opened(&head())).await;
    let run = ended(&handle, &run).await;
    assert_eq!(
        (run.coverage.files_total, run.coverage.files_seen),
        (150, 149)
    );
    let skipped = &run.coverage.skipped[0];
    assert_eq!(skipped.path.raw(), "docs/f149.md");
    assert!(skipped.reason.contains("no patch"), "{}", skipped.reason);
    assert_ne!(run.decision.unwrap().action, Action::ApproveAndMerge);
    // The list is of another commit, though the pull request says before and after that it is at this one.
    {
        let mut hub = forge.hub.lock().unwrap();
        hub.files[3]["contents_url"] = json!(url(&"c".repeat(40)));
    }
    forge.once("/compare/", 406, json!({"message": "too_large"}));
    let mut body = opened(&head());
    body["pull_request"]["base"]["ref"] = json!("dev");
    forge.hub.lock().unwrap().base = "dev";
    let run = deliver(&handle, "two", &body).await;
    let decision = ended(&handle, &run).await.decision.unwrap();
    assert_eq!(decision.action, Action::ManualReview);
    assert!(
        decision.reason.raw().contains("moved on"),
        "{:?}",
        decision.reason
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_waits_for_a_host_that_is_away_without_a_place_and_over_a_restart() {
    let (forge, folder) = (Forge::new().await, state_folder());
    let away = || {
        for _ in 0..10_000 {
            forge.once("/", 502, json!({"message": "away"}));
        }
    };
    let one = |s: &mut Settings| s.engine.max_concurrent_runs = 1;
    away();
    let first = forge.engine(folder.path(), one).await;
    let run = deliver(&first, "one", &opened(&head())).await;
    says(&first, "GitHub answered 502").await;
    let tried = async {
        while forge.paths().len() < 6 {
            first.snapshots().changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), tried)
        .await
        .unwrap();
    // The only place is free: another run goes through.
    let other = crate::support::accept(&first, crate::support::trigger("default", DOCS)).await;
    assert_eq!(ended(&first, &other).await.state, RunState::Finished);
    first.stop(Duration::from_secs(5)).await;
    drop(first);
    forge.hub.lock().unwrap().once.clear();
    let second = forge.engine(folder.path(), one).await;
    let run = ended(&second, &run).await;
    assert!(run.coverage.is_complete(), "{:?}", run.decision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_ends_where_the_pull_request_was_closed_or_the_time_is_up() {
    let (forge, folder) = (Forge::new().await, state_folder());
    let handle = forge.engine(folder.path(), |_| ()).await;
    forge.hub.lock().unwrap().state = "closed";
    forge.once("/compare/", 502, json!({"message": "away"}));
    let run = deliver(&handle, "one", &opened(&head())).await;
    let decision = ended(&handle, &run).await.decision.unwrap();
    assert!(
        decision.reason.raw().contains("was closed"),
        "{:?}",
        decision.reason
    );
    // Commits that GitHub does not know, though the pull request is there, are not waited for for hours.
    let (forge, folder) = (Forge::new().await, state_folder());
    let handle = forge.engine(folder.path(), |_| ()).await;
    for _ in 0..4 {
        forge.once("/compare/", 404, json!({"message": "Not Found"}));
    }
    let run = deliver(&handle, "one", &opened(&head())).await;
    let decision = ended(&handle, &run).await.decision.unwrap();
    assert!(
        decision.reason.raw().contains("does not know the commits"),
        "{:?}",
        decision.reason
    );
    let (forge, folder) = (Forge::new().await, state_folder());
    for _ in 0..1_000 {
        forge.once("/", 502, json!({"message": "away"}));
    }
    let short = |s: &mut Settings| s.github.fetch_wait_ms = 0;
    let handle = forge.engine(folder.path(), short).await;
    let run = deliver(&handle, "one", &opened(&head())).await;
    let decision = ended(&handle, &run).await.decision.unwrap();
    assert_eq!(decision.action, Action::ManualReview);
    assert_eq!(forge.paths().len(), 4, "four tries and no more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_pauses_every_fetch_for_as_long_as_it_says() {
    let (forge, folder) = (Forge::new().await, state_folder());
    let handle = forge.engine(folder.path(), |_| ()).await;
    let soon = vec![("retry-after", "1".to_owned())];
    forge.with_headers(
        "/compare/",
        403,
        json!({"message": "secondary rate limit"}),
        soon,
    );
    let first = deliver(&handle, "one", &opened(&head())).await;
    says(&handle, "wants a pause of 1 s").await;
    let mut body = opened(&head());
    body["action"] = json!("synchronize");
    let second = deliver(&handle, "two", &body).await;
    says(&handle, "GitHub asked for a pause").await;
    assert_eq!(forge.paths().len(), 1, "nothing is asked meanwhile");
    for run in [first, second] {
        assert!(ended(&handle, &run).await.coverage.is_complete());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renamed_repository_is_followed_on_its_host_and_nowhere_else() {
    let (forge, folder) = (Forge::new().await, state_folder());
    let handle = forge.engine(folder.path(), |_| ()).await;
    let path = format!("/compare/{}...{}", "b".repeat(40), head());
    let moved = vec![("location", format!("{}/repositories/99{path}", forge.url))];
    forge.with_headers("/compare/", 301, json!({}), moved);
    let run = deliver(&handle, "one", &opened(&head())).await;
    assert!(ended(&handle, &run).await.coverage.is_complete());
    let mut body = opened(&head());
    // The same commit into another branch is another change.
    body["pull_request"]["base"]["ref"] = json!("dev");
    let run = deliver(&handle, "two", &body).await;
    assert!(ended(&handle, &run).await.coverage.is_complete());
    let wanted = format!("/repositories/99{path}");
    assert_eq!(forge.paths()[1..], [wanted.clone(), wanted], "remembered");
    // To another host a token never goes.
    let (other, folder) = (Forge::new().await, state_folder());
    let handle = other.engine(folder.path(), |_| ()).await;
    let away = vec![("location", format!("{}/repositories/99{path}", forge.url))];
    other.with_headers("/compare/", 301, json!({}), away);
    let before = forge.paths().len();
    let run = deliver(&handle, "one", &opened(&head())).await;
    assert_eq!(
        ended(&handle, &run).await.decision.unwrap().action,
        Action::ManualReview
    );
    assert_eq!(forge.paths().len(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_again_is_asked_with_its_tag() {
    let (forge, folder) = (Forge::new().await, state_folder());
    let handle = forge.engine(folder.path(), |_| ()).await;
    let mut body = opened(&head());
    body["pull_request"]["base"] = json!({"ref": "main"});
    let run = deliver(&handle, "one", &body).await;
    assert!(ended(&handle, &run).await.coverage.is_complete());
    let wish = json!({
        "action": "rerequested", "repository": {"full_name": "acme/shop"},
        "check_run": {"head_sha": head(), "pull_requests": [{"number": 7, "base": {"ref": "main"}}]},
    });
    let run = deliver_as(&handle, "check_run", "two", &wish).await;
    assert!(ended(&handle, &run).await.coverage.is_complete());
    let hub = forge.hub.lock().unwrap();
    let tags: Vec<&str> = hub
        .asked
        .iter()
        .filter(|(_, path, ..)| path.ends_with("/pulls/7"))
        .map(|(.., tag)| tag.as_str())
        .collect();
    let wanted = format!("\"{}open\"", head());
    assert_eq!(tags, ["", wanted.as_str()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pull_request_that_has_cost_enough_is_not_reviewed_again() {
    let (forge, folder) = (Forge::new().await, state_folder());
    let models = upstream(|_, _| Wire::verdict("approve")).await;
    let env = [
        ("OPENAI_BASE_URL", models.url.as_str()),
        ("OPENAI_API_KEY", "test-key-0123456789"),
    ];
    let cap = |s: &mut Settings| s.github.filters.pull_usd = 1e-9;
    let handle = forge.engine_with(folder.path(), &env, cap).await;
    let run = deliver(&handle, "one", &opened(&head())).await;
    assert!(ended(&handle, &run).await.cost_usd() > 0.0);
    let mut body = opened(&head());
    body["action"] = json!("synchronize");
    let webhook = Command::Deliver(Webhook {
        delivery: "two".into(),
        named: "pull_request".into(),
        body: Blob(body.to_string().into_bytes()),
    });
    let Reply::Delivered {
        run: None, note, ..
    } = command(&handle, webhook).await.unwrap()
    else {
        panic!("reviewed again")
    };
    assert!(note.contains("github.filters.pullUsd"), "{note}");
    // Another pull request has its own money.
    body["pull_request"]["number"] = json!(8);
    deliver(&handle, "three", &body).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_takes_a_new_token_from_its_file() {
    let (forge, folder) = (Forge::new().await, state_folder());
    let path = folder.path().join("token");
    std::fs::write(&path, "the-first-token-0123456789").unwrap();
    let file = path.to_str().unwrap().to_owned();
    let named = |s: &mut Settings| s.github.token_file = file;
    let handle = forge.engine(folder.path(), named).await;
    let mut body = opened(&head());
    // The same commit into another branch is another change.
    for (id, base) in [("one", "main"), ("two", "dev"), ("three", "next")] {
        body["pull_request"]["base"]["ref"] = json!(base);
        let run = deliver(&handle, id, &body).await;
        assert!(ended(&handle, &run).await.coverage.is_complete());
        match id {
            "one" => std::fs::write(&path, "the-second-token-0123456789").unwrap(),
            _ => drop(command(&handle, Command::Reload).await.unwrap()),
        }
    }
    let hub = forge.hub.lock().unwrap();
    let tokens: Vec<&str> = hub
        .asked
        .iter()
        .map(|(.., token, _)| token.as_str())
        .collect();
    let [first, second] = ["first", "second"].map(|n| format!("Bearer the-{n}-token-0123456789"));
    assert_eq!(tokens, [first.as_str(), &first, &second]);
}

/// A key of 2048 bits, made for this test alone.
fn app_key() -> String {
    let made = std::process::Command::new("openssl")
        .args(["genrsa", "-traditional", "2048"])
        .output();
    made.map_or_else(
        |_| String::new(),
        |made| String::from_utf8(made.stdout).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn app_asks_with_a_token_of_the_owner_that_is_kept_while_it_lasts() {
    let key = app_key();
    if key.is_empty() {
        return;
    }
    let (forge, folder) = (Forge::new().await, state_folder());
    forge.hub.lock().unwrap().installation = Some(5);
    let path = folder.path().join("app.pem");
    std::fs::write(&path, &key).unwrap();
    let file = path.to_str().unwrap().to_owned();
    let handle = forge
        .engine(folder.path(), |s| {
            s.github.app_id = "12345".into();
            s.github.app_key_file = file;
        })
        .await;
    let mut body = opened(&head());
    for (id, base) in [("one", "main"), ("two", "dev")] {
        body["pull_request"]["base"]["ref"] = json!(base);
        let run = deliver(&handle, id, &body).await;
        assert!(ended(&handle, &run).await.coverage.is_complete());
    }
    let hub = forge.hub.lock().unwrap();
    let ways: Vec<(&str, bool)> = hub
        .asked
        .iter()
        .map(|(method, path, authorization, _)| {
            let is_proof = authorization.split('.').count() == 3;
            assert!(
                is_proof || authorization == "Bearer installation-token-1",
                "{path} {authorization}"
            );
            (method.as_str(), is_proof)
        })
        .collect();
    assert_eq!(
        ways,
        [
            ("GET", true),
            ("POST", true),
            ("GET", false),
            ("GET", false)
        ],
        "one token, used twice"
    );
    let proof = hub.asked[0].2.trim_start_matches("Bearer ").to_owned();
    drop(hub);
    is_signed(&proof, &key, folder.path());
    // The key is nowhere in what was written down.
    let line = key.lines().nth(3).unwrap();
    for (name, bytes) in crate::support::all_bytes(folder.path()) {
        let is_key = name.ends_with("app.pem");
        assert!(
            is_key || !crate::support::contains(&bytes, line.as_bytes()),
            "{name}"
        );
    }
}

/// openssl finds the signature of a JWT good, and its claims are those that GitHub asks for.
fn is_signed(proof: &str, key: &str, folder: &FilePath) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (text, signature) = proof.rsplit_once('.').unwrap();
    let (_, claims) = text.split_once('.').unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let lasts = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!((&claims["iss"], lasts), (&json!("12345"), 600));
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let files = [
        write("proof.key", key.as_bytes()),
        write("proof.sig", &URL_SAFE_NO_PAD.decode(signature).unwrap()),
        write("proof.txt", text.as_bytes()),
    ];
    let good = std::process::Command::new("openssl")
        .args([
            "dgst",
            "-sha256",
            "-prverify",
            &files[0],
            "-signature",
            &files[1],
            &files[2],
        ])
        .output()
        .unwrap();
    assert!(good.status.success(), "{good:?}");
    std::fs::remove_file(&files[0]).unwrap();
}

/// A repository that was renamed is known by its new name after the next start, with its decisions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renamed_repository_is_remembered_by_the_journal() {
    let forge = Forge::new().await;
    let folder = state_folder();
    let publishes = |s: &mut Settings| {
        s.github.dry_run = false;
        s.github.write_spacing_ms = 0;
    };
    let handle = forge.engine(folder.path(), publishes).await;
    forge.hub.lock().unwrap().name = "acme/store";
    let run = deliver(&handle, "one", &opened(&head())).await;
    assert!(ended(&handle, &run).await.decision.is_some());
    let moved = async {
        while handle
            .journal()
            .pull("acme/store#7")
            .await
            .unwrap()
            .is_none()
            || handle.journal().pulls_behind().await.unwrap() > 0
        {
            handle.snapshots().changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), moved)
        .await
        .unwrap();
    let journal = handle.journal();
    assert_eq!(journal.pull("acme/shop#7").await.unwrap(), None);
    let decisions = journal
        .pull_decisions("acme/store", &head(), "main")
        .await
        .unwrap();
    assert_eq!(decisions.len(), 1, "it is still decided");
    handle.stop(Duration::from_secs(5)).await;
    drop(handle);
    forge.hub.lock().unwrap().asked.clear();
    let again = forge.engine(folder.path(), publishes).await;
    let row = again.journal().pull("acme/store#7").await.unwrap().unwrap();
    again.journal().mark_pull(row.pull, 0).await.unwrap();
    again.wake_outbox();
    let settled = async {
        while again.journal().pulls_behind().await.unwrap() > 0 {
            again.snapshots().changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), settled)
        .await
        .unwrap();
    let paths = forge.paths();
    assert!(
        paths.iter().any(|p| p.starts_with("/repos/acme/store/")),
        "{paths:?}"
    );
    assert!(
        paths.iter().all(|p| !p.starts_with("/repos/acme/shop/")),
        "{paths:?}"
    );
}

/// What doctor would say is missing at GitHub is an alert, and goes when it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_at_the_host_is_an_alert_while_it_is_missing() {
    let (forge, folder) = (Forge::new().await, state_folder());
    let handle = forge
        .engine(folder.path(), |s| {
            s.github.repositories = vec!["acme/shop".into()];
        })
        .await;
    forge.once(
        "/repos/acme/shop",
        200,
        json!({"permissions": {"push": false}, "default_branch": "main"}),
    );
    handle.look_at_setup().await;
    let shows = |text: &str| {
        let snapshot = handle.snapshots().borrow().clone();
        let mut alerts = snapshot.alerts.iter();
        alerts.any(|a| a.resolved_ms.is_none() && a.text.contains(text))
    };
    let wait = async |text: &str, wanted: bool| {
        let is_so = async {
            while shows(text) != wanted {
                handle.snapshots().changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(10), is_so)
            .await
            .unwrap();
    };
    wait("may only read it", true).await;
    forge.once(
        "/repos/acme/shop",
        200,
        json!({"permissions": {"push": true}, "default_branch": "main"}),
    );
    handle.look_at_setup().await;
    wait("may only read it", false).await;
}
