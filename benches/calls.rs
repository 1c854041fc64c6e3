//! What a model call costs through the stack, beside the same call made directly; the upstream answers
//! at once and is another process. `cargo bench --bench calls [-- sequential|throughput|rates|soak]`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bsm::model::prompt::Prompt;
use bsm::model::provider::ProviderContext;
use bsm::model::request::CompletionRequest;
use bsm::model::service::ModelService;
use bsm::model::{Message, Role};
use bsm::outbound::egress::system_lookup;
use bsm::resilience::bulkhead::PoolSettings;
use bsm::resilience::clock::{Clock, SystemClock};
use bsm::resilience::deadline::Deadline;
use bsm::review::verdict;
use bsm::settings::Settings;
use bsm::settings::env::Env;
use bsm::workspace::models::ModelTable;
use futures_util::{StreamExt as _, stream};
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

const TABLE: &str = "
version: 1
providers: {up: {kind: chat, baseUrl: SIMULATOR/up/v1, stream: STREAM}}
models: {m: {provider: up}}
default: m
";

/// The upstream, in a process of its own.
struct Upstream(Child, String);

impl Upstream {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bsm"))
            .args(["simulate", "--fault", "instant"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().unwrap();
        Self(child, url.trim_end_matches("/v1").to_owned())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn service(url: &str, streaming: bool) -> Arc<ModelService> {
    let text = TABLE
        .replace("SIMULATOR", url)
        .replace("STREAM", &streaming.to_string());
    let table: ModelTable = serde_yaml::from_str(&text).unwrap();
    let mut settings = Settings::default();
    let pool = PoolSettings {
        limit: 256,
        queue: 100_000,
        ..PoolSettings::default()
    };
    settings.pools.insert("up".into(), pool);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let service = ModelService::new(
        Arc::new(table),
        &ProviderContext {
            settings: &settings,
            env: &Env::default(),
            simulator: None,
            clock: &clock,
            lookup: &system_lookup(),
        },
    );
    // Telemetry on, as in an engine: every attempt is seen by somebody.
    let seen = AtomicU64::new(0);
    service.observe(Box::new(move |observed| {
        seen.fetch_add(observed.attempt.upstream_us, Relaxed);
    }));
    Arc::new(service)
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

fn question() -> String {
    format!("question {} of many", NUMBER.fetch_add(1, Relaxed))
}

async fn through(service: &ModelService) -> Duration {
    let now = SystemClock.now();
    let prompt = Prompt {
        system: "Answer with a verdict.".into(),
        messages: vec![Message::new(Role::User, question())],
        left_out: Vec::new(),
    };
    let deadline = Deadline::after(now, Duration::from_secs(60));
    let asked = service
        .ask(CompletionRequest {
            task: "bench".into(),
            max_output_tokens: 500,
            tenant: "bench".into(),
            ..CompletionRequest::for_verdict(Arc::new(prompt), deadline)
        })
        .await;
    assert!(asked.result.is_ok(), "{:?}", asked.trace);
    asked.added
}

/// The same question as a program asks it that has none of this.
async fn directly(client: &reqwest::Client, url: &str) {
    let body = serde_json::json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "Answer with a verdict."},
            {"role": "user", "content": question()},
        ],
        "max_tokens": 500,
        "temperature": 0.2,
        "response_format": {"type": "json_object"},
    });
    let response = client.post(url).json(&body).send().await.unwrap();
    let answer: serde_json::Value = response.json().await.unwrap();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    verdict::parse(text).unwrap();
}

fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

fn resident_mb() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    let kb: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kb / 1e3
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).unwrap()
}

fn us(took: Duration) -> u64 {
    took.as_micros() as u64
}

fn quantiles(h: &Histogram<u64>) -> String {
    let at = |q| h.value_at_quantile(q) as f64 / 1e3;
    format!(
        "p50 {:.3} ms, p99 {:.3} ms, max {:.1} ms",
        at(0.5),
        at(0.99),
        h.max() as f64 / 1e3
    )
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let wants = |name: &str| wanted.as_deref().is_none_or(|w| w == name);
    let upstream = Upstream::start();
    if wants("sequential") {
        sequential(&upstream).await;
    }
    if wants("throughput") {
        throughput(&upstream).await;
    }
    if wants("rates") {
        rates(&upstream).await;
    }
    if wants("soak") {
        soak(&upstream).await;
    }
}

/// One after another, the contenders in turn: what is between them is between them at the same moment.
async fn sequential(upstream: &Upstream) {
    const CALLS: usize = 4_000;
    let (whole, streamed) = (service(&upstream.1, false), service(&upstream.1, true));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/up/v1/chat/completions", upstream.1);
    let mut took = [histogram(), histogram(), histogram()];
    let mut cpu = [Duration::ZERO; 3];
    let (mut added, mut added_streamed) = (histogram(), histogram());
    for n in 0..CALLS + 200 {
        for contender in 0..3 {
            let (began, before) = (Instant::now(), processor());
            let ours = match contender {
                0 => {
                    directly(&client, &url).await;
                    Duration::ZERO
                }
                1 => through(&whole).await,
                _ => through(&streamed).await,
            };
            if n < 200 {
                continue;
            }
            took[contender].record(us(began.elapsed())).unwrap();
            cpu[contender] += processor().saturating_sub(before);
            match contender {
                1 => added.record(us(ours)).unwrap(),
                2 => added_streamed.record(us(ours)).unwrap(),
                _ => {}
            }
        }
    }
    for (n, name) in [
        "directly",
        "through the stack, whole",
        "through the stack, streamed",
    ]
    .iter()
    .enumerate()
    {
        println!(
            "{name}: {}, {:.0} us of processor a call",
            quantiles(&took[n]),
            cpu[n].as_secs_f64() * 1e6 / CALLS as f64
        );
    }
    println!("gateway overhead, whole: {}", quantiles(&added));
    println!("gateway overhead, streamed: {}", quantiles(&added_streamed));
}

/// Sixty-four at a time, as fast as it goes.
async fn throughput(upstream: &Upstream) {
    const CALLS: usize = 30_000;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/up/v1/chat/completions", upstream.1);
    let whole = service(&upstream.1, false);
    for round in 0..3 {
        for ours in [false, true] {
            let (began, before) = (Instant::now(), processor());
            let mut added = histogram();
            let calls = stream::iter(0..CALLS).map(|_| {
                let (whole, client, url) = (Arc::clone(&whole), client.clone(), url.clone());
                // On both cores, as an engine's runs are.
                tokio::spawn(async move {
                    if ours {
                        through(&whole).await
                    } else {
                        directly(&client, &url).await;
                        Duration::ZERO
                    }
                })
            });
            let mut calls = calls.buffer_unordered(64);
            while let Some(took) = calls.next().await {
                added.record(us(took.unwrap())).unwrap();
            }
            let seconds = began.elapsed().as_secs_f64();
            let each = (processor().saturating_sub(before)).as_secs_f64() * 1e6 / CALLS as f64;
            let name = if ours {
                "through the stack"
            } else {
                "directly"
            };
            let rate = CALLS as f64 / seconds;
            println!(
                "round {round}, 64 at a time, {name}: {rate:.0} calls/s, {each:.0} us of processor a call"
            );
            if ours {
                println!("  gateway overhead: {}", quantiles(&added));
            }
        }
    }
}

/// At a fixed rate whatever the answers take: times count from when a call was due, not from when it
/// was sent.
async fn rates(upstream: &Upstream) {
    let whole = service(&upstream.1, false);
    for rate in [200_u32, 1_000, 3_000, 6_000, 10_000, 15_000] {
        let count = rate * 8;
        let start = tokio::time::Instant::now() + Duration::from_millis(50);
        let calls = stream::iter(0..count).map(|n| {
            let whole = Arc::clone(&whole);
            let due = start + Duration::from_secs(1) * n / rate;
            tokio::spawn(async move {
                tokio::time::sleep_until(due).await;
                let added = through(&whole).await;
                (due.elapsed(), added)
            })
        });
        let (mut took, mut added) = (histogram(), histogram());
        let mut calls = calls.buffer_unordered(count as usize);
        while let Some(ended) = calls.next().await {
            let (total, ours) = ended.unwrap();
            took.record(us(total)).unwrap();
            added.record(us(ours)).unwrap();
        }
        println!(
            "{rate}/s: {}; added {}",
            quantiles(&took),
            quantiles(&added)
        );
    }
}

/// Two minutes at a steady rate: does it grow?
async fn soak(upstream: &Upstream) {
    const RATE: u32 = 1_000;
    let whole = service(&upstream.1, false);
    for part in 0..8 {
        let start = tokio::time::Instant::now();
        let count = RATE * 15;
        let calls = stream::iter(0..count).map(|n| {
            let whole = Arc::clone(&whole);
            let due = start + Duration::from_secs(1) * n / RATE;
            async move {
                tokio::time::sleep_until(due).await;
                through(&whole).await;
            }
        });
        calls.buffer_unordered(2_000).for_each(|()| async {}).await;
        let cache = whole.cache_stats();
        println!(
            "after {:>3} s, {} calls: {:.1} MB resident, {} answers held ({} kB)",
            (part + 1) * 15,
            (part + 1) * count,
            resident_mb(),
            cache.entries,
            cache.bytes / 1_000
        );
    }
}
