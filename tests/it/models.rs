//! Calls to models over real sockets: what every outcome leads to, streams that go wrong, keys, budgets,
//! routes, and that nothing goes where it must not. The upstream is the simulator with a fault of its own
//! for each case.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bsm::cache::Source;
use bsm::model::error::ModelError;
use bsm::model::prompt::Prompt;
use bsm::model::provider::ProviderContext;
use bsm::model::request::{AskError, CompletionOutcome, CompletionRequest, Origin, Purpose};
use bsm::model::service::ModelService;
use bsm::model::simulator::{Fault, Faults, Latency, RetryAfter, Simulator, SimulatorSettings};
use bsm::model::stream_fanout::{StreamChunk, Subscriber};
use bsm::model::{Format, Message, RequestOptions, Role};
use bsm::outbound::egress::{Lookup, system_lookup};
use bsm::resilience::clock::{Clock, SystemClock};
use bsm::resilience::deadline::Deadline;
use bsm::review::verdict;
use bsm::settings::Settings;
use bsm::settings::env::Env;
use bsm::workspace::models::ModelTable;

/// Provider `a` speaks chat completions, `b` Messages; a question wants `small` of `a` first.
const TABLE: &str = r#"
version: 1
providers:
  a: {kind: chat, baseUrl: "SIM/a/v1", keyEnv: [A_ONE, A_TWO], timeouts: {connectMs: 1000, firstTokenMs: 250, idleMs: 250, totalMs: 2000}}
  b: {kind: anthropic, baseUrl: "SIM/b/v1", timeouts: {connectMs: 1000, firstTokenMs: 250, idleMs: 250, totalMs: 2000}}
models:
  small: {provider: a, contextTokens: 4000, maxOutputTokens: 500, prices: {inputPerM: 1, outputPerM: 2}, structured: schema}
  equal: {provider: a, contextTokens: 4000, maxOutputTokens: 500, prices: {inputPerM: 1, outputPerM: 2}}
  large: {provider: b, contextTokens: 100000, maxOutputTokens: 500, prices: {inputPerM: 3, outputPerM: 15}}
fallbacks:
  small: [large]
default: small
"#;

struct Rig {
    simulator: Simulator,
    service: Arc<ModelService>,
    table: ModelTable,
    settings: Settings,
    env: Env,
    clock: Arc<dyn Clock>,
    lookup: Lookup,
}

impl Rig {
    async fn new() -> Self {
        Self::with(|_, _| ()).await
    }

    async fn with(change: impl FnOnce(&mut ModelTable, &mut Settings)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let simulator = Simulator::start(SimulatorSettings {
            faults: Faults::none(),
            ..SimulatorSettings::default()
        })
        .await
        .unwrap();
        let url = simulator.url().as_str().trim_end_matches('/').to_owned();
        let mut table: ModelTable = serde_yaml::from_str(&TABLE.replace("SIM", &url)).unwrap();
        let mut settings = Settings::default();
        settings.retry.base_ms = 1;
        settings.retry.cap_ms = 300;
        settings.retry.budget_floor = 1_000;
        change(&mut table, &mut settings);
        let env = Env::of([
            ("A_ONE", "key-one-0123456789"),
            ("A_TWO", "key-two-0123456789"),
        ]);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let lookup = system_lookup();
        let service = ModelService::new(
            Arc::new(table.clone()),
            &ProviderContext {
                settings: &settings,
                env: &env,
                simulator: None,
                clock: &clock,
                lookup: &lookup,
            },
        );
        Self {
            simulator,
            service: Arc::new(service),
            table,
            settings,
            env,
            clock,
            lookup,
        }
    }

    /// `a` has this fault always, `b` none.
    fn fault(&self, fault: Fault) {
        self.simulator
            .behave(Some("a"), Faults::none().with(100.0, fault));
        self.simulator.behave(Some("b"), Faults::none());
    }

    fn rebuild(&self, table: &ModelTable) {
        let around = ProviderContext {
            settings: &self.settings,
            env: &self.env,
            simulator: None,
            clock: &self.clock,
            lookup: &self.lookup,
        };
        self.service.rebuild(Arc::new(table.clone()), &around);
    }

    async fn ask(&self, ask: CompletionRequest) -> CompletionOutcome {
        tokio::time::timeout(Duration::from_secs(20), self.service.ask(ask))
            .await
            .unwrap()
    }

    fn failures(&self, provider: &str) -> u64 {
        let mut failures = 0;
        self.service.for_each(|name, live| {
            if name == provider {
                failures = live.guards.breaker.stats(SystemClock.now()).failures;
            }
        });
        failures
    }

    fn paused(&self, provider: &str) -> bool {
        let mut paused = false;
        self.service.for_each(|name, live| {
            if name == provider {
                let quiet = live.deployments.longest_quiet(SystemClock.now());
                paused = live.guards.limiter.stats().paused_s.is_some() || !quiet.is_zero();
            }
        });
        paused
    }
}

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A question that nobody has asked before.
fn question(text: &str) -> Prompt {
    Prompt {
        system: "Answer with a verdict.".into(),
        messages: vec![Message::new(
            Role::User,
            format!("{} {text}", NUMBER.fetch_add(1, Relaxed)),
        )],
        left_out: Vec::new(),
    }
}

fn verdict_of(prompt: Prompt) -> CompletionRequest {
    let deadline = Deadline::after(SystemClock.now(), Duration::from_secs(8));
    CompletionRequest {
        task: "review".into(),
        max_output_tokens: 500,
        origin: Origin {
            run: "r".into(),
            agent: "agent".into(),
            correlation: "c".into(),
        },
        ..CompletionRequest::for_verdict(Arc::new(prompt), deadline)
    }
}

/// A server of the test's own, for what the simulator does not do; its address.
async fn serve(app: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// A server that answers chat completions as it is told, status and body, and keeps what it was asked; its
/// address, and the questions.
async fn heard(
    answer: impl Fn(&serde_json::Value) -> (u16, serde_json::Value) + Clone + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<serde_json::Value>>>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let app = axum::Router::new().route(
        "/v1/chat/completions",
        axum::routing::post(move |body: String| async move {
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            let (status, answer) = answer(&body);
            seen.lock().unwrap().push(body);
            let status = axum::http::StatusCode::from_u16(status).unwrap();
            (status, axum::Json(answer))
        }),
    );
    (serve(app).await + "/v1", bodies)
}

fn approval() -> serde_json::Value {
    serde_json::json!({
        "choices": [{"message": {"content": "{\"decision\":\"approve\"}"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    })
}

fn status(status: u16) -> Fault {
    coded(status, "", None)
}

fn coded(status: u16, code: &str, retry_after: Option<RetryAfter>) -> Fault {
    Fault::Status {
        status,
        code: (!code.is_empty()).then(|| code.to_owned()),
        retry_after,
    }
}

/// One row: what it is called in the trace, questions sent to `a` and to `b`, and what counts against `a`.
struct Row {
    fault: Fault,
    outcome: &'static str,
    to_a: u64,
    to_b: u64,
    counted: u64,
    paused: bool,
}

fn row(fault: Fault, outcome: &'static str, to_a: u64, to_b: u64, counted: u64) -> Row {
    Row {
        fault,
        outcome,
        to_a,
        to_b,
        counted,
        paused: false,
    }
}

/// The table of outcomes: retried up to three times here, then the next model, as each row says.
fn rows() -> Vec<Row> {
    vec![
        row(
            coded(400, "context_length_exceeded", None),
            "context_length",
            1,
            1,
            0,
        ),
        row(
            coded(400, "content_policy_violation", None),
            "http_400",
            1,
            0,
            0,
        ),
        row(status(400), "http_400", 1, 0, 0),
        row(status(422), "http_422", 1, 0, 0),
        row(coded(404, "model_not_found", None), "http_404", 1, 1, 0),
        // Both keys, one after the other; neither is a retry.
        row(status(401), "http_401", 2, 1, 0),
        row(status(403), "http_403", 2, 1, 0),
        row(status(408), "http_408", 3, 1, 3),
        row(status(409), "http_409", 3, 1, 0),
        row(coded(429, "", None), "http_429", 3, 1, 0),
        row(
            coded(429, "", Some(RetryAfter::Millis { ms: 30 })),
            "http_429",
            3,
            1,
            0,
        ),
        row(
            coded(429, "", Some(RetryAfter::Fraction { ms: 30 })),
            "http_429",
            3,
            1,
            0,
        ),
        // Longer than is left: at once with the other key, then to the next.
        Row {
            paused: true,
            ..row(
                coded(429, "", Some(RetryAfter::Seconds { ms: 60_000 })),
                "http_429",
                2,
                1,
                0,
            )
        },
        Row {
            paused: true,
            ..row(
                coded(429, "", Some(RetryAfter::Date { ms: 60_000 })),
                "http_429",
                2,
                1,
                0,
            )
        },
        row(Fault::Quota, "quota", 2, 1, 0),
        row(
            coded(429, "org_spend_limit_exceeded", None),
            "quota",
            2,
            1,
            0,
        ),
        row(
            coded(429, "credit_balance_exhausted", None),
            "quota",
            2,
            1,
            0,
        ),
        row(status(500), "http_500", 3, 1, 3),
        row(status(503), "http_503", 3, 1, 3),
        row(coded(503, "", Some(RetryAfter::Never)), "http_503", 1, 1, 1),
        row(status(529), "http_529", 3, 1, 3),
        row(Fault::Page, "http_502", 3, 1, 3),
        row(Fault::Reset, "connect", 3, 1, 3),
        row(Fault::Stall, "first_token_timeout", 3, 1, 3),
        row(Fault::KeepAlive, "first_token_timeout", 3, 1, 3),
        row(Fault::StallMidway, "idle_timeout", 3, 1, 3),
        row(Fault::Truncate, "truncated", 3, 1, 3),
        row(Fault::BreakMidway, "truncated", 3, 1, 3),
        row(Fault::ErrorInside, "http_529", 3, 1, 3),
        row(Fault::Garbage, "malformed", 3, 1, 3),
        row(Fault::Huge, "malformed", 3, 1, 3),
        // No verdict, and no fault of the provider's.
        row(Fault::CutOff, "cut_off", 1, 0, 0),
        row(Fault::Refuse, "refused", 1, 0, 0),
        row(Fault::Prose, "ok", 1, 0, 0),
        // The same prompt gets the same nothing, and the provider is well.
        row(Fault::Empty, "empty", 1, 1, 0),
        // Harmless.
        row(Fault::NoEnd, "ok", 1, 0, 0),
        row(Fault::Bytewise, "ok", 1, 0, 0),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_the_outcome_table_over_a_real_socket() {
    for row in rows() {
        let rig = Rig::new().await;
        rig.fault(row.fault.clone());
        let asked = rig.ask(verdict_of(question(""))).await;
        let what = format!("{:?}: {:?}", row.fault, asked.trace);
        assert_eq!(asked.trace[0].outcome, row.outcome, "{what}");
        let (a, b) = (
            rig.simulator.asked("a").asked,
            rig.simulator.asked("b").asked,
        );
        assert_eq!((a, b), (row.to_a, row.to_b), "{what}");
        assert_eq!(rig.failures("a"), row.counted, "{what}");
        assert_eq!(rig.failures("b"), 0, "{what}");
        if row.paused || row.outcome != "http_429" {
            assert_eq!(rig.paused("a"), row.paused, "{what}");
        }
        let answered = asked.result.is_ok();
        let harmless = matches!(row.fault, Fault::NoEnd | Fault::Bytewise);
        assert_eq!(answered, b == 1 || harmless, "{what}");
        if b == 1 {
            let (answer, source) = asked.result.unwrap();
            assert_eq!((&*answer.provider, source), ("b", Source::Loaded), "{what}");
        }
        assert_eq!(
            asked.trace.iter().filter(|t| t.sent).count() as u64,
            a + b,
            "the trace tells all: {what}"
        );
    }
}

/// The same for answers that come whole, where the two differ.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_answers_that_go_wrong() {
    for (fault, outcome, counted) in [
        (Fault::Truncate, "malformed", 3),
        (Fault::Garbage, "malformed", 3),
        (Fault::Huge, "malformed", 3),
        (Fault::ErrorInside, "http_529", 3),
        (Fault::BreakMidway, "connect", 3),
        (Fault::StallMidway, "timeout", 3),
        (Fault::CutOff, "cut_off", 0),
        (Fault::Refuse, "refused", 0),
        (Fault::Bytewise, "ok", 0),
    ] {
        let rig = Rig::with(|table, _| {
            for provider in table.providers.values_mut() {
                provider.stream = false;
                provider.timeouts.total_ms = 300;
            }
        })
        .await;
        rig.fault(fault.clone());
        let asked = rig.ask(verdict_of(question(""))).await;
        assert_eq!(asked.trace[0].outcome, outcome, "{fault:?}");
        assert_eq!(rig.failures("a"), counted, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_wrong_as_chat_completions_do() {
    for (fault, outcome) in [
        (Fault::Truncate, "truncated"),
        (Fault::ErrorInside, "http_529"),
        (Fault::Garbage, "malformed"),
        (Fault::CutOff, "cut_off"),
        (Fault::Refuse, "refused"),
        (Fault::Bytewise, "ok"),
        (status(529), "http_529"),
        (status(401), "http_401"),
    ] {
        for stream in [true, false] {
            if !stream && fault == Fault::Truncate {
                continue; // half of an object is malformed
            }
            let rig = Rig::with(|table, _| {
                table.default = "large".into();
                table.providers.get_mut("b").unwrap().stream = stream;
            })
            .await;
            rig.simulator
                .behave(Some("b"), Faults::none().with(100.0, fault.clone()));
            let asked = rig.ask(verdict_of(question(""))).await;
            assert_eq!(asked.trace[0].outcome, outcome, "{fault:?} {stream}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_by_content_is_handed_on_only_where_the_table_says_so() {
    for fault in [coded(400, "content_policy_violation", None), Fault::Refuse] {
        let rig = Rig::with(|table, _| {
            table.on_refusal = bsm::workspace::models::OnRefusal::FallBack;
        })
        .await;
        rig.fault(fault);
        let asked = rig.ask(verdict_of(question(""))).await;
        assert_eq!(&*asked.result.unwrap().0.provider, "b");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_long_for_one_model_goes_to_one_that_reads_more_and_to_no_other() {
    // `equal` is no larger than the one that said it was too long.
    let rig = Rig::with(|table, _| {
        table
            .fallbacks
            .insert("small".into(), vec!["equal".into(), "large".into()]);
    })
    .await;
    rig.fault(coded(400, "context_length_exceeded", None));
    let asked = rig.ask(verdict_of(question(""))).await;
    let outcomes: Vec<&str> = asked.trace.iter().map(|t| &*t.outcome).collect();
    assert_eq!(outcomes, ["context_length", "too_large", "ok"]);
    // What is known to be too long is not sent at all.
    let asked = rig.ask(verdict_of(question(&"word ".repeat(10_000)))).await;
    assert_eq!(&*asked.result.unwrap().0.model, "large");
    assert!(
        asked.skips[0].reason.contains("does not fit"),
        "{:?}",
        asked.skips
    );
    assert_eq!(rig.simulator.asked("a").asked, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_heard_while_it_comes() {
    let rig = Rig::new().await;
    for provider in ["a", "b"] {
        rig.simulator.behave(
            Some(provider),
            Faults {
                piece_ms: 1,
                ..Faults::none()
            },
        );
    }
    for model in ["small", "large"] {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        let mut ask = verdict_of(question(""));
        ask.wanted = Some(model.into());
        ask.listener = Some(Subscriber {
            reads: false,
            on_chunk: Arc::new(move |h| {
                if let StreamChunk::Text(text) = h {
                    into.lock().unwrap().push(text.to_owned());
                }
            }),
        });
        let asked = rig.ask(ask).await;
        let (answer, _) = asked.result.unwrap();
        let heard = heard.lock().unwrap();
        assert!(heard.len() > 3, "{model}: in pieces, {heard:?}");
        assert_eq!(heard.concat(), answer.text.raw());
        assert!(verdict::parse(answer.text.raw()).is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_reader_has_read_is_never_followed_by_another_models_words() {
    for reads in [true, false] {
        let rig = Rig::new().await;
        rig.fault(Fault::BreakMidway);
        let mut ask = verdict_of(question(""));
        ask.listener = Some(Subscriber {
            reads,
            on_chunk: Arc::new(|_| ()),
        });
        let asked = rig.ask(ask).await;
        let sent = (
            rig.simulator.asked("a").asked,
            rig.simulator.asked("b").asked,
        );
        if reads {
            assert_eq!(
                sent,
                (1, 0),
                "neither again nor elsewhere: {:?}",
                asked.trace
            );
            assert!(matches!(asked.result, Err(AskError::Model(_))));
        } else {
            assert_eq!(sent, (3, 1));
            assert!(asked.result.is_ok());
        }
    }
}

/// Answers that are old after 40 ms.
async fn forgetful() -> Rig {
    Rig::with(|_, settings| {
        settings.cache.responses.ttl_ms = 40;
        settings.cache.responses.stale_ms = 0;
        settings.cache.responses.stale_if_error_ms = 60_000;
        settings.cache.responses.negative_ms = 0;
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_complete_validated_answers_are_kept_and_for_one_tenant() {
    let rig = Rig::new().await;
    let prompt = question("");
    rig.simulator
        .behave(Some("a"), Faults::none().with(100.0, Fault::Prose));
    for _ in 0..2 {
        let asked = rig.ask(verdict_of(prompt.clone())).await;
        assert!(asked.result.is_err());
    }
    assert_eq!(rig.simulator.asked("a").asked, 2, "no verdict was kept");
    rig.simulator.behave(Some("a"), Faults::none());
    assert!(rig.ask(verdict_of(prompt.clone())).await.result.is_ok());
    let again = rig.ask(verdict_of(prompt.clone())).await;
    assert!(matches!(again.result, Ok((_, Source::Hit(_)))));
    assert_eq!(again.used.tokens.sum(), 0);
    let mut other = verdict_of(prompt.clone());
    other.tenant = "somebody".into();
    assert!(matches!(
        rig.ask(other).await.result,
        Ok((_, Source::Loaded))
    ));
    let mut chat = verdict_of(prompt);
    chat.purpose = Purpose::Chat;
    assert!(matches!(
        rig.ask(chat).await.result,
        Ok((_, Source::Loaded))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_answer_serves_every_rejection_before_another_model_does() {
    for name in ["isolated", "limit", "pool", "deadline", "failure"] {
        let rig = forgetful().await;
        let prompt = question("");
        assert!(rig.ask(verdict_of(prompt.clone())).await.result.is_ok());
        tokio::time::sleep(Duration::from_millis(60)).await;
        let mut held = Vec::new();
        rig.service.for_each(|provider, live| match name {
            _ if provider != "a" => {}
            "isolated" => live.guards.breaker.isolate("test", SystemClock.now()),
            "limit" => live.guards.limiter.pause(Duration::from_secs(60)),
            "pool" => {
                let settings = live.guards.pool.settings();
                live.guards
                    .pool
                    .reconfigure(bsm::resilience::bulkhead::PoolSettings {
                        queue: 0,
                        ..settings
                    });
                held.extend(std::iter::from_fn(|| live.guards.pool.try_acquire()));
            }
            _ => {}
        });
        if name == "failure" {
            rig.fault(status(503));
        }
        let mut ask = verdict_of(prompt.clone());
        if name == "deadline" {
            ask.deadline = Deadline::after(SystemClock.now(), Duration::ZERO);
        }
        let asked = rig.ask(ask).await;
        assert!(
            matches!(asked.result, Ok((_, Source::StaleOnError(_)))),
            "{name}: {:?}",
            asked.trace
        );
        assert_eq!(rig.simulator.asked("b").asked, 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_rest_and_are_tried_again_after_a_reload() {
    let rig = Rig::new().await;
    rig.fault(status(401));
    let asked = rig.ask(verdict_of(question(""))).await;
    let outcomes: Vec<&str> = asked.trace.iter().map(|t| &*t.outcome).collect();
    assert_eq!(outcomes, ["http_401", "http_401", "ok"]);
    let news = rig.service.key_news();
    assert_eq!(news.len(), 2, "{news:?}");
    assert!(
        news[0].contains("A_ONE") && news[1].contains("A_TWO"),
        "{news:?}"
    );
    rig.simulator.behave(Some("a"), Faults::none());
    let asked = rig.ask(verdict_of(question(""))).await;
    assert_eq!(&*asked.result.unwrap().0.provider, "b", "the keys rest");
    assert!(asked.skips[0].reason.contains("every key was refused"));
    rig.rebuild(&rig.table);
    let asked = rig.ask(verdict_of(question(""))).await;
    assert_eq!(
        &*asked.result.unwrap().0.provider,
        "b",
        "a new table changes nothing"
    );
    rig.service.forgive_keys();
    let asked = rig.ask(verdict_of(question(""))).await;
    assert_eq!(&*asked.result.unwrap().0.provider, "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_refuses_what_it_could_not_pay_and_says_so() {
    let rig = Rig::with(|table, settings| {
        table.fallbacks.clear();
        settings.budgets.run_usd = 0.0015;
    })
    .await;
    rig.simulator
        .behave(Some("a"), Faults::after(Latency::Fixed(100)));
    // At most 500 tokens at two dollars a million and some for the prompt: one fits, a second at the same time does not.
    let both = tokio::join!(
        rig.ask(verdict_of(question(""))),
        rig.ask(verdict_of(question("")))
    );
    let ends = [both.0, both.1];
    let refused: Vec<&CompletionOutcome> = ends.iter().filter(|a| a.result.is_err()).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].trace[0].outcome, "over_budget");
    assert_eq!(rig.simulator.asked("a").asked, 1, "nothing was sent for it");
    // What the first really cost is far less than what was set aside for it.
    assert!(rig.ask(verdict_of(question(""))).await.result.is_ok());
    let (spent, reserved) = rig.service.spend().today(SystemClock.wall_ms());
    assert!(spent > 0 && spent < 1_500, "{spent}");
    assert_eq!(reserved, 0);
    let mut other = verdict_of(question(""));
    other.origin.run = "another".into();
    assert!(rig.ask(other).await.result.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_paid_for_nothing_is_counted_too() {
    let rig = Rig::with(|table, _| table.fallbacks.clear()).await;
    rig.fault(Fault::Prose);
    let asked = rig.ask(verdict_of(question(""))).await;
    assert!(asked.result.is_err());
    assert!(
        asked.used.tokens.sum() > 0 && asked.used.micro_usd > 0,
        "{:?}",
        asked.used
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cut_off_by_a_clock_or_by_a_caller_is_charged_too() {
    for leaves in [false, true] {
        let rig = Rig::with(|table, settings| {
            table.fallbacks.clear();
            settings.retry.attempts = 1;
            // Pieces come all the time: only the clock for the whole ends it.
            table.providers.get_mut("a").unwrap().timeouts.total_ms = 300;
        })
        .await;
        rig.simulator.behave(
            Some("a"),
            Faults {
                piece_ms: 100,
                ..Faults::none()
            },
        );
        if leaves {
            let left = Duration::from_millis(150);
            let asked = tokio::time::timeout(left, rig.service.ask(verdict_of(question(""))));
            assert!(asked.await.is_err());
            // The flight ends a moment after the last one who waited for it.
            let spent = || rig.service.spend().today(SystemClock.wall_ms()).0 > 0;
            tokio::time::timeout(Duration::from_secs(5), async {
                while !spent() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
            .await
            .unwrap();
        } else {
            let asked = rig.ask(verdict_of(question(""))).await;
            assert_eq!(asked.trace[0].outcome, "timeout");
            assert!(
                asked.used.tokens.completion > 0 && asked.used.micro_usd > 0,
                "{:?}",
                asked.used
            );
        }
        let (spent, reserved) = rig.service.spend().today(SystemClock.wall_ms());
        assert!(spent > 0);
        assert_eq!(reserved, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_schema_is_asked_for_as_an_object_before_nothing_is() {
    let (url, bodies) = heard(|body| {
        if body["response_format"]["type"] == "json_schema" {
            (
                400,
                serde_json::json!({"error": {"message": "json_schema is not supported"}}),
            )
        } else {
            (200, approval())
        }
    })
    .await;
    let rig = Rig::with(|table, _| table.providers.get_mut("a").unwrap().base_url = url).await;
    for _ in 0..2 {
        assert!(rig.ask(verdict_of(question(""))).await.result.is_ok());
    }
    let bodies = bodies.lock().unwrap();
    let forms: Vec<_> = bodies
        .iter()
        .map(|body| &body["response_format"]["type"])
        .collect();
    assert_eq!(forms, ["json_schema", "json_object", "json_object"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safe_mode_stops_what_waits_for_its_place() {
    // Never dialled: its name resolves to loopback, by a resolver of the test's own.
    let rig = Rig::with(|table, settings| {
        let provider = table.providers.get_mut("a").unwrap();
        provider.base_url = "https://models.example/v1".into();
        table.fallbacks.clear();
        settings.egress_allowed_hosts = vec!["models.example".into()];
        settings.pools.insert(
            "a".into(),
            bsm::resilience::bulkhead::PoolSettings {
                limit: 1,
                queue: 10,
                wait_ms: 10_000,
            },
        );
    })
    .await;
    let mut held = None;
    rig.service.for_each(|name, live| {
        if name == "a" {
            held = live.guards.pool.try_acquire();
        }
    });
    let waiting = rig.service.ask(verdict_of(question("")));
    let switch = async {
        // Until it waits.
        loop {
            let mut queued = 0;
            rig.service.for_each(|name, live| {
                if name == "a" {
                    queued = live.guards.pool.stats().queued;
                }
            });
            if queued > 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        let safe = Settings {
            safe_mode: true,
            ..rig.settings.clone()
        };
        let around = ProviderContext {
            settings: &safe,
            env: &rig.env,
            simulator: None,
            clock: &rig.clock,
            lookup: &rig.lookup,
        };
        rig.service.rebuild(Arc::new(rig.table.clone()), &around);
        drop(held.take());
    };
    let (asked, ()) = tokio::join!(waiting, switch);
    assert_eq!(asked.trace[0].outcome, "egress", "{:?}", asked.trace);
    assert_eq!(rig.failures("a"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_on_trial_gets_its_share_of_the_runs() {
    let rig = Rig::with(|table, _| {
        let route = "{any: [{model: large, percent: 20}, small]}";
        table
            .routes
            .insert("review".into(), serde_yaml::from_str(route).unwrap());
    })
    .await;
    let mut large = 0;
    for run in 0..200 {
        let mut ask = verdict_of(question(""));
        ask.origin.run = format!("run-{run}");
        let first = rig.ask(ask).await.result.unwrap().0.model.clone();
        large += u32::from(first == "large");
    }
    assert!((20..=65).contains(&large), "{large} of 200 for 20 %");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_a_model_refuses_is_left_out_from_then_on() {
    // Hand-written: the simulator takes every field.
    let (url, bodies) = heard(|body| {
        let refused = ["max_tokens", "temperature"];
        match refused.iter().find(|param| body.get(**param).is_some()) {
            Some(param) => (400, serde_json::json!({"error": {"message": "Unsupported parameter", "type": "invalid_request_error", "param": param, "code": "unsupported_parameter"}})),
            None => (200, approval()),
        }
    })
    .await;
    let rig = Rig::with(|table, _| table.providers.get_mut("a").unwrap().base_url = url).await;
    for sent in [3, 4] {
        let asked = rig.ask(verdict_of(question(""))).await;
        assert!(asked.result.is_ok(), "{:?}", asked.trace);
        assert_eq!(asked.trace.len(), 1, "one attempt, no retry");
        assert_eq!(bodies.lock().unwrap().len(), sent, "learnt once");
    }
    let last = bodies.lock().unwrap().last().cloned().unwrap();
    assert!(last.get("max_completion_tokens").is_some() && last.get("temperature").is_none());
    assert_eq!(last["response_format"]["type"], "json_schema");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_passed_on_goes_out_as_it_came_and_its_mistakes_teach_nothing() {
    let (url, bodies) = heard(|body| {
        if body["response_format"]["json_schema"]["name"] == "bad" {
            (400, serde_json::json!({"error": {"message": "Invalid schema", "type": "invalid_request_error", "param": "response_format"}}))
        } else if body["response_format"]["json_schema"]["name"] == "unreadable" {
            (500, serde_json::json!({"error": {"code": 500, "message": "JSON schema conversion failed", "type": "server_error"}}))
        } else {
            (200, approval())
        }
    })
    .await;
    let rig = Rig::with(|table, _| {
        table.providers.get_mut("a").unwrap().base_url = url;
        table.fallbacks.clear();
    })
    .await;
    let passed_on = |format: Format| CompletionRequest {
        purpose: Purpose::Chat,
        temperature: None,
        format,
        extras: Arc::new(RequestOptions {
            passed_on: true,
            ..RequestOptions::default()
        }),
        validate: |_| Ok(()),
        ..verdict_of(question(""))
    };
    let bad = Format::Json {
        name: "bad".into(),
        description: None,
        schema: Arc::new(serde_json::json!({"type": "object"})),
        strict: false,
    };
    let asked = rig.ask(passed_on(bad)).await;
    assert!(asked.result.is_err());
    let one = bodies.lock().unwrap().pop().unwrap();
    assert!(bodies.lock().unwrap().is_empty(), "asked once");
    assert_eq!(one["response_format"]["json_schema"]["strict"], false);
    assert_eq!((one.get("stream"), one.get("temperature")), (None, None));
    // Some servers answer 500 to a schema that they cannot read: no breaker opens for that.
    for n in 0..8 {
        let unreadable = Format::Json {
            name: "unreadable".into(),
            description: Some(format!("for {n}").into()),
            schema: Arc::new(serde_json::json!({"type": "object"})),
            strict: false,
        };
        let asked = rig.ask(passed_on(unreadable)).await;
        assert!(matches!(
            asked.result,
            Err(AskError::Model(ModelError::AtForm(_)))
        ));
    }
    let sent: Vec<serde_json::Value> = bodies.lock().unwrap().drain(..).collect();
    let form = &sent[0]["response_format"]["json_schema"];
    assert_eq!((sent.len(), &form["description"]), (8, &"for 0".into()));
    assert!(rig.ask(verdict_of(question(""))).await.result.is_ok());
    let verdict = bodies.lock().unwrap().pop().unwrap();
    assert_eq!(verdict["response_format"]["type"], "json_schema");
    assert_eq!(
        verdict["stream"], true,
        "a hanging provider is noticed soon"
    );
    let listens = CompletionRequest {
        listener: Some(Subscriber {
            reads: true,
            on_chunk: Arc::new(|_| ()),
        }),
        ..passed_on(Format::Object)
    };
    assert!(rig.ask(listens).await.result.is_ok());
    let streamed = bodies.lock().unwrap().pop().unwrap();
    assert_eq!(streamed["stream"], true);
    assert_eq!(streamed["response_format"]["type"], "json_object");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_searching_model_is_told_how_new_and_its_sources_are_kept_or_not() {
    let (url, bodies) = heard(|_| {
        let mut answer = approval();
        answer["search_results"] =
            serde_json::json!([{"url": "https://a.example/1", "title": "A"}]);
        (200, answer)
    })
    .await;
    for (days, model, citations, recency) in [
        (1, None, true, serde_json::json!("day")),
        (
            30,
            Some("equal".to_owned()),
            false,
            serde_json::json!("month"),
        ),
        (0, None, true, serde_json::Value::Null),
    ] {
        let wanted = model.clone().unwrap_or_else(|| "small".into());
        let url = url.clone();
        let rig = Rig::with(move |table, settings| {
            let provider = table.providers.get_mut("a").unwrap();
            provider.kind = "perplexity".into();
            provider.base_url = url;
            settings.search = bsm::settings::SearchSettings {
                model,
                citations,
                recency_days: days,
            };
        })
        .await;
        let (answer, _) = rig.ask(verdict_of(question(""))).await.result.unwrap();
        assert_eq!(answer.citations.len(), usize::from(citations));
        assert_eq!(answer.model, wanted);
        let body = bodies.lock().unwrap().last().cloned().unwrap();
        assert_eq!(
            (&body["search_recency_filter"], &body["model"]),
            (&recency, &wanted.into())
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_not_followed_and_no_key_leaves() {
    let there = Rig::new().await;
    let target = there
        .simulator
        .url()
        .as_str()
        .trim_end_matches('/')
        .to_owned();
    let app = axum::Router::new().fallback(move || async move {
        (
            axum::http::StatusCode::FOUND,
            [("location", format!("{target}/a/v1/chat/completions"))],
        )
    });
    let url = serve(app).await + "/v1";
    let rig = Rig::with(|table, _| {
        // Either key header: a bearer token, and Anthropic's own.
        table.fallbacks.clear();
        for provider in table.providers.values_mut() {
            provider.base_url.clone_from(&url);
            provider.key_env = vec!["A_ONE".into()];
        }
    })
    .await;
    for model in ["small", "large"] {
        let mut ask = verdict_of(question(""));
        ask.wanted = Some(model.into());
        let asked = rig.ask(ask).await;
        assert_eq!(asked.trace[0].outcome, "http_302", "{model}");
    }
    assert!(there.simulator.told().asked.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_question_of_one_vendor_reaches_another() {
    let rig = Rig::new().await;
    // A model that the table does not know goes nowhere.
    let mut ask = verdict_of(question(""));
    ask.wanted = Some("claude-of-somebody".into());
    let asked = rig.ask(ask).await;
    assert!(asked.skips[0].reason.contains("not described"));
    assert_eq!(&*asked.result.unwrap().0.model, "small");
    let told = rig.simulator.told();
    assert_eq!(told.asked.keys().collect::<Vec<_>>(), ["a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulator_does_the_same_again_with_the_same_seed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut ends = Vec::new();
    for _ in 0..2 {
        let simulator = Simulator::start(SimulatorSettings {
            seed: 7,
            faults: Faults::after(Latency::Fixed(0))
                .with(30.0, status(503))
                .with(20.0, Fault::Reset),
            script: Vec::new(),
        })
        .await
        .unwrap();
        let url = format!("{}v1/chat/completions", simulator.url());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut seen = Vec::new();
        for n in 0..40 {
            let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": (n / 2).to_string()}]});
            let sent = client.post(&url).json(&body).send().await;
            seen.push(match sent {
                Ok(response) => {
                    let status = response.status().as_u16();
                    format!("{status} {}", response.text().await.unwrap())
                }
                Err(_) => "broken".to_owned(),
            });
        }
        ends.push(seen);
    }
    assert_eq!(ends[0], ends[1]);
    let kinds: std::collections::BTreeSet<&str> = ends[0]
        .iter()
        .map(|e| e.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        ["200", "503", "broken"]
    );
}
