//! Stories in a real terminal: what an operator wants to know or do, and in how many keys.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::terminal::{Session, upstream};

const KEY: &str = "test-key-0123456789";

/// A console over an engine of its own with these settings and this provider.
fn console(settings: &str, url: &str) -> (Session, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, settings).unwrap();
    let session = Session::start(
        env!("CARGO_BIN_EXE_bsm"),
        &["--config", config.to_str().unwrap()],
        &[("OPENAI_BASE_URL", url), ("OPENAI_API_KEY", KEY)],
    );
    session.until("No runs yet");
    (session, folder)
}

/// A provider that takes so long that everybody waits.
fn slow() -> String {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    upstream(Duration::from_secs(600), head, "{}")
}

/// Starts a run in the console: the form's own choices.
fn run(s: &mut Session) {
    s.send("r");
    s.until("governance-review-agent, code-review-agent");
    s.send("\r");
    s.until("agents at work");
    s.send("1");
}

fn leave(mut s: Session) {
    s.send("\x03");
    s.ended(Duration::from_secs(5));
    s.assert_clean();
}

/// A command in another terminal of the same operator; ended when dropped.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `bsm run` beside the console hands its run to the console's engine.
fn pull_request(s: &Session, number: u32, title: &str) -> Beside {
    let payload = serde_json::json!({
        "action": "opened",
        "number": number,
        "repository": {"full_name": "acme/app"},
        "pull_request": {
            "number": number,
            "title": title,
            "user": {"login": "bo"},
            "head": {"ref": "topic", "sha": "a".repeat(40)},
        },
    });
    let folder = s.home().join(format!("pr{number}"));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("payload.json");
    std::fs::write(&file, payload.to_string()).unwrap();
    let diff = folder.join("change.diff");
    let text = "diff --git a/a.rs b/a.rs\n--- a/a.rs\n+++ b/a.rs\n@@ -1 +1,2 @@\n x\n+let y = 1;\n";
    std::fs::write(&diff, text).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_bsm"))
        .args(["run", "pull_request.opened", "--diff"])
        .arg(&diff)
        .arg("--payload")
        .arg(&file)
        .current_dir(s.home())
        .env_clear()
        .env("HOME", s.home())
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Beside(child.unwrap())
}

/// From the sentence that a pool is full to a larger pool: why, resize, yes. Three keys.
#[test]
fn full_pool_is_explained_and_resized_in_four_keys() {
    let settings = "pools:\n  openai: {limit: 1}\nalerts: {raiseAfterS: 1}\n";
    let (mut s, _folder) = console(settings, &slow());
    run(&mut s);
    s.until("pool openai is full");
    s.send("w");
    s.until("places are in use");
    s.until("resize-pool");
    s.send("p");
    s.until("openai: 1 to 2 calls at once");
    s.send("\r");
    s.until(" 2/2 ");
    leave(s);
}

/// Which pull request waits, and for what: the list of runs has both; one more key has the evidence.
#[test]
fn waiting_pull_request_is_named_with_its_reason_in_two_keys() {
    let settings = "pools:\n  openai: {limit: 1}\n";
    let (mut s, _folder) = console(settings, &slow());
    run(&mut s);
    s.until("agents");
    let _beside = pull_request(&s, 482, "Retry payments on 409");
    s.send("2");
    s.until("acme/app#482");
    s.until("Retry payments");
    s.until("wait");
    s.send("w");
    s.until("Pool openai is full");
    leave(s);
}

/// Everything that is queued is cancelled: the list, all marked, cancel, yes.
#[test]
fn twenty_queued_runs_are_cancelled_in_four_keys() {
    let settings = "engine: {maxConcurrentRuns: 1}\n";
    let (mut s, _folder) = console(settings, &slow());
    run(&mut s);
    s.send("2");
    s.until("WAIT/MODEL");
    // Each round starts all runs again, so their number doubles; the first one holds the only place.
    for queued in [1, 3, 7, 15, 31] {
        s.send("V");
        s.until("marked:");
        s.send("R");
        s.until("Run marked runs again");
        s.send("\r");
        s.until(&format!("1 running  {queued} queued"));
    }
    s.send("1");
    s.until("Latency of answered calls");
    s.send("2");
    s.until("◌ queued");
    s.send("V");
    s.until("32 marked:");
    s.send("x");
    s.until("31 queued, 1 running");
    s.send("\r");
    s.until("0 running  0 queued");
    leave(s);
}

/// What the log says of an alert that is over: the list of alerts, the alert, its lines.
#[test]
fn alert_that_is_over_is_followed_to_its_log_lines_in_five_keys() {
    let (mut s, _folder) = console("alerts: {raiseAfterS: 1}\n", &slow());
    // A breaker is isolated and reset: the alert is over.
    s.send("3");
    s.until("Recent transitions");
    s.send("i");
    s.until("isolate openai");
    s.send("\r");
    s.until("isolated");
    s.send("b");
    s.until("Reset a breaker");
    s.send("\r");
    s.until("closed");
    s.send("a");
    s.until("openai isolated");
    s.send("G");
    s.send("l");
    s.until("Logs");
    s.until("around");
    s.until("openai");
    leave(s);
}
