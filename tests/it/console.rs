//! The console: its screens at every size, its keys in any order, its bytes, and a real terminal.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::*;
use bsm::code_host::Publication;
use bsm::console::Options;
use bsm::console::action::{ACTIONS, Screen};
use bsm::console::app::App;
use bsm::console::component::DialogKind;
use bsm::console::message::{Effect, Message, Now};
use bsm::console::overlays::run_form::RunForm;
use bsm::console::route::Route;
use bsm::console::shell::state::State;
use bsm::console::shell::update::update;
use bsm::console::shell::view;
use bsm::console::terminal::Frames;
use bsm::console::theme::{Palette, Theme};
use bsm::drill::Drilled;
use bsm::drill::measure::{Kind, Measure, Want};
use bsm::engine::Operator;
use bsm::engine::protocol::call::CallView;
use bsm::engine::protocol::command::{Command, Reply};
use bsm::engine::protocol::cost::Costs;
use bsm::engine::protocol::event::Event;
use bsm::engine::protocol::github::PublicationView;
use bsm::engine::protocol::github::{
    Approval, ApprovalState, Delivery, DeliveryOutcome, PublicationState,
};
use bsm::engine::protocol::health::{Level, Reason};
use bsm::engine::protocol::memory::MemoryKind;
use bsm::engine::protocol::memory::{PatternGroup, Patterns, Similar, SimilarHit};
use bsm::engine::protocol::query::{Answer, Query, QueryError};
use bsm::engine::protocol::run::{Action, Evidence, RunResult, RunState, StepStatus};
use bsm::engine::protocol::snapshot::{Alert, RunSummary, Snapshot, StepSummary};
use bsm::resilience::breaker::BreakerState;
use bsm::review::verdict::Verdict;
use bsm::workspace::events::EventTable;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const UNICODE: Theme = Theme {
    color: true,
    ascii: false,
    palette: Palette::Terminal,
};
const ASCII: Theme = Theme {
    color: false,
    ascii: true,
    palette: Palette::Terminal,
};
/// 2026-11-21 14:02 UTC.
const WALL: i64 = 1_795_269_720_000;

fn brief(n: u32, state: RunState, action: Option<Action>, reason: &str) -> RunSummary {
    let over = action.is_some();
    let step = |agent: &str, verdict| StepSummary {
        agent: agent.into(),
        status: if over {
            StepStatus::Succeeded
        } else {
            StepStatus::Running
        },
        verdict: over.then_some(verdict),
        phase: None,
    };
    RunSummary {
        id: format!("job_{n}_k3f{n:03}"),
        event: "pull_request.opened".into(),
        title: Some(format!("#{}", 480 + n).into()),
        identity: None,
        why: None,
        waited_ms: None,
        model_ms: None,
        micro_usd: None,
        state,
        steps: vec![
            step("governance-review-agent", Verdict::Approve),
            step("security-agent", Verdict::Block),
        ],
        action,
        rule: action.map(|_| 2),
        reason: action.map(|_| reason.into()),
        cause: None,
        evidence: action.map(|_| Evidence::Full),
        simulated: false,
        created_ms: WALL - i64::from(n) * 1_000,
        started_ms: Some(WALL - 4_000),
        finished_ms: over.then_some(WALL),
        duration_ms: over.then_some(4_000),
    }
}

/// A picture with something on every panel, the same every time.
fn busy() -> Arc<Snapshot> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.mode.no_save = true;
    let handle = runtime.block_on(start.go());
    let mut s = (**handle.snapshots().borrow()).clone();
    drop(handle);
    runtime.shutdown_background();
    s.started_ms = WALL - 533_000_000;
    s.mode.no_save = false;
    s.added_latency.count = 4_218;
    (
        s.added_latency.p50_us,
        s.added_latency.p95_us,
        s.added_latency.p99_us,
    ) = (Some(110), Some(340), Some(710));
    s.added_latency.p50_slots = (0..30)
        .map(|n| (n % 7 != 3).then_some(100 + n * 7))
        .collect();
    s.added_latency.p99_slots = (0..30)
        .map(|n| (n % 7 != 3).then_some(500 + (n * 37) % 400))
        .collect();
    (s.calls.now, s.calls.peak, s.calls.average, s.calls.total) = (84.0, 120.0, 75.0, 90_000);
    s.calls.seconds = (0..60).map(|n| 40 + (n * 13) % 80).collect();
    s.caches[3].hits = 4_071;
    s.caches[3].misses = 34;
    s.resources.cpu_percent = 4;
    (s.resources.memory_mb, s.resources.disk_mb) = (21, 48);
    s.counts.running = 1;
    s.counts.queued = 1;
    s.counts.finished = 40;
    s.breakers[2].state = BreakerState::HalfOpen;
    s.breakers[2].trials = 1;
    s.providers[2].ready = true;
    s.outcomes.full = 40;
    s.availability = s.outcomes.availability();
    s.reasons = vec![Reason {
        code: "breaker-recovering".into(),
        check: "providers".into(),
        level: Level::Warn,
        message: "openai recovering".into(),
        since_ms: WALL,
        runbook: "docs/runbooks/breaker-open.md".into(),
    }];
    s.health = bsm::engine::protocol::snapshot::Health::Degraded;
    s.alerts = vec![Alert {
        at_ms: WALL,
        bad: true,
        text: "openai open: 5 failures in a row, last: http_529".into(),
        ..Alert::default()
    }];
    s.runs = vec![
        brief(1, RunState::Running, None, ""),
        brief(2, RunState::Queued, None, ""),
        brief(
            3,
            RunState::Finished,
            Some(Action::BlockPr),
            "Security vulnerabilities detected: secrets/private-key at deploy/id_rsa:1",
        ),
        brief(
            4,
            RunState::Finished,
            Some(Action::ApproveAndMerge),
            "rules and models approve",
        ),
        brief(
            5,
            RunState::Finished,
            Some(Action::ManualReview),
            "security-agent: openai answered 503",
        ),
        brief(
            6,
            RunState::Cancelled,
            Some(Action::ManualReview),
            "the run was cancelled \u{202e}مرحبا 中文",
        ),
    ];
    Arc::new(s)
}

fn state(theme: Theme) -> State {
    let mut state = State::new(busy(), theme, false, WALL);
    state.context.zone = bsm::console::format::Zone::Utc;
    state
}

fn now() -> Now {
    Now {
        at: Instant::now(),
        wall_ms: WALL,
    }
}

fn drawn(state: &State, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::draw(state, area, &mut buffer);
    let rows: Vec<String> = (0..height)
        .map(|y| {
            let mut line = String::new();
            let mut x = 0;
            while x < width {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                x += unicode_width::UnicodeWidthStr::width(symbol).max(1) as u16;
            }
            line.trim_end().to_owned()
        })
        .collect();
    rows.join("\n")
}

fn key(c: char) -> Message {
    let modifiers = KeyModifiers::NONE;
    Message::Key(KeyEvent::new(KeyCode::Char(c), modifiers))
}

/// The run that keys act on.
fn selected_run(state: &State) -> String {
    let subject = state.top().subject(&state.context);
    subject.run().unwrap_or_default().to_owned()
}

fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    keys.chars()
        .flat_map(|c| update(state, key(c), now()))
        .collect()
}

/// Charts over a quarter of an hour: a slow spell, an outage of one provider, a reload.
fn with_trends(state: &mut State) {
    use bsm::engine::protocol::history::{Point, Trends};
    press(state, "t");
    let from = WALL - 300_000;
    let points = (0..100)
        .map(|n| {
            let slow = (30..50).contains(&n);
            Point {
                at_ms: from + n * 3_000,
                p50_us: Some(if slow { 90_000 } else { 20_000 }),
                p95_us: Some(200_000),
                p99_us: Some(if slow {
                    340_000
                } else {
                    120_000 + (n as u64 * 7_919) % 40_000
                }),
                calls: 10.0 + (n % 13) as f64,
                hit_rate: Some(0.4 + n as f64 / 200.0),
                engine_ms: 0,
                breakers: vec![
                    Some(BreakerState::Closed),
                    Some(match n {
                        30..45 => BreakerState::Open,
                        45..50 => BreakerState::HalfOpen,
                        _ => BreakerState::Closed,
                    }),
                ],
                pools: vec![0.1, n as f64 / 100.0],
                ..Point::default()
            }
        })
        .collect();
    let trends = Trends {
        from_ms: from,
        to_ms: WALL,
        points,
        breakers: vec!["openai".into(), "perplexity".into()],
        pools: vec!["openai".into(), "perplexity".into()],
        marks: vec![from + 200_000],
        ..Trends::default()
    };
    let query = Query::Trends {
        from_ms: from,
        to_ms: WALL,
        points: 400,
    };
    let answer = Answer::Trends {
        trends: Box::new(trends),
    };
    update(state, Message::Answered(query, Ok(answer)), now());
}

fn with_calls(state: &mut State) {
    use bsm::engine::protocol::call::CallView;
    press(state, "3");
    let effects = update(
        state,
        Message::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)),
        now(),
    );
    let [Effect::Query(query)] = &effects[..] else {
        panic!("{effects:?}");
    };
    let call = |n: i64, outcome: &str, sent: bool| CallView {
        at_ms: WALL - n * 1_000,
        provider: "openai".into(),
        model: "gpt-4o-mini".into(),
        outcome: outcome.into(),
        sent,
        upstream_ms: if sent { 412 } else { 0 },
        waited_ms: if n == 2 { 250 } else { 0 },
        target: usize::from(n == 4),
        run: "job_3_k3f003".into(),
        agent: "security-agent".into(),
        correlation: "7f3c9a".into(),
        tokens: bsm::model::Tokens::default(),
        micro_usd: 0,
    };
    let calls = vec![
        call(1, "breaker_open", false),
        call(2, "http_529", true),
        call(3, "timeout", true),
        call(4, "ok", true),
    ];
    let answer = Answer::Calls { calls };
    update(state, Message::Answered(query.clone(), Ok(answer)), now());
}

fn with_why(state: &mut State) {
    use bsm::engine::protocol::why::{About, Help, Why};
    let effects = press(state, "w");
    let about = About::Provider {
        name: "openai".into(),
    };
    assert_eq!(
        effects,
        [Effect::Query(Query::Why {
            about: about.clone()
        })]
    );
    let why = Why {
        title: "openai open for 41 s".into(),
        because: vec![
            "It opened because of 5 failures in a row, last: http_529.".into(),
            "3 calls were answered by another model instead (3 × gpt-4o-mini).".into(),
        ],
        helps: vec![Help {
            action: "reset-breaker".into(),
            why: "try now instead of waiting".into(),
        }],
        runbook: Some("docs/runbooks/breaker-open.md".into()),
    };
    let answer = Answer::Why { why: Box::new(why) };
    update(
        state,
        Message::Answered(Query::Why { about }, Ok(answer)),
        now(),
    );
}

/// The calls behind a breaker: the failed one is selected, Enter opens its run, `l` its log lines at the
/// place where that attempt failed.
#[test]
fn from_a_breaker_to_its_calls_their_run_and_its_log_lines() {
    let mut s = state(UNICODE);
    with_calls(&mut s);
    let [Effect::Query(Query::Logs { filter })] = &press(&mut s, "l")[..] else {
        panic!("no log lines asked for");
    };
    assert_eq!(filter.run.as_deref(), Some("job_3_k3f003"));
    let mut s = state(UNICODE);
    with_calls(&mut s);
    for filter in ["outcome:ok", "took>300ms -outcome:ok waited>1"] {
        press(&mut s, "/");
        press(&mut s, filter);
        press_enter(&mut s);
        let shown = drawn(&s, 140, 20);
        assert_eq!(shown.matches("security-agent").count(), 1, "{shown}");
        press(&mut s, "/");
        update(&mut s, Message::Key(KeyEvent::from(KeyCode::Esc)), now());
    }
    let enter = Message::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    let effects = update(&mut s, enter, now());
    let run = "job_3_k3f003".to_owned();
    assert_eq!(effects, [Effect::Query(Query::Run { id: run })]);
    // Back comes the list, then the screen.
    let esc = || Message::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
    update(&mut s, esc(), now());
    assert!(matches!(s.routes()[..], [_, Route::Calls { .. }]));
    update(&mut s, esc(), now());
    assert_eq!(s.routes(), [&Route::Screen(Screen::Resilience)]);
}

#[test]
fn rewound_it_says_so_and_space_returns() {
    use bsm::engine::protocol::history::SnapshotAt;
    let mut s = state(UNICODE);
    let effects = press(&mut s, "[");
    let query = Query::Moment {
        at_ms: WALL - 1,
        after: false,
    };
    assert_eq!(effects, [Effect::Query(query.clone())]);
    let mut past = (*s.context.live).clone();
    past.resources.memory_mb = 7_777;
    let answer = |moment| Message::Answered(query.clone(), Ok(Answer::Moment { moment }));
    let moment = SnapshotAt {
        at_ms: WALL - 720_000,
        picture: Box::new(past),
        oldest_ms: 0,
        engine_ms: 0,
        this_life: true,
    };
    update(&mut s, answer(Some(moment)), now());
    let text = drawn(&s, 120, 40);
    assert!(text.contains("REWOUND to 13:50:00, 12 min ago"), "{text}");
    assert!(text.contains("memory 7777 MB"));
    // The next step goes on from there, a live picture changes nothing, and before the oldest there is none.
    let [Effect::Query(Query::Moment { at_ms, after })] = &press(&mut s, "}")[..] else {
        panic!("no step");
    };
    assert_eq!((*at_ms, *after), (WALL - 120_000, true));
    update(&mut s, Message::Snapshot(busy()), now());
    assert!(drawn(&s, 120, 40).contains("memory 7777 MB"));
    // A long way back leads to the first picture at the furthest; who is there already is told so.
    let effects = update(&mut s, answer(None), now());
    let [Effect::Query(first)] = &effects[..] else {
        panic!("the first picture is not asked for");
    };
    let moment = SnapshotAt {
        at_ms: WALL - 720_000,
        picture: Box::new((*busy()).clone()),
        oldest_ms: WALL - 720_000,
        engine_ms: 0,
        this_life: true,
    };
    let moment = Some(moment);
    let answer = Message::Answered(first.clone(), Ok(Answer::Moment { moment }));
    update(&mut s, answer, now());
    assert!(drawn(&s, 120, 40).contains("nothing was recorded before this"));
    press(&mut s, " ");
    assert!(!drawn(&s, 120, 40).contains("REWOUND") && s.context.frozen.is_none());
    assert!(press(&mut s, "]").is_empty(), "after now there is nothing");
}

#[test]
fn what_is_too_small_to_be_seen_is_not_answered() {
    let mut s = state(UNICODE);
    press(&mut s, "D");
    update(&mut s, Message::Resize(20, 5), now());
    press(&mut s, "drain");
    assert!(press_enter(&mut s).is_empty());
    assert!(drawn(&s, 20, 5).contains("Esc: too small"));
    assert!(press(&mut s, "r").is_empty() && s.dialogs().len() == 1);
    let escape = KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE);
    update(&mut s, Message::Key(escape), now());
    assert!(s.dialogs().is_empty());
}

#[test]
fn a_refused_form_and_a_low_terminal_say_what_is_there() {
    let mut s = state(UNICODE);
    press(&mut s, "r");
    let reason = "the engine answered 401: no token".to_owned();
    let refused = Err(QueryError::Unavailable { reason });
    update(&mut s, Message::Answered(Query::Workspace, refused), now());
    assert_eq!(s.dialogs(), [DialogKind::RunForm]);
    assert!(drawn(&s, 120, 40).contains("401"));
    update(&mut s, Message::Key(KeyEvent::from(KeyCode::Esc)), now());
    // Where one panel has room it is the one that keys act on.
    press(&mut s, "3");
    press(&mut s, "g");
    assert!(drawn(&s, 40, 10).contains("Circuit breakers"));
    let rows = s.context.live.provider_rows.len();
    press(&mut s, &"j".repeat(rows));
    assert!(drawn(&s, 40, 10).contains("Pools"));
}

#[test]
fn the_mouse_selects_opens_and_changes_screens() {
    use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
    let mut s = state(UNICODE);
    s.context.size = (120, 40);
    let mouse = |kind, column, row| {
        Message::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers: KeyModifiers::NONE,
        })
    };
    let click = |x, y| mouse(MouseEventKind::Down(MouseButton::Left), x, y);
    let tabs = drawn(&s, 120, 40).lines().nth(1).unwrap().to_owned();
    let runs = tabs.find("Runs").unwrap() as u16;
    update(&mut s, click(runs, 1), now());
    assert_eq!(s.screen(), Screen::Runs);
    // The third row, where the screen shows it.
    let y = drawn(&s, 120, 40)
        .lines()
        .position(|l| l.contains("#483"))
        .unwrap() as u16;
    assert!(update(&mut s, click(20, y), now()).is_empty());
    assert_eq!(selected_run(&s), "job_3_k3f003");
    update(&mut s, mouse(MouseEventKind::ScrollDown, 20, y), now());
    assert_eq!(selected_run(&s), "job_4_k3f004");
    update(&mut s, click(20, y), now());
    let opened = update(&mut s, click(20, y), now());
    assert!(matches!(&opened[..], [Effect::Query(Query::Run { id })] if id.ends_with("k3f003")));
    assert!(update(&mut state(UNICODE), click(500, 500), now()).is_empty());
}

#[test]
fn draining_asks_for_a_word_and_a_payload_can_be_typed_in() {
    let mut s = state(UNICODE);
    press(&mut s, "D");
    let enter = || Message::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    assert!(press(&mut s, "drai").is_empty());
    assert!(
        update(&mut s, enter(), now()).is_empty(),
        "not the whole word"
    );
    press(&mut s, "n");
    assert_eq!(
        update(&mut s, enter(), now()),
        [Effect::Send(Command::Drain)]
    );

    let mut s = state(UNICODE);
    press(&mut s, "r");
    let answer = Answer::Workspace {
        agents: Vec::new(),
        events: bsm::workspace::Workspace::built_in()
            .events
            .events
            .clone()
            .into_iter()
            .collect(),
        problems: Vec::new(),
    };
    update(
        &mut s,
        Message::Answered(Query::Workspace, Ok(answer)),
        now(),
    );
    for _ in 0..2 {
        update(
            &mut s,
            Message::Key(KeyEvent::new(KeyCode::Tab, KeyModifiers::NONE)),
            now(),
        );
    }
    press(&mut s, "{\"number\": ");
    assert!(update(&mut s, enter(), now()).is_empty());
    assert!(drawn(&s, 120, 40).contains("the payload is no JSON"));
    press(&mut s, "7}");
    update(
        &mut s,
        Message::Key(KeyEvent::new(KeyCode::Tab, KeyModifiers::NONE)),
        now(),
    );
    press(&mut s, "l");
    let sent = update(&mut s, enter(), now());
    let [Effect::Send(Command::Trigger(trigger))] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!(
        (trigger.payload["number"].as_u64(), trigger.offline),
        (Some(7), true)
    );
}

/// Over a slow link Enter may come before the events do.
#[test]
fn a_run_started_before_its_events_are_known_starts_when_they_are() {
    let mut s = state(UNICODE);
    press(&mut s, "r");
    let enter = Message::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    assert!(update(&mut s, enter, now()).is_empty());
    assert!(drawn(&s, 120, 40).contains("still being read"));
    let built_in = bsm::workspace::Workspace::built_in().events.events.clone();
    let answer = Answer::Workspace {
        agents: Vec::new(),
        events: built_in.into_iter().collect(),
        problems: Vec::new(),
    };
    let answered = Message::Answered(Query::Workspace, Ok(answer));
    let sent = update(&mut s, answered, now());
    assert!(
        matches!(&sent[..], [Effect::Send(Command::Trigger(t))] if t.event == "pull_request.opened"),
        "{sent:?}"
    );
    let [Effect::Send(command)] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert!(press_enter(&mut s).is_empty(), "it is sent once");
    let accepted = Reply::Accepted {
        run: "job_1_k3f001".into(),
        correlation: "c".into(),
        defaulted: false,
    };
    update(
        &mut s,
        Message::Replied(command.clone(), Ok(accepted)),
        now(),
    );
    assert!(s.dialogs().is_empty());
    let run = Route::Run {
        id: "job_1_k3f001".into(),
    };
    assert_eq!(s.routes(), [&Route::Screen(Screen::Overview), &run]);
}

/// What a command would cost stands in its question, and what became of it is told a minute later.
#[test]
fn a_question_says_the_consequence_and_a_minute_later_what_happened() {
    let mut s = state(UNICODE);
    let mut live = (*s.context.live).clone();
    live.caches[3].entries = 412;
    live.caches[3].loads = 34;
    live.cost_usd = 0.34;
    s.context.live = Arc::new(live.clone());
    press(&mut s, "4jjjc");
    let text = drawn(&s, 120, 40);
    assert!(
        text.contains("responses: 412 entries, $4.12 to ask again, hit rate so far 99.2 %"),
        "{text}"
    );
    let command = Command::ClearCache {
        cache: Some("responses".into()),
        tag: None,
    };
    let began = now();
    let done = Ok(bsm::engine::protocol::command::Reply::Done {
        what: "cleared".into(),
    });
    update(&mut s, Message::Replied(command, done), began);
    live.caches[3].misses += 30;
    live.caches[3].loads += 30;
    live.caches[3].hits += 10;
    s.context.live = Arc::new(live);
    let later = Now {
        at: began.at + std::time::Duration::from_secs(61),
        ..began
    };
    update(&mut s, Message::Tick, later);
    let text = drawn(&s, 120, 40);
    assert!(
        text.contains(
            "a minute after clearing responses: 30 loaded again, hit rate 25.0 % of 40 gets"
        ),
        "{text}"
    );
}

#[test]
fn screens_are_as_they_were_agreed() {
    // The local time of the header depends on the machine's zone.
    insta::with_settings!({filters => vec![(r"\d\d:\d\d( |\n|$)", "HH:MM$1")]}, {
        for (width, height) in [(120, 40), (80, 24), (40, 12), (20, 3)] {
            insta::assert_snapshot!(format!("overview_{width}x{height}"), drawn(&state(UNICODE), width, height));
        }
        insta::assert_snapshot!("overview_ascii_80x24", drawn(&state(ASCII), 80, 24));
        for digit in ['2', '3', '4'] {
            let mut s = state(UNICODE);
            press(&mut s, &digit.to_string());
            insta::assert_snapshot!(format!("screen_{digit}_120x40"), drawn(&s, 120, 40));
        }
        let mut s = state(UNICODE);
        press(&mut s, "?");
        insta::assert_snapshot!("help_80x24", drawn(&s, 80, 24));
        for (width, height) in [(120, 40), (80, 24)] {
            let mut s = state(UNICODE);
            with_trends(&mut s);
            insta::assert_snapshot!(format!("trends_{width}x{height}"), drawn(&s, width, height));
            let mut s = state(UNICODE);
            with_calls(&mut s);
            insta::assert_snapshot!(format!("calls_{width}x{height}"), drawn(&s, width, height));
            with_why(&mut s);
            insta::assert_snapshot!(format!("why_{width}x{height}"), drawn(&s, width, height));
        }
        for (width, height) in [(120, 40), (80, 24)] {
            let mut s = state(UNICODE);
            with_memory(&mut s);
            insta::assert_snapshot!(format!("memory_{width}x{height}"), drawn(&s, width, height));
            let mut s = state(UNICODE);
            with_inbox(&mut s);
            insta::assert_snapshot!(format!("inbox_{width}x{height}"), drawn(&s, width, height));
            press(&mut s, "v");
            insta::assert_snapshot!(format!("decide_{width}x{height}"), drawn(&s, width, height));
        }
        let mut s = state(ASCII);
        with_trends(&mut s);
        insta::assert_snapshot!("trends_ascii_80x24", drawn(&s, 80, 24));
    });
}

#[test]
fn borders_and_hints_name_the_keys_that_were_chosen() {
    let chosen = [("reset-breaker", "Z"), ("run", "n"), ("clear-cache", "K")];
    let chosen = chosen.iter().map(|(a, k)| ((*a).into(), (*k).into()));
    let mut s = state(UNICODE);
    s.context.keys = bsm::console::keymap::Keymap::with(&chosen.collect()).unwrap();
    let shown = drawn(&s, 120, 40);
    for (there, gone) in [
        ("Z reset", "b reset"),
        ("n run", "r run"),
        ("K clear", "c clear"),
    ] {
        assert!(
            shown.contains(there) && !shown.contains(gone),
            "{there}\n{shown}"
        );
    }
}

#[test]
fn ascii_means_ascii_and_mono_means_no_colour() {
    let mut s = state(ASCII);
    s.context.live = Arc::new({
        let mut snapshot = (*s.context.live).clone();
        snapshot.runs.truncate(5);
        snapshot
    });
    for keys in [
        "1", "2", "3", "4", "5", "6", "7", "8", "?", ":", "r", "c", "b", "A", "d", "$",
    ] {
        let mut s = State::new(Arc::clone(&s.context.live), ASCII, false, WALL);
        press(&mut s, keys);
        let text = drawn(&s, 120, 40);
        assert!(
            text.is_ascii(),
            "{keys}: {:?}",
            text.chars().find(|c| !c.is_ascii())
        );
        let area = Rect::new(0, 0, 120, 40);
        let mut buffer = Buffer::empty(area);
        view::draw(&s, area, &mut buffer);
        assert!(
            buffer
                .content
                .iter()
                .all(|c| c.fg == ratatui::style::Color::Reset
                    && c.bg == ratatui::style::Color::Reset)
        );
    }
}

#[test]
fn every_screen_and_overlay_draws_at_every_size() {
    let mut sizes: Vec<(u16, u16)> = (0..=24)
        .flat_map(|w| (0..=8).map(move |h| (w, h)))
        .collect();
    for (w, h) in [
        (40, 8),
        (72, 16),
        (80, 28),
        (100, 24),
        (110, 30),
        (140, 40),
        (200, 60),
    ] {
        sizes.extend(
            (-1i32..=1).flat_map(|a| (-1i32..=1).map(move |b| ((w + a) as u16, (h + b) as u16))),
        );
    }
    sizes.extend((0..100).map(|n| ((n * 73 % 201) as u16, (n * 37 % 61) as u16)));
    let base = state(UNICODE);
    for keys in [
        "1", "2", "3", "4", "5", "6", "7", "8", "?", ":", "/", "r", "c", "b", "2x", "3i", "q", "D",
        "e", "p", "F", "L", "w", "t", "A", "d", "S", "$",
    ] {
        let mut s = State::new(Arc::clone(&base.context.live), UNICODE, false, WALL);
        press(&mut s, keys);
        for (w, h) in &sizes {
            let area = Rect::new(0, 0, *w, *h);
            view::draw(&s, area, &mut Buffer::empty(area));
        }
    }
    for fill in [
        with_trends,
        with_calls,
        with_calls_and_why,
        with_talk,
        with_drill,
        with_costs,
        with_inbox,
        with_decision,
        with_memory,
    ] {
        let mut s = State::new(Arc::clone(&base.context.live), UNICODE, false, WALL);
        fill(&mut s);
        for (w, h) in &sizes {
            let area = Rect::new(0, 0, *w, *h);
            s.context.size = (*w, *h);
            view::draw(&s, area, &mut Buffer::empty(area));
        }
    }
}

fn with_calls_and_why(state: &mut State) {
    with_calls(state);
    with_why(state);
}

/// A text that is typed, what is like it, and why changes are rejected.
fn with_memory(state: &mut State) {
    press(state, "6");
    press(state, "/");
    press(state, "charge card");
    let text = "charge card".to_owned();
    let hit = |n: u32, kind, review: &str| SimilarHit {
        id: format!("job_{n}_k3f00{n}/security-agent"),
        score: 1.0 / f64::from(n),
        overlap: 12,
        union: 12 * n,
        kind,
        code: "fn charge(card: &Card) -> Result<Receipt, Declined>\n{ شحن البطاقة }".into(),
        review: review.into(),
        metadata: serde_json::json!({"agent": "security-agent"}),
        created_at: WALL,
        run_id: Some(format!("job_{n}_k3f00{n}")),
    };
    let found = Box::new(Similar {
        hits: vec![
            hit(
                1,
                MemoryKind::CodeReview,
                "block\nhigh security/pipe-to-shell: run unseen",
            ),
            hit(2, MemoryKind::CodeReview, "approve"),
            hit(3, MemoryKind::OrchestrationDecision, "request_changes"),
        ],
        total: 12_345,
        took_us: 1_230,
        ready: false,
    });
    let group = |by: &str, name: &str, rejections, total| PatternGroup {
        by: by.into(),
        name: name.into(),
        total,
        rejections,
    };
    let patterns = Box::new(Patterns {
        total: 40,
        rejections: 12,
        rate: 0.3,
        reasons: vec![
            ("Security vulnerabilities detected".into(), 9),
            ("Code quality issues found".into(), 3),
        ],
        groups: vec![
            group("agent", "security-agent", 9, 9),
            group("rule", "security/pipe-to-shell", 4, 5),
            group("week", "2026-W47", 12, 40),
        ],
    });
    let query = Query::Similar {
        text,
        k: 50,
        min_score: 0.0,
    };
    update(
        state,
        Message::Answered(query, Ok(Answer::Similar { found })),
        now(),
    );
    let query = Query::Patterns { since_ms: 0 };
    update(
        state,
        Message::Answered(query, Ok(Answer::Patterns { patterns })),
        now(),
    );
}

/// Every key asks, an answer to what was typed before is none, and Enter reads what was said.
#[test]
fn memory_answers_as_one_types() {
    let mut s = state(UNICODE);
    let asked = press(&mut s, "6");
    assert_eq!(asked.len(), 2, "patterns and figures: {asked:?}");
    press(&mut s, "/");
    let asked = press(&mut s, "car");
    let texts: Vec<&str> = asked
        .iter()
        .map(|e| match e {
            Effect::Query(Query::Similar { text, .. }) => text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["c", "ca", "car"]);
    let old = Query::Similar {
        text: "ca".into(),
        k: 50,
        min_score: 0.0,
    };
    let found = Box::new(Similar {
        hits: Vec::new(),
        total: 9,
        took_us: 1,
        ready: true,
    });
    update(
        &mut s,
        Message::Answered(old, Ok(Answer::Similar { found })),
        now(),
    );
    assert!(!drawn(&s, 120, 40).contains("0 alike"));
    let asked = update(
        &mut s,
        Message::Paste("d: &Card)\n  -> Result".into()),
        now(),
    );
    assert!(
        matches!(&asked[..], [Effect::Query(Query::Similar { text, .. })] if text == "card: &Card)   -> Result"),
        "{asked:?}"
    );
    let mut s = state(UNICODE);
    with_memory(&mut s);
    let enter = || Message::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    update(&mut s, enter(), now());
    press(&mut s, "j");
    update(&mut s, enter(), now());
    assert!(drawn(&s, 120, 40).contains("approve"));
}

/// Webhooks, publications and a pending approval.
fn with_inbox(state: &mut State) {
    press(state, "8");
    let limit = 200;
    let delivery = |n: i64, event: &str, outcome, note: &str| Delivery {
        id: format!("d-{n}"),
        at_ms: WALL - n * 60_000,
        event: event.into(),
        place: "acme/shop#7".into(),
        outcome,
        note: note.into(),
        run: (outcome == DeliveryOutcome::Run).then(|| "job_1_k3f001".into()),
        repeats: u32::from(n == 4),
    };
    let publication = |n: i64, publication: Publication, state, note: &str| PublicationView {
        id: n,
        run: "job_1_k3f001".into(),
        place: "acme/shop#7".into(),
        kind: publication.kind().into(),
        says: publication.says().into(),
        publication: Some(publication),
        state,
        attempts: 1,
        note: note.into(),
        created_ms: WALL - n * 30_000,
        next_ms: 0,
    };
    let comment = Publication::Comment {
        marker: "<!-- m -->".into(),
        body: "<!-- m -->\n## `block_pr`\n\nSecurity vulnerabilities detected".into(),
        id: None,
    };
    let status = Publication::Status {
        state: "failure".into(),
        description: "block_pr (full): Security vulnerabilities detected".into(),
        context: "bsm/review".into(),
        commit: String::new(),
        check: None,
        annotations: Vec::new(),
    };
    let approval = Approval {
        id: "apr_x1y2z3a4".into(),
        action: "publish".into(),
        subject: "job_1_k3f001".into(),
        what: "publishing block_pr on acme/shop#7 (comment, status)".into(),
        approvers: vec!["ana".into()],
        created_ms: WALL - 600_000,
        expires_ms: WALL + 600_000,
        state: ApprovalState::Waiting,
        by: None,
        reason: None,
        decided_ms: None,
    };
    let answers = [
        (
            Query::Approvals { limit },
            Answer::Approvals {
                approvals: vec![approval],
            },
        ),
        (
            Query::Deliveries { limit },
            Answer::Deliveries {
                deliveries: vec![
                    delivery(4, "pull_request.opened", DeliveryOutcome::Run, ""),
                    delivery(
                        6,
                        "star.created",
                        DeliveryOutcome::Unmapped,
                        "no rule is for star.created",
                    ),
                    delivery(
                        7,
                        "pull_request.opened",
                        DeliveryOutcome::Skipped,
                        "a draft",
                    ),
                ],
            },
        ),
        (
            Query::Outbox { limit },
            Answer::Outbox {
                entries: vec![
                    publication(2, comment, PublicationState::Done, "comment 12 edited"),
                    publication(
                        3,
                        status,
                        PublicationState::Waiting,
                        "GitHub answered 502: bad gateway",
                    ),
                ],
            },
        ),
    ];
    for (query, answer) in answers {
        update(state, Message::Answered(query, Ok(answer)), now());
    }
}

fn with_decision(state: &mut State) {
    with_inbox(state);
    press(state, "v");
}

/// What waits is first; its word needs a reason and a token, and the token is never on the screen.
#[test]
fn the_inbox_leads_to_a_word_to_a_text_and_to_a_run() {
    let mut s = state(UNICODE);
    s.context.approver = Some("anas-own-token-0123456789".into());
    with_inbox(&mut s);
    let enter = || Message::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    press(&mut s, "v");
    assert!(update(&mut s, enter(), now()).is_empty());
    assert!(drawn(&s, 120, 40).contains("say why"));
    press(&mut s, "looked at it");
    let text = drawn(&s, 120, 40);
    assert!(
        text.contains("looked at it") && text.contains("*****"),
        "{text}"
    );
    assert!(!text.contains("anas-own-token"), "{text}");
    let sent = update(&mut s, enter(), now());
    let [
        Effect::Send(Command::Decide {
            approval,
            grant: true,
            reason,
            token,
        }),
    ] = &sent[..]
    else {
        panic!("{sent:?}");
    };
    assert_eq!(
        (approval.as_str(), reason.as_str()),
        ("apr_x1y2z3a4", "looked at it")
    );
    assert_eq!(token.0, "anas-own-token-0123456789");
    assert!(
        !format!("{sent:?}").contains("anas-own"),
        "no log shows it either"
    );
    // A publication is read in full, a webhook leads to its run.
    press(&mut s, "j");
    update(&mut s, enter(), now());
    assert!(drawn(&s, 120, 40).contains("## `block_pr`"));
    update(
        &mut s,
        Message::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)),
        now(),
    );
    press(&mut s, "v");
    assert!(s.dialogs().is_empty(), "nothing to decide there");
    press(&mut s, "jj");
    let asked = update(&mut s, enter(), now());
    assert_eq!(
        asked,
        [Effect::Query(Query::Run {
            id: "job_1_k3f001".into()
        })]
    );
    // New figures in the picture: it is read again.
    let mut s = state(UNICODE);
    with_inbox(&mut s);
    let mut live = (*s.context.live).clone();
    live.github.runs += 1;
    let asked = update(&mut s, Message::Snapshot(Arc::new(live)), now());
    assert_eq!(asked.len(), 3, "{asked:?}");
    // The filter is that of all lists.
    press(&mut s, "/kind:webhook state:unmapped");
    press_enter(&mut s);
    let shown = drawn(&s, 120, 40);
    assert!(
        shown.contains("star.created") && !shown.contains("a draft"),
        "{shown}"
    );
}

/// A question that is being answered, after one that was.
fn with_talk(state: &mut State) {
    press(state, "A");
    let type_in = |state: &mut State, text: &str| -> Vec<Effect> {
        for c in text.chars() {
            update(state, key(c), now());
        }
        let enter = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
        update(state, Message::Key(enter), now())
    };
    let effects = type_in(state, "why is openai open?");
    let [Effect::Send(command @ Command::Ask(_))] = &effects[..] else {
        panic!("{effects:?}");
    };
    let reply = Reply::Answered {
        text: "Five answers in a row were 529. The next trial comes in 6 s.\n\nNothing is lost meanwhile: the fallback answers.".into(),
        model: "gpt-4o".into(),
        source: "loaded".into(),
        citations: Vec::new(),
        tokens: bsm::model::Tokens { prompt: 215, completion: 39 },
        micro_usd: 927,
    };
    update(state, Message::Replied(command.clone(), Ok(reply)), now());
    let effects = type_in(state, "and \u{202e}what then?");
    let [Effect::Send(Command::Ask(question))] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(question.history.len(), 2);
    let said = Event::Said {
        of: question.id.clone(),
        agent: "assistant".into(),
        text: "Then it is asked\x1b[2J once".into(),
    };
    update(state, Message::Happened(said, 0), now());
}

fn with_drill(state: &mut State) {
    let name = "stampede".to_owned();
    let command = Command::Drill {
        drill: name.clone(),
    };
    let done = Reply::Done {
        what: String::new(),
    };
    update(state, Message::Replied(command, Ok(done)), now());
    let line = "2000 callers want one answer that takes 200 ms".to_owned();
    let event = Event::Drill {
        name: name.clone(),
        line,
    };
    update(state, Message::Happened(event, 0), now());
    let measure = |name: &str, kind, want, value, unit: &str| Measure {
        name: name.into(),
        kind,
        want,
        value,
        unit: unit.into(),
    };
    let drilled = Box::new(Drilled {
        name,
        promise: "A thousand callers of one answer are one call.".into(),
        measures: vec![
            measure(
                "calls to the provider",
                Kind::Count,
                Want::Exactly(1.0),
                1.0,
                "",
            ),
            measure(
                "callers without an answer",
                Kind::Count,
                Want::Exactly(0.0),
                2.0,
                "",
            ),
            measure(
                "an answer, p99",
                Kind::Timing,
                Want::AtMost(250.0),
                301.5,
                "ms",
            ),
            measure(
                "processor time a caller",
                Kind::Timing,
                Want::Nothing,
                29.9,
                "µs",
            ),
        ],
        took_ms: 812,
    });
    update(
        state,
        Message::Happened(Event::Drilled { drilled }, 0),
        now(),
    );
}

fn with_costs(state: &mut State) {
    let effects = press(state, "$");
    let [Effect::Query(query)] = &effects[..] else {
        panic!("{effects:?}");
    };
    let line = |day: &str, model: &str, agent: &str, micro_usd| bsm::model::spend::Line {
        day: day.into(),
        provider: "openai".into(),
        model: model.into(),
        agent: agent.into(),
        calls: 12,
        prompt: 34_567,
        completion: 890,
        micro_usd,
    };
    let costs = Box::new(Costs {
        today_micro_usd: 420_000,
        reserved_micro_usd: 12_000,
        run_budget_usd: 0.0,
        day_budget_usd: 5.0,
        lines: vec![
            line("2026-11-21", "gpt-4o", "security-agent", 400_000),
            line("2026-11-21", "gpt-4o-mini", "", 20_000),
            line("2026-11-20", "gpt-4o", "code-review-agent", 300_000),
        ],
    });
    update(
        state,
        Message::Answered(query.clone(), Ok(Answer::Costs { costs })),
        now(),
    );
}

/// From a cache that is slow to the log line of the call behind it: four keys from the Overview.
#[test]
fn from_a_slow_cache_to_the_call_behind_it_and_its_log_lines() {
    let mut snapshot = (*busy()).clone();
    let slow = snapshot.caches.iter_mut().find(|c| c.name == "responses");
    slow.unwrap().last_load_ms = Some(29_000);
    let mut s = State::new(Arc::new(snapshot), UNICODE, false, WALL);
    press(&mut s, "4"); // the slowest is selected
    let effects = press_enter(&mut s);
    let [Effect::Query(query @ Query::Calls { provider: None, .. })] = &effects[..] else {
        panic!("{effects:?}");
    };
    let call = |ms: u64, run: &str, agent: &str| CallView {
        at_ms: WALL,
        provider: "openai".into(),
        model: "gpt-4o".into(),
        outcome: "ok".into(),
        sent: true,
        upstream_ms: ms,
        waited_ms: 0,
        target: 0,
        run: run.into(),
        agent: agent.into(),
        correlation: "c".into(),
        tokens: bsm::model::Tokens {
            prompt: 900,
            completion: 24,
        },
        micro_usd: 2_500,
    };
    let calls = vec![
        call(300, "job_1_aaaaaa", "code-review-agent"),
        call(29_000, "job_2_bbbbbb", "security-agent"),
    ];
    update(
        &mut s,
        Message::Answered(query.clone(), Ok(Answer::Calls { calls })),
        now(),
    );
    let shown = drawn(&s, 140, 12);
    assert!(
        shown.contains("slowest first") && shown.contains("924 tokens $0.0025"),
        "{shown}"
    );
    let effects = press(&mut s, "l");
    let [Effect::Query(Query::Logs { filter })] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(
        filter.run.as_deref(),
        Some("job_2_bbbbbb"),
        "the slowest call's run"
    );
    // A cache of files leads to what the log says of its loads.
    let mut snapshot = (*busy()).clone();
    let slow = snapshot.caches.iter_mut().find(|c| c.name == "knowledge");
    slow.unwrap().last_load_ms = Some(29_000);
    let mut s = State::new(Arc::new(snapshot), UNICODE, false, WALL);
    press(&mut s, "4");
    let effects = press_enter(&mut s);
    let [Effect::Query(Query::Logs { filter })] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(filter.terms, "cache=knowledge");
}

fn press_enter(state: &mut State) -> Vec<Effect> {
    let enter = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
    update(state, Message::Key(enter), now())
}

#[test]
fn what_a_model_says_is_shown_while_it_says_it_and_only_in_its_own_run() {
    let mut s = state(UNICODE);
    press(&mut s, "2");
    let effects = press_enter(&mut s);
    let [Effect::Query(Query::Run { id })] = &effects[..] else {
        panic!("{effects:?}");
    };
    let mut run = running(id);
    run.decision = None;
    let query = Query::Run { id: id.clone() };
    update(
        &mut s,
        Message::Answered(query, Ok(Answer::Run { run: Box::new(run) })),
        now(),
    );
    let said = |of: &str, text: &str| {
        Message::Happened(
            Event::Said {
                of: of.into(),
                agent: "security-agent".into(),
                text: text.into(),
            },
            0,
        )
    };
    update(&mut s, said(id, "The change opens\x1b[2J a door"), now());
    update(&mut s, said("job_of_another", "something else"), now());
    let shown = drawn(&s, 120, 40);
    assert!(
        shown.contains("security-agent says") && shown.contains("opens␛[2J a door"),
        "{shown}"
    );
    assert!(!shown.contains("something else"));
    let ended = Event::StepFinished {
        run: id.clone(),
        agent: "security-agent".into(),
        status: StepStatus::Succeeded,
    };
    update(&mut s, Message::Happened(ended, 0), now());
    assert!(!drawn(&s, 120, 40).contains("says"));
}

/// A run at work.
fn running(id: &str) -> RunResult {
    RunResult {
        schema_version: 1,
        run_id: id.into(),
        correlation_id: "c".into(),
        event: "pull_request.opened".into(),
        requested_event: None,
        state: RunState::Running,
        strategy: bsm::workspace::events::Strategy::Parallel,
        simulated: false,
        evidence: Evidence::Partial,
        stale: false,
        coverage: bsm::review::finding::Coverage::default(),
        size: bsm::review::finding::ChangeSize::default(),
        decision: None,
        agents: vec![bsm::engine::protocol::run::Step::queued("security-agent")],
        suppressed: Vec::new(),
        report: None,
        created_at: WALL,
        duration_ms: None,
        notes: Vec::new(),
        documentation: bsm::review::documentation::Documentation::default(),
    }
}

/// What the documents show is what the program draws. `BSM_UPDATE_DOCS=1 cargo test` writes it anew.
#[test]
fn the_documents_show_the_real_screen_and_keys() {
    let between = |file: &str, mark: &str, wanted: String| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text
            .split_once(&format!(
                "<!-- {mark}: made by `cargo test`, do not edit -->\n"
            ))
            .unwrap();
        let (inside, after) = rest.split_once(&format!("<!-- /{mark} -->")).unwrap();
        if inside != wanted && std::env::var_os("BSM_UPDATE_DOCS").is_some() {
            let new = format!(
                "{before}<!-- {mark}: made by `cargo test`, do not edit -->\n{wanted}<!-- /{mark} -->{after}"
            );
            std::fs::write(&path, new).unwrap();
            return;
        }
        assert_eq!(
            inside, wanted,
            "{file}: run BSM_UPDATE_DOCS=1 cargo test --test it console"
        );
    };
    let shown = |title: &str, fill: &dyn Fn(&mut State), (w, h): (u16, u16)| {
        let mut s = state(UNICODE);
        fill(&mut s);
        let screen = drawn(&s, w, h).replace(" \u{202e}", "");
        format!("{title}\n```text\n{screen}\n```\n")
    };
    let key = |digit: &'static str| move |s: &mut State| drop(press(s, digit));
    let screens = [
        shown("Overview at 80×24.", &|_| (), (80, 24)),
        shown("Runs.", &key("2"), (100, 14)),
        shown("Resilience.", &key("3"), (120, 30)),
        shown("Caches.", &key("4"), (100, 18)),
        shown("The calls behind a breaker.", &with_calls, (120, 12)),
        shown("Why.", &with_calls_and_why, (100, 16)),
        shown("Trends.", &with_trends, (110, 30)),
        shown("Talking with an agent.", &with_talk, (100, 16)),
        shown("A drill.", &with_drill, (100, 16)),
        shown("What models cost.", &with_costs, (100, 14)),
    ];
    between("docs/console.md", "screens", screens.concat());
    let rows: Vec<String> = ACTIONS
        .iter()
        .map(|r| format!("| `{}` | {} | `{}` |", r.key, r.title, r.name))
        .collect();
    between(
        "docs/console.md",
        "keys",
        format!(
            "| key | what | name |\n|---|---|---|\n{}\n",
            rows.join("\n")
        ),
    );
}

#[test]
fn outside_text_on_a_screen_is_harmless() {
    let mut s = (*busy()).clone();
    let acts = "\x1b]0;x\x07\u{9b}31m\u{202e}\n\u{200b}";
    s.workspace.name = acts.into();
    s.runs[0].event = acts.into();
    s.runs[2].reason = Some(acts.into());
    s.runs[0].title = Some(acts.into());
    let state = State::new(Arc::new(s), UNICODE, false, WALL);
    let text = drawn(&state, 120, 40);
    assert!(
        !text
            .chars()
            .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}' || c == '\u{200b}'),
        "{text}"
    );
    assert!(text.contains("␛]0;x"));
}

#[test]
fn read_only_refuses_and_dangerous_actions_ask_first() {
    let mut s = State::new(busy(), UNICODE, true, WALL);
    assert!(press(&mut s, "rcbx").is_empty() && s.dialogs().is_empty());
    assert_eq!(s.toasts().len(), 3, "the newest three say why");
    let mut s = state(UNICODE);
    for keys in ["c", "b", "x"] {
        assert!(press(&mut s, keys).is_empty());
        assert_eq!(s.dialogs().len(), 1, "{keys} asks");
        let effects = update(
            &mut s,
            Message::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)),
            now(),
        );
        assert!(
            matches!(effects.as_slice(), [Effect::Send(_)]),
            "{keys}: {effects:?}"
        );
    }
    assert!(press(&mut s, "q").is_empty(), "runs are active: it asks");
    assert_eq!(press(&mut s, "y"), [Effect::Quit]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_keys_in_any_order(keys in proptest::collection::vec(0usize..60, 0..60), width in 0u16..150, height in 0u16..50) {
        static BUSY: std::sync::OnceLock<Arc<Snapshot>> = std::sync::OnceLock::new();
        let snapshot = BUSY.get_or_init(busy);
        let mut s = State::new(Arc::clone(snapshot), UNICODE, false, WALL);
        let specials = [KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Left, KeyCode::Right, KeyCode::Up, KeyCode::Down, KeyCode::PageDown, KeyCode::Backspace];
        for n in keys {
            let code = if n < 10 { specials[n] } else {
                KeyCode::Char(ACTIONS[n % ACTIONS.len()].key.chars().next().unwrap())
            };
            let frozen = s.context.frozen.clone();
            update(&mut s, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)), now());
            if let (Some(before), Some(after)) = (frozen, s.context.frozen.clone()) {
                let mut other = (**snapshot).clone();
                other.counts.running = 99;
                update(&mut s, Message::Snapshot(Arc::new(other)), now());
                prop_assert!(s.context.snapshot().counts.running != 99, "a frozen picture moved");
                update(&mut s, Message::Snapshot(Arc::clone(snapshot)), now());
                prop_assert!(Arc::ptr_eq(&before, &after), "frozen data changed");
            }
            prop_assert!(matches!(s.routes()[0], Route::Screen(_)), "a screen is at the bottom");
        }
        let area = Rect::new(0, 0, width, height);
        view::draw(&s, area, &mut Buffer::empty(area));
    }
}

fn size(n: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(n).unwrap()
}

/// A terminal that keeps what was written to it.
#[derive(Clone, Default)]
struct ReplayBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for ReplayBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The app in this process: a newcomer presses r, Enter, and sees a decision; then nothing is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_gets_a_decision_and_an_idle_screen_writes_nothing() {
    let folder = state_folder();
    let handle = Arc::new(Start::new(folder.path()).go().await);
    let operator: Arc<dyn Operator> = Arc::clone(&handle) as Arc<dyn Operator>;
    let tape = ReplayBuffer::default();
    let (keys, messages) = tokio::sync::mpsc::channel(64);
    let sender = keys.clone();
    let out = tape.clone();
    let app = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let options = Options {
                theme: UNICODE,
                fps: 120,
                keys: bsm::console::keymap::Keymap::default(),
                zone: bsm::console::format::Zone::Utc,
                mouse: false,
                screen: None,
                commands: Vec::new(),
                bell: false,
                exports: std::env::temp_dir(),
                attached: None,
                me: String::new(),
                approver: None,
                redact: bsm::console::Redact(Arc::new(str::to_owned)),
            };
            let mut app = App::new(
                operator,
                options,
                Frames::new(out),
                (120, 40),
                sender,
                messages,
            )
            .unwrap();
            app.live(Box::new(|_| {})).await.unwrap();
        });
    });
    let screen = || {
        let mut parser = vt100::Parser::new(size(40), size(120), 0);
        parser.process(&tape.0.lock().unwrap());
        parser.screen().contents()
    };
    let until = async |wanted: &str| {
        let began = Instant::now();
        while !screen().contains(wanted) {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "'{wanted}' never showed:\n{}",
                screen()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let send = |code: KeyCode| {
        keys.try_send(Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
            .unwrap();
    };
    until("No runs yet. Press r, then Enter").await;
    send(KeyCode::Char('r'));
    until("governance-review-agent, code-review-agent").await;
    send(KeyCode::Enter);
    until("request_changes  finding: Code quality issues found by security-agent").await;
    send(KeyCode::Char('o'));
    until("Agents summary: pull_request.opened").await;
    send(KeyCode::Esc);
    send(KeyCode::Char('2'));
    until("r run  Enter open  o report").await;

    let bytes = tape.0.lock().unwrap().clone();
    let count = |mark: &[u8]| bytes.windows(mark.len()).filter(|w| *w == mark).count();
    assert_eq!(
        count(b"\x1b[?2026h"),
        count(b"\x1b[?2026l"),
        "synchronized updates are always ended"
    );
    assert_eq!(
        count(b"\x1b[6n"),
        0,
        "the terminal is never asked where its cursor is"
    );
    // Still for a while (toasts go, the rates of the last minute move on), then not a byte.
    let mut last = 0;
    let began = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let now = tape.0.lock().unwrap().len();
        if now == last {
            break;
        }
        last = now;
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "the idle console goes on writing"
        );
    }
    send(KeyCode::Char('q'));
    app.join().unwrap();
}

/// A drill that could not be carried out is over: the next one can be chosen.
#[test]
fn drill_that_fails_to_start_does_not_block_the_next_one() {
    let mut s = state(UNICODE);
    let drill = "stampede".to_owned();
    let done = Reply::Done {
        what: String::new(),
    };
    let command = Command::Drill {
        drill: drill.clone(),
    };
    update(&mut s, Message::Replied(command, Ok(done)), now());
    assert!(s.dialogs() == [DialogKind::Drill]);
    let failed = Event::DrillFailed {
        name: drill,
        reason: "the simulator cannot start: Address in use".into(),
    };
    update(&mut s, Message::Happened(failed, 0), now());
    let drawn = drawn(&s, 80, 24);
    assert!(
        drawn.contains("it failed: the simulator cannot start"),
        "{drawn}"
    );
    update(&mut s, Message::Key(KeyEvent::from(KeyCode::Esc)), now());
    press(&mut s, "f");
    assert_eq!(s.dialogs(), [DialogKind::Choice], "a choice of drills");
}

/// Files that the form names are opened by the console; a device, a folder or nothing holds nobody up.
#[test]
fn run_form_with_a_path_that_is_no_plain_file_says_so() {
    let rule = EventTable::built_in().events["pull_request.opened"].clone();
    let mut form = RunForm::new(&[("pull_request.opened".into(), rule)]);
    form.subject = 3;
    for path in ["/dev/zero", "/", "/nosuch"] {
        form.text = path.into();
        assert!(form.trigger().unwrap_err().starts_with(path), "{path}");
        form.text = "Cargo.toml".into();
        form.payload = path.into();
        assert!(form.trigger().unwrap_err().starts_with(path), "{path}");
        form.payload = tui_input::Input::default();
    }
}

#[test]
fn ctrl_z_over_an_embedded_engine_at_work_asks_first() {
    let ctrl_z = || Message::Key(KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL));
    let suspends = |effects: &[Effect]| matches!(effects, [Effect::Suspend]);
    let with_runs = |running: u32| {
        let mut snapshot = (*busy()).clone();
        (snapshot.counts.running, snapshot.counts.queued) = (running, 0);
        State::new(Arc::new(snapshot), UNICODE, false, WALL)
    };
    let mut idle = with_runs(0);
    assert!(suspends(&update(&mut idle, ctrl_z(), now())));

    let mut s = with_runs(2);
    assert!(update(&mut s, ctrl_z(), now()).is_empty());
    let screen = drawn(&s, 100, 30);
    assert!(screen.contains("2 runs pause"), "{screen}");
    let escape = KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE);
    assert!(update(&mut s, Message::Key(escape), now()).is_empty());
    assert!(s.dialogs().is_empty());
    // Enter agrees, and so does the same key again.
    update(&mut s, ctrl_z(), now());
    assert!(suspends(&press_enter(&mut s)));
    update(&mut s, ctrl_z(), now());
    assert!(suspends(&update(&mut s, ctrl_z(), now())));
    assert!(s.dialogs().is_empty());

    s.context.attached = Some("this machine".into());
    assert!(
        suspends(&update(&mut s, ctrl_z(), now())),
        "the engine is in another process"
    );
}
