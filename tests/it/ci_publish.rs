//! `bsm ci` with a token: the decision is left on the pull request as an engine leaves it, once; a token that may
//! only read leaves nothing, and the command says why.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::ci::{CODE, File, Lab};
use crate::support::world::{code, text};

/// A GitHub with pull request 7, for the token of an Actions run.
#[derive(Default)]
struct Hub {
    head: String,
    read_only: bool,
    comments: Vec<Value>,
    reviews: Vec<Value>,
    remarks: Vec<Value>,
    checks: Vec<Value>,
    labels: Vec<String>,
    writes: usize,
}

type Shared = Arc<Mutex<Hub>>;

async fn answer(State(hub): State<Shared>, method: Method, uri: Uri, body: Bytes) -> Response {
    let mut hub = hub.lock().unwrap();
    let path = uri.path().trim_start_matches("/repos/acme/app").to_owned();
    let refused = || {
        let why = json!({"message": "Resource not accessible by integration"});
        (StatusCode::FORBIDDEN, Json(why)).into_response()
    };
    if path == "/user" || (hub.read_only && method != Method::GET) {
        return refused();
    }
    let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
    body["user"] = json!({"login": "github-actions[bot]", "type": "Bot"});
    if method == Method::GET {
        return Json(match path.as_str() {
            "/pulls/7" => json!({"number": 7, "state": "open", "head": {"sha": hub.head},
                "base": {"ref": "main", "sha": "b".repeat(40)}, "comments": hub.comments.len(),
                "labels": hub.labels.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()}),
            "/issues/7/comments" => json!(hub.comments),
            "/pulls/7/reviews" => json!(hub.reviews),
            "/pulls/7/comments" => json!(hub.remarks),
            _ => return StatusCode::NOT_FOUND.into_response(),
        })
        .into_response();
    }
    hub.writes += 1;
    let id = hub.writes;
    body["id"] = id.into();
    match path.as_str() {
        "/issues/7/comments" => hub.comments.push(body),
        "/check-runs" => hub.checks.push(body),
        "/pulls/7/reviews" => {
            for remark in body["comments"].as_array().cloned().unwrap_or_default() {
                let mut remark = remark;
                remark["user"] = body["user"].clone();
                hub.remarks.push(remark);
            }
            body["state"] = json!("CHANGES_REQUESTED");
            body["commit_id"] = json!(hub.head);
            hub.reviews.push(body);
        }
        _ => {}
    }
    Json(json!({"id": id})).into_response()
}

/// Runs `bsm ci` of a change with one file at this GitHub.
struct Site {
    lab: Lab,
    hub: Shared,
    url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Site {
    fn new(files: &[File<'_>]) -> Option<Self> {
        let lab = Lab::new(&[files])?;
        let hub = Shared::default();
        hub.lock().unwrap().head.clone_from(&lab.head);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&hub));
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Some(Self {
            lab,
            hub,
            url,
            _runtime: runtime,
        })
    }

    fn run(&self, args: &[&str]) -> (i32, String) {
        let more = [
            (
                "GITHUB_TOKEN",
                "ghs_token-of-this-run-0123456789".to_owned(),
            ),
            ("GITHUB_API_URL", self.url.clone()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
        ];
        let output = self.lab.on_github(args, &more);
        (code(&output), text(&output))
    }
}

const RISKY: &[File<'static>] = &[("run.py", b"import os\nos.system('rm ' + name)\n")];

#[test]
fn decision_is_left_on_the_pull_request_and_a_second_run_repeats_nothing() {
    let Some(site) = Site::new(RISKY) else { return };
    for run in 1..=2 {
        let (exit, said) = site.run(&[]);
        assert!(exit > 0, "the rules object: {said}");
        assert!(said.contains("published: status: check run"), "{said}");
        let hub = site.hub.lock().unwrap();
        assert_eq!(hub.comments.len(), 1, "run {run}: edited in place");
        let remarks = hub.remarks.len();
        assert!(remarks > 0);
        assert_eq!(hub.reviews.len(), 1, "run {run}: no remark twice");
        let check = hub.checks.last().unwrap();
        assert_eq!(check["name"], "bsm/review (main)");
        assert_eq!(check["head_sha"], hub.head.as_str());
        assert_ne!(check["conclusion"], "success");
        assert!(!said.contains("ghs_token"), "no secret is shown: {said}");
    }
}

#[test]
fn token_that_may_only_read_leaves_nothing_and_is_explained() {
    let Some(site) = Site::new(CODE) else { return };
    site.hub.lock().unwrap().read_only = true;
    let (exit, said) = site.run(&[]);
    assert_eq!(exit, 0, "the gate decides: {said}");
    assert!(said.contains("not published: status"), "{said}");
    assert!(
        said.contains("that of a fork's pull request always does"),
        "{said}"
    );
    let (exit, said) = site.run(&["--publish", "always"]);
    assert_eq!(exit, 1, "{said}");
    let (exit, said) = site.run(&["--publish", "never"]);
    assert!(exit == 0 && !said.contains("published"), "{said}");
    assert_eq!(site.hub.lock().unwrap().writes, 0);
}

#[test]
fn pull_request_that_has_moved_on_gets_nothing_of_an_older_run() {
    let Some(site) = Site::new(CODE) else { return };
    site.hub.lock().unwrap().head = "c".repeat(40);
    let (_, said) = site.run(&[]);
    assert!(
        said.contains("not published: the pull request has moved on"),
        "{said}"
    );
    assert_eq!(site.hub.lock().unwrap().writes, 0);
}
