//! The gateway beside a call made directly, and beside another gateway where one is named; and the HTTP
//! face under a hundred connections. Upstream, engine and rival are processes of their own.
//! `cargo bench --bench gateway`; a rival by `RIVAL_URL` (its chat completions route, which must lead to
//! the upstream's address given in `UPSTREAM_PORT`), `RIVAL_HEADERS` (`name=value` with spaces between)
//! and `RIVAL_PID`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use reqwest::Client;

const TOKEN: &str = "a-token-of-the-bench-0123";
const CALLS: usize = 3_000;

/// A process that says on its first line where it listens.
struct Server(Child, String);

impl Server {
    fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bsm"))
            .args(args)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.split_whitespace().last().unwrap().to_owned();
        Self(child, url.trim_end_matches("/v1").to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processor time of a process and its threads.
fn processor(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after = text.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

struct Contender {
    name: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    pid: Option<u32>,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Contender {
    async fn ask(&self, client: &Client) -> Duration {
        let question = format!("question {} of many", NUMBER.fetch_add(1, Relaxed));
        let body = serde_json::json!({
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": question}],
        });
        let mut request = client.post(&self.url).json(&body);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let began = Instant::now();
        let response = request.send().await.unwrap();
        assert!(
            response.status().is_success(),
            "{}: {}",
            self.name,
            response.status()
        );
        let answer: serde_json::Value = response.json().await.unwrap();
        assert!(answer["choices"][0]["message"]["content"].is_string());
        began.elapsed()
    }
}

fn quantiles(h: &Histogram<u64>) -> String {
    let at = |q| h.value_at_quantile(q) as f64 / 1e3;
    format!("p50 {:.3} ms, p99 {:.3} ms", at(0.5), at(0.99))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let port = std::env::var("UPSTREAM_PORT").unwrap_or_else(|_| "0".into());
    let upstream = Server::start(
        &[
            "simulate",
            "--fault",
            "instant",
            "--listen",
            &format!("127.0.0.1:{port}"),
        ],
        &[],
    );
    let state = tempfile::tempdir().unwrap();
    let base = format!("{}/openai/v1", upstream.1);
    let engine = Server::start(
        &["serve", "--listen", "127.0.0.1:0", "--allow-root"],
        &[
            ("XDG_STATE_HOME", state.path().to_str().unwrap()),
            ("ADMIN_TOKEN", TOKEN),
            ("RATE_LIMIT_MAX", "0"),
            ("OPENAI_BASE_URL", &base),
            ("OPENAI_API_KEY", "a-key-of-the-bench-0123"),
        ],
    );
    let client = Client::builder().no_proxy().build().unwrap();
    let route = "chat/completions";
    let mut contenders = vec![
        Contender {
            name: "directly",
            url: format!("{base}/{route}"),
            headers: Vec::new(),
            pid: None,
        },
        Contender {
            name: "bsm",
            url: format!("{}/v1/{route}", engine.1),
            headers: vec![("authorization".into(), format!("Bearer {TOKEN}"))],
            pid: Some(engine.0.id()),
        },
    ];
    if let Ok(url) = std::env::var("RIVAL_URL") {
        let headers = std::env::var("RIVAL_HEADERS").unwrap_or_default();
        contenders.push(Contender {
            name: "rival",
            url,
            headers: headers
                .split_whitespace()
                .filter_map(|h| h.split_once('='))
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect(),
            pid: std::env::var("RIVAL_PID").ok().and_then(|p| p.parse().ok()),
        });
    }
    compare(&contenders, &client).await;
    first_bytes(&contenders, &client).await;
    at_once(&contenders).await;
    load(&engine.1).await;
}

impl Contender {
    fn stream(&self, client: &Client) -> reqwest::RequestBuilder {
        let body = serde_json::json!({
            "model": "gpt-4o-mini", "stream": true,
            "messages": [{"role": "user", "content": "a stream"}],
        });
        let mut request = client.post(&self.url).json(&body);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }
}

/// Until the first byte of a stream, in turn.
async fn first_bytes(contenders: &[Contender], client: &Client) {
    let mut added: Vec<Histogram<u64>> = contenders
        .iter()
        .map(|_| Histogram::new(3).unwrap())
        .collect();
    for n in 0..CALLS / 3 + 50 {
        let mut direct = Duration::ZERO;
        for (i, contender) in contenders.iter().enumerate() {
            let began = Instant::now();
            let mut response = contender.stream(client).send().await.unwrap();
            response.chunk().await.unwrap().unwrap();
            let each = began.elapsed();
            while response.chunk().await.unwrap().is_some() {}
            if i == 0 {
                direct = each;
            } else if n >= 50 {
                let more = each.saturating_sub(direct);
                added[i].record(more.as_micros() as u64).unwrap();
            }
        }
    }
    for (contender, added) in contenders.iter().zip(&added).skip(1) {
        println!(
            "{}: to the first streamed byte, added {}",
            contender.name,
            quantiles(added)
        );
    }
}

/// Calls a second of 32 callers, whole and streamed, in turn: each contender's share of the direct calls.
async fn at_once(contenders: &[Contender]) {
    const CALLERS: usize = 32;
    const TURN: Duration = Duration::from_secs(2);
    for streams in [false, true] {
        let mut done = vec![0_u64; contenders.len()];
        for _ in 0..3 {
            for (i, contender) in contenders.iter().enumerate() {
                let client = Client::builder().no_proxy().build().unwrap();
                let until = Instant::now() + TURN;
                let callers = (0..CALLERS).map(|_| {
                    let client = client.clone();
                    async move {
                        let mut calls = 0_u64;
                        while Instant::now() < until {
                            if streams {
                                let mut response = contender.stream(&client).send().await.unwrap();
                                assert!(response.status().is_success());
                                while response.chunk().await.unwrap().is_some() {}
                            } else {
                                contender.ask(&client).await;
                            }
                            calls += 1;
                        }
                        calls
                    }
                });
                done[i] += futures_util::future::join_all(callers)
                    .await
                    .iter()
                    .sum::<u64>();
            }
        }
        let kind = if streams { "streamed" } else { "whole" };
        for (contender, calls) in contenders.iter().zip(&done) {
            let share = *calls as f64 / done[0] as f64;
            println!(
                "{}, {CALLERS} at once, {kind}: {:.0}/s, {share:.2} of direct",
                contender.name,
                *calls as f64 / (3.0 * TURN.as_secs_f64())
            );
        }
    }
}

/// In turn: what is between two of them is between them at the same moment.
async fn compare(contenders: &[Contender], client: &Client) {
    let mut added: Vec<Histogram<u64>> = contenders
        .iter()
        .map(|_| Histogram::new(3).unwrap())
        .collect();
    let mut took = added.clone();
    for n in 0..CALLS + 200 {
        let mut direct = Duration::ZERO;
        for (i, contender) in contenders.iter().enumerate() {
            let each = contender.ask(client).await;
            if i == 0 {
                direct = each;
            }
            if n >= 200 {
                took[i].record(each.as_micros() as u64).unwrap();
                let more = each.saturating_sub(direct);
                added[i].record(more.as_micros() as u64).unwrap();
            }
        }
    }
    for (i, contender) in contenders.iter().enumerate() {
        println!("{}: {}", contender.name, quantiles(&took[i]));
        if i > 0 {
            println!("  added, pair by pair: {}", quantiles(&added[i]));
        }
    }
    for contender in contenders.iter().filter(|c| c.pid.is_some()) {
        let pid = contender.pid.unwrap();
        let before = processor(pid);
        for _ in 0..CALLS {
            contender.ask(client).await;
        }
        let each = processor(pid).saturating_sub(before).as_secs_f64() * 1e6 / CALLS as f64;
        println!("{}: {each:.0} us of processor a request", contender.name);
    }
}

/// A hundred connections, each asking again as soon as it is answered.
async fn load(url: &str) {
    let seconds = std::env::var("LOAD_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok());
    let lasting = Duration::from_secs(seconds.unwrap_or(10));
    for path in ["/health", "/api/agents"] {
        let until = Instant::now() + lasting;
        let client = Client::builder().no_proxy().build().unwrap();
        let workers = (0..100).map(|_| {
            let (client, url) = (client.clone(), format!("{url}{path}"));
            tokio::spawn(async move {
                let mut took = Histogram::<u64>::new(3).unwrap();
                let mut failed = 0_u64;
                while Instant::now() < until {
                    let began = Instant::now();
                    match client.get(&url).send().await {
                        Ok(r) if r.status().is_success() => drop(r.bytes().await),
                        _ => failed += 1,
                    }
                    took.record(began.elapsed().as_micros() as u64).unwrap();
                }
                (took, failed)
            })
        });
        let (mut all, mut failed) = (Histogram::<u64>::new(3).unwrap(), 0);
        for worker in futures_util::future::join_all(workers).await {
            let (took, lost) = worker.unwrap();
            all.add(took).unwrap();
            failed += lost;
        }
        let rate = all.len() as f64 / lasting.as_secs_f64();
        println!(
            "{path}, 100 connections: {rate:.0}/s, {}, {failed} failed",
            quantiles(&all)
        );
    }
}
