//! What leaves the machine, and what must not: the real program beside upstreams and a proxy that write
//! down everything that reaches them.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{all_bytes, contains};

/// Answers every request on loopback with `answer(request)`, and keeps what it was sent.
struct Ear {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Ear {
    fn new(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (into, answer) = (Arc::clone(&heard), Arc::new(answer));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (into, answer) = (Arc::clone(&into), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &into, &*answer));
            }
        });
        Self { url, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, heard: &Mutex<Vec<String>>, answer: &dyn Fn(&str) -> String) {
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut bytes = Vec::new();
    let mut chunk = [0; 16_384];
    // Until the body is whole, by its length.
    while let Ok(read) = stream.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|l| {
                let (name, value) = l.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().ok())?
            });
            body.len() >= length.unwrap_or(0)
        });
        if read == 0 || whole {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let reply = answer(&text);
    heard.lock().unwrap().push(text);
    let _ = stream.write_all(reply.as_bytes());
}

fn reply(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The program with nothing of this machine's environment.
fn bsm(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let work = dir.join("work");
    std::fs::create_dir_all(&work).unwrap();
    Command::new(env!("CARGO_BIN_EXE_bsm"))
        .args(args)
        .current_dir(work)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        .env("LANG", "C.UTF-8")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_default()
}

#[test]
fn a_key_is_in_no_output_even_if_the_provider_says_it_back() {
    const KEY: &str = "canary-9d1f7c5e3b2a4068";
    for (status, form) in [
        (
            "401 Unauthorized",
            r#"{"error":{"message":"the key KEY is wrong"}}"#,
        ),
        (
            "400 Bad Request",
            r#"{"error":{"message":"KEY","code":"KEY","param":"KEY"}}"#,
        ),
        ("503 Service Unavailable", "<html>KEY</html>"),
        (
            "200 OK",
            r#"{"choices":[{"message":{"content":"{\"decision\":\"comment\",\"comments\":[{\"message\":\"KEY\",\"file\":\"KEY\"}]}"},"finish_reason":"stop"}],"model":"KEY","id":"KEY"}"#,
        ),
        (
            "200 OK",
            r#"{"choices":[{"message":{"content":"KEY"},"finish_reason":"stop"}]}"#,
        ),
        ("200 OK", "KEY"),
        // Where text is cut, the key must be gone before.
        ("401 Unauthorized", r#"{"error":{"message":"CUT190 KEY"}}"#),
        (
            "400 Bad Request",
            r#"{"error":{"message":"m","code":"CUT50KEY"}}"#,
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let body = form
            .replace("CUT190", &"x".repeat(185))
            .replace("CUT50", &"x".repeat(50))
            .replace("KEY", KEY);
        let ear = Ear::new(move |_| reply(status, &body));
        let base = format!("{}/v1", ear.url);
        let env = [
            ("OPENAI_API_KEY", KEY),
            ("OPENAI_BASE_URL", base.as_str()),
            ("BSM_RETRY_BASE_MS", "1"),
        ];
        let args = [
            "run",
            "pull_request.opened",
            "--sample",
            "docs",
            "--json",
            "--log-level",
            "trace",
        ];
        let output = bsm(dir.path(), &args, &env);
        let heard = ear.heard();
        assert!(
            heard.iter().any(|h| h.contains(KEY)),
            "the canary sings: {form}"
        );
        for stream in [&output.stdout, &output.stderr] {
            assert!(
                !contains(stream, &KEY.as_bytes()[..9]),
                "{form}: {}",
                String::from_utf8_lossy(stream)
            );
        }
        let kept = all_bytes(dir.path());
        assert!(
            kept.keys().any(|k| k.ends_with("bsm.db")),
            "{:?}",
            kept.keys()
        );
        for (path, bytes) in &kept {
            // The beginning of it is too much already.
            assert!(!contains(bytes, &KEY.as_bytes()[..9]), "{form}: {path}");
        }
        // Nor where its settings, its past or its costs are asked for.
        for args in [
            vec!["config"],
            vec!["runs", "--json"],
            vec!["logs"],
            vec!["cost", "--json"],
            vec!["check"],
        ] {
            let output = bsm(dir.path(), &args, &env);
            assert!(
                !contains(&output.stdout, KEY.as_bytes()),
                "{form}: {args:?}"
            );
            assert!(
                !contains(&output.stderr, KEY.as_bytes()),
                "{form}: {args:?}"
            );
        }
    }
}

#[test]
fn a_key_that_a_change_quotes_is_in_no_output() {
    const KEY: &str = "canary-5e7a1c9d3f2b8604";
    const TOKEN: &str = "canary-0b6d4f8a2e1c7395";
    let dir = tempfile::tempdir().unwrap();
    let base = "http://127.0.0.1:9/v1";
    let env = [
        ("OPENAI_API_KEY", KEY),
        ("BSM_TOKEN", TOKEN),
        ("OPENAI_BASE_URL", base),
    ];
    std::fs::create_dir_all(dir.path().join("work")).unwrap();
    let hunk =
        |line: &str| format!("@@ -1,2 +1,2 @@\n # Title\n-Some words stand here.\n+{line}\n");
    let head = |name: &str| {
        format!("diff --git a/{name} b/{name}\nindex 1..2 100644\n--- a/{name}\n+++ b/{name}\n")
    };
    for secret in [KEY, TOKEN] {
        for diff in [
            format!(
                "{}{}",
                head("README.md"),
                hunk(&format!("Say {secret} to it."))
            ),
            format!(
                "{}{}",
                head("README.md"),
                hunk(&format!("[{secret}](http://{secret}.example)"))
            ),
            format!("{}{}", head(&format!("docs/{secret}.md")), hunk("run it")),
            format!(
                "{}{}",
                head(&format!("src/{secret}.py")),
                hunk("x = eval(y)")
            ),
            format!(
                "diff --git a/docs/a.md b/docs/{secret}.md\nsimilarity index 100%\nrename from docs/a.md\nrename to docs/{secret}.md\n"
            ),
        ] {
            std::fs::write(dir.path().join("work/c.diff"), &diff).unwrap();
            for form in [
                "--json",
                "--markdown=out",
                "--sarif=out",
                "--rdjsonl=out",
                "--annotations",
                "--junit=out",
                "--code-quality=out",
            ] {
                let output = bsm(
                    dir.path(),
                    &["review", "--offline", "--diff", "c.diff", form],
                    &env,
                );
                assert!(
                    output.status.code().is_some_and(|c| c != 2),
                    "{form}: {output:?}"
                );
                for stream in [&output.stdout, &output.stderr] {
                    let text = String::from_utf8_lossy(stream);
                    assert!(!text.contains(&secret[..12]), "{form} {diff}: {text}");
                }
            }
        }
        std::fs::remove_file(dir.path().join("work/c.diff")).unwrap();
        for (path, bytes) in &all_bytes(dir.path()) {
            assert!(!contains(bytes, &secret.as_bytes()[..12]), "{path}");
        }
    }
}

#[test]
fn a_proxy_is_used_where_it_should_be_and_never_by_the_simulator_or_in_safe_mode() {
    const KEY: &str = "canary-4b8a6c2e0f1d3579";
    let keys = [
        ("OPENAI_API_KEY", KEY),
        ("ANTHROPIC_API_KEY", KEY),
        ("PERPLEXITY_KEY", KEY),
        ("GEMINI_API_KEY", KEY),
    ];
    let run = |more: &[(&str, &str)], args: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let ear = Ear::new(|_| reply("502 Bad Gateway", "{}"));
        let proxies = [
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "ALL_PROXY",
            "https_proxy",
            "http_proxy",
        ];
        let mut env = keys.to_vec();
        env.extend(proxies.map(|name| (name, ear.url.as_str())));
        env.extend(more);
        let mut all = vec!["run", "pull_request.opened", "--sample", "docs", "--json"];
        all.extend(args);
        let output = bsm(dir.path(), &all, &env);
        (ear.heard(), output)
    };
    let (heard, _) = run(&[("BSM_RETRY_BASE_MS", "1")], &[]);
    assert!(
        heard
            .iter()
            .any(|h| h.starts_with("CONNECT api.openai.com:443")),
        "the proxy is really asked: {heard:?}"
    );
    assert!(
        heard.iter().all(|h| !h.contains(KEY)),
        "and sees no key: {heard:?}"
    );
    let (heard, output) = run(&[], &["--simulate"]);
    assert_eq!(
        heard,
        Vec::<String>::new(),
        "the simulator is on this machine"
    );
    let result = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(result["evidence"], "simulated", "{result}");
    let (heard, output) = run(&[("SAFE_MODE", "true")], &[]);
    assert_eq!(heard, Vec::<String>::new(), "nothing leaves in safe mode");
    let result = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(
        result["evidence"], "offline",
        "no provider was ready: {result}"
    );
    let (heard, output) = run(&[("EGRESS_POLICY", "deny_all")], &[]);
    assert_eq!(heard, Vec::<String>::new());
    let result = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(result["evidence"], "offline", "{result}");
}

#[test]
fn a_provider_that_was_set_up_and_cannot_be_asked_is_missing_evidence() {
    for base in ["rubbish", "http://example.com/v1", "https://10.0.0.1/v1"] {
        let dir = tempfile::tempdir().unwrap();
        let env = [
            ("OPENAI_API_KEY", "canary-1a2b3c4d5e6f7081"),
            ("OPENAI_BASE_URL", base),
        ];
        let args = ["run", "pull_request.opened", "--sample", "docs", "--json"];
        let output = bsm(dir.path(), &args, &env);
        let result = json(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(output.status.code(), Some(10), "{base}: never an approval");
        assert_eq!(result["evidence"], "partial", "{base}");
        let error = result["agents"][0]["error"].as_str().unwrap();
        assert!(error.contains("agents/models.yaml"), "{error}");
    }
}

#[test]
fn what_is_simulated_costs_nothing_today_or_ever() {
    let dir = tempfile::tempdir().unwrap();
    let run = [
        "run",
        "pull_request.opened",
        "--sample",
        "docs",
        "--simulate",
        "--json",
    ];
    let output = bsm(dir.path(), &run, &[]);
    let result = json(&String::from_utf8(output.stdout).unwrap());
    assert!(result["agents"][0]["costUsd"].as_f64().unwrap() > 0.0);
    let output = bsm(dir.path(), &["cost", "--json"], &[]);
    let costs = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(costs["lines"], serde_json::json!([]));
    let output = bsm(dir.path(), &["runs"], &[]);
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("simulated")
    );
}
