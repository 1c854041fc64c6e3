//! The console and time: alerts and what to do about them, log lines that follow, charts with a cursor, and
//! pictures of another start of the engine.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use crate::support::*;
use bsm::console::component::DialogKind;
use bsm::console::message::{Effect, Message, Now};
use bsm::console::route::Route;
use bsm::console::shell::state::State;
use bsm::console::shell::update::{next_wake, update};
use bsm::console::shell::view;
use bsm::console::theme::{Palette, Theme};
use bsm::engine::Operator as _;
use bsm::engine::protocol::alert::Alert;
use bsm::engine::protocol::command::Command;
use bsm::engine::protocol::event::Event;
use bsm::engine::protocol::history::{AlertMark, Point, SnapshotAt, Trends};
use bsm::engine::protocol::query::{Answer, Query};
use bsm::engine::protocol::runbook;
use bsm::engine::protocol::snapshot::Snapshot;
use bsm::engine::protocol::why::{About, Why};
use bsm::resilience::breaker::BreakerState;
use bsm::telemetry::log_read::{self, LogFilter, LogLine};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

/// 2026-11-21 14:02 UTC.
const WALL: i64 = 1_795_269_720_000;
const DAY: i64 = 86_400_000;

/// A real picture of an engine at rest.
static PICTURE: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let state = state_folder();
        let mut start = Start::new(state.path());
        start.mode.no_save = true;
        let handle = runtime.block_on(start.go());
        let mut s = (**handle.snapshots().borrow()).clone();
        drop(handle);
        runtime.shutdown_background();
        s.started_ms = WALL - 2 * DAY;
        s.alerts = Vec::new();
        Arc::new(s)
    })
    .join()
    .unwrap()
});

fn with(change: impl FnOnce(&mut Snapshot)) -> Arc<Snapshot> {
    let mut s = (**PICTURE).clone();
    change(&mut s);
    Arc::new(s)
}

fn state_in(theme: Theme, read_only: bool) -> State {
    let mut state = State::new(Arc::clone(&PICTURE), theme, read_only, WALL);
    state.context.zone = bsm::console::format::Zone::Utc;
    state.context.size = (120, 40);
    state
}

fn state() -> State {
    let theme = Theme {
        color: true,
        ascii: false,
        palette: Palette::Terminal,
    };
    state_in(theme, false)
}

fn at(wall_ms: i64) -> Now {
    Now {
        at: Instant::now(),
        wall_ms,
    }
}

fn key(code: KeyCode) -> Message {
    Message::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let each = |c| update(state, key(KeyCode::Char(c)), at(WALL));
    keys.chars().flat_map(each).collect()
}

fn buffer(state: &State, (width, height): (u16, u16)) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::draw(state, area, &mut buffer);
    buffer
}

fn drawn(state: &State) -> String {
    drawn_at(state, (120, 40))
}

fn drawn_at(state: &State, size: (u16, u16)) -> String {
    let buffer = buffer(state, size);
    let row = |y| -> String { (0..size.0).map(|x| buffer[(x, y)].symbol()).collect() };
    let rows: Vec<String> = (0..size.1).map(row).collect();
    rows.join("\n")
}

/// Where each word stands first, in the order of the words; all must be there.
fn places(text: &str, words: &[&str]) -> Vec<usize> {
    let place = |word: &&str| {
        text.find(*word)
            .unwrap_or_else(|| panic!("no {word} in\n{text}"))
    };
    words.iter().map(place).collect()
}

fn alert(id: &str, at_ms: i64, text: &str) -> Alert {
    Alert {
        id: id.into(),
        code: "breaker-open".into(),
        at_ms,
        first_ms: at_ms,
        changed_ms: at_ms,
        bad: true,
        text: text.into(),
        runbook: Some("breaker-open".into()),
        count: 1,
        ..Alert::default()
    }
}

/// One that holds, one that is over since, one of a drill; the one that holds is the oldest.
fn three() -> Vec<Alert> {
    vec![
        Alert {
            drill: true,
            ..alert("alr_d", WALL - 1_000, "drill outage: openai refused")
        },
        Alert {
            resolved_ms: Some(WALL - 30_000),
            ..alert("alr_r", WALL - 60_000, "gemini opened: 5 failures")
        },
        alert("alr_a", WALL - DAY, "openai opened: 5 failures"),
    ]
}

fn with_alerts(state: &mut State, alerts: Vec<Alert>) {
    let effects = press(state, "a");
    assert_eq!(effects, [Effect::Query(Query::Alerts)]);
    let answer = Answer::Alerts { alerts };
    update(
        state,
        Message::Answered(Query::Alerts, Ok(answer)),
        at(WALL),
    );
}

#[test]
fn alerts_those_that_hold_come_first_drills_stand_apart_and_text_is_current() {
    let mut s = state();
    with_alerts(&mut s, three());
    let text = drawn(&s);
    let order = places(
        &text,
        &[
            "These hold",
            "11-20 14:02",
            "openai opened: 5 failures",
            "Over, and news",
            "gemini opened",
            "Drills: not of this engine",
            "drill outage",
        ],
    );
    assert!(order.is_sorted(), "{text}");
    assert!(text.contains("1 holds of 3, 1 not seen yet"), "{text}");
    // The picture's text is the newest; and that it changed is a reason to read all again.
    let now = alert("alr_a", WALL - DAY, "openai opened: 9 failures");
    let effects = update(
        &mut s,
        Message::Snapshot(with(|s| s.alerts = vec![now.clone()])),
        at(WALL),
    );
    assert_eq!(effects, [Effect::Query(Query::Alerts)]);
    assert!(drawn(&s).contains("openai opened: 9 failures"));
    let same = Message::Snapshot(with(|s| s.alerts = vec![now]));
    assert_eq!(update(&mut s, same, at(WALL)), []);
    // Nothing on the list is drawn as good: it tells of what went wrong.
    let buffer = buffer(&s, (120, 40));
    let cells = (3..38).flat_map(|y| (0..120).map(move |x| (x, y)));
    assert!(cells.into_iter().all(|at| buffer[at].fg != Color::Green));
}

#[test]
fn alert_that_holds_is_acknowledged_once_and_one_that_is_over_is_not() {
    let mut s = state();
    with_alerts(&mut s, three());
    let alert = "alr_a".to_owned();
    let command = Command::AcknowledgeAlert { alert };
    assert_eq!(press(&mut s, "K"), [Effect::Send(command)]);
    let mut seen = three();
    seen[2].acknowledged_ms = Some(WALL);
    seen[2].acknowledged_by = Some("ana".into());
    let answer = Answer::Alerts { alerts: seen };
    update(
        &mut s,
        Message::Answered(Query::Alerts, Ok(answer)),
        at(WALL),
    );
    let text = drawn(&s);
    assert!(
        text.contains("ana") && text.contains("0 not seen yet"),
        "{text}"
    );
    assert_eq!(press(&mut s, "K"), []);
    assert_eq!(press(&mut s, "jK"), [], "it is over");
    let mut s = state_in(Theme::default(), true);
    with_alerts(&mut s, three());
    assert_eq!(press(&mut s, "K"), []);
    assert!(drawn(&s).contains("read-only"));
}

#[test]
fn alert_opens_its_runbook_inside_the_console() {
    let mut s = state();
    with_alerts(&mut s, three());
    update(&mut s, key(KeyCode::Enter), at(WALL));
    assert_eq!(s.dialogs(), [DialogKind::Text]);
    let title = runbook::text("breaker-open")
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let text = drawn(&s);
    assert!(
        text.contains(title) && text.contains("runbook breaker-open"),
        "{text}"
    );
}

/// Files as an engine writes them: a line a minute of both days, and the alert's own.
fn log_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let stamp = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap().to_string();
    for (day, from) in [("2026-11-20", WALL - DAY), ("2026-11-21", WALL)] {
        let mut text = String::new();
        for n in -60..60 {
            let (at, level) = (stamp(from + n * 60_000 + 1), "INFO");
            let message = format!("{day} minute {n}");
            let line = serde_json::json!({
                "timestamp": at, "level": level, "message": message, "target": "bsm",
            });
            text.push_str(&format!("{line}\n"));
            if n == 0 && day == "2026-11-20" {
                let line = serde_json::json!({
                    "timestamp": stamp(from), "level": "WARN", "target": "bsm",
                    "alert": "openai opened: 5 failures",
                });
                text.push_str(&format!("{line}\n"));
            }
        }
        std::fs::write(dir.path().join(format!("bsm.{day}.jsonl")), text).unwrap();
    }
    dir
}

/// Yesterday's alert to its log lines: `a`, the way to it, `l`.
#[test]
fn alert_of_yesterday_leads_to_its_log_lines_within_five_keys() {
    let dir = log_folder();
    let mut s = state();
    let mut alerts = three();
    alerts[2].resolved_ms = Some(WALL - DAY + 60_000);
    with_alerts(&mut s, alerts);
    // It is the second of those that are over.
    let effects = press(&mut s, "jl");
    let [Effect::Query(query @ Query::Logs { filter })] = &effects[..] else {
        panic!("{effects:?}");
    };
    let lines = log_read::read(dir.path(), filter).unwrap();
    let answer = Message::Answered(query.clone(), Ok(Answer::Logs { lines }));
    update(&mut s, answer, at(WALL));
    let text = drawn(&s);
    for word in [
        "around 2026-11-20 14:02:00",
        "alert=openai opened: 5 failures",
        "2026-11-20 minute -2",
        "2026-11-20 minute 2",
    ] {
        assert!(text.contains(word), "{word}\n{text}");
    }
    assert!(
        !text.contains("minute 3") && !text.contains("2026-11-21 minute"),
        "{text}"
    );
    let buffer = buffer(&s, (120, 40));
    let rows: Vec<&str> = text.lines().collect();
    let own = rows
        .iter()
        .position(|r| r.contains("alert=openai"))
        .unwrap() as u16;
    let selected = ratatui::style::Modifier::REVERSED;
    assert!(
        buffer[(5, own)].modifier.contains(selected),
        "the alert's own line\n{text}"
    );
}

fn log_line(n: i64) -> LogLine {
    LogLine {
        at: jiff::Timestamp::from_millisecond(WALL + n)
            .unwrap()
            .to_string(),
        level: if n % 10 == 0 { "WARN" } else { "INFO" }.into(),
        target: "bsm".into(),
        message: format!("line {n} of the log").into(),
        run: None,
        correlation: None,
        fields: format!("number={n} {}", "x".repeat(150)).into(),
    }
}

fn asked(effects: &[Effect]) -> LogFilter {
    let [Effect::Query(Query::Logs { filter })] = effects else {
        panic!("no log lines asked for: {effects:?}");
    };
    filter.clone()
}

fn give(s: &mut State, filter: LogFilter, lines: Vec<LogLine>, now_ms: i64) {
    let query = Query::Logs { filter };
    let answer = Message::Answered(query, Ok(Answer::Logs { lines }));
    update(s, answer, at(now_ms));
}

fn happened() -> Message {
    let run = "job_1".to_owned();
    Message::Happened(Event::RunQueued { run }, 0)
}

/// The Logs screen with a hundred lines, 2 s ago.
fn with_log(s: &mut State) {
    let filter = asked(&press(s, "7"));
    give(s, filter, (0..100).map(log_line).collect(), WALL);
}

#[test]
fn log_follows_reads_only_what_is_new_and_at_most_once_a_second() {
    let mut s = state();
    with_log(&mut s);
    let text = drawn(&s);
    assert!(
        text.contains("line 99 of") && text.contains("following, f pauses"),
        "{text}"
    );
    // Ten events are one read, a second after the one before.
    for _ in 0..10 {
        assert_eq!(update(&mut s, happened(), at(WALL + 100)), []);
    }
    let wake = next_wake(&s, at(WALL + 100)).unwrap();
    assert!(wake.as_millis() <= 900, "{wake:?}");
    assert_eq!(update(&mut s, Message::Tick, at(WALL + 900)), []);
    let filter = asked(&update(&mut s, Message::Tick, at(WALL + 1_000)));
    assert!(
        filter.from_ms.is_some_and(|from| from > WALL - 1_500),
        "{filter:?}"
    );
    assert_eq!(update(&mut s, Message::Tick, at(WALL + 5_000)), [], "once");
    // The answer holds lines that are known; they are not shown twice.
    give(
        &mut s,
        filter,
        (50..103).map(log_line).collect(),
        WALL + 1_000,
    );
    let text = drawn(&s);
    assert_eq!(
        text.matches("line 102 of").count(),
        2,
        "in the list and whole below\n{text}"
    );
    assert_eq!(text.matches(" line 99 of").count(), 1, "{text}");
    assert!(text.contains("103 lines"), "{text}");
    // Of an idle engine nothing is asked, and nothing wakes.
    assert_eq!(update(&mut s, Message::Tick, at(WALL + 9_000)), []);
}

#[test]
fn log_looked_at_further_up_stays_there_and_counts_new_lines() {
    let mut s = state();
    with_log(&mut s);
    press(&mut s, "kk");
    assert!(drawn(&s).contains("paused, f follows"));
    update(&mut s, happened(), at(WALL + 2_000));
    let filter = asked(&update(&mut s, Message::Tick, at(WALL + 3_000)));
    give(
        &mut s,
        filter,
        (95..112).map(log_line).collect(),
        WALL + 3_000,
    );
    let text = drawn(&s);
    assert!(text.contains("12 new, f follows"), "{text}");
    assert_eq!(
        text.matches("line 97 of").count(),
        2,
        "still selected\n{text}"
    );
    press(&mut s, "f");
    let text = drawn(&s);
    assert!(
        text.contains("following") && text.contains("line 111 of"),
        "{text}"
    );
    press(&mut s, "kG");
    assert!(
        drawn(&s).contains("following"),
        "the last line is followed again"
    );
}

#[test]
fn log_is_searched_without_hiding_lines_filtered_by_level_and_wrapped() {
    let mut s = state();
    with_log(&mut s);
    press(&mut s, "s");
    assert_eq!(s.dialogs(), [DialogKind::Search]);
    press(&mut s, "line 7");
    update(&mut s, key(KeyCode::Enter), at(WALL));
    let selected = |s: &State| {
        let text = drawn(s);
        let whole = text
            .lines()
            .rev()
            .find(|r| r.contains("of the log"))
            .unwrap()
            .to_owned();
        let from = whole.find("line ").unwrap() + 5;
        whole[from..].split(' ').next().unwrap().to_owned()
    };
    assert_eq!(selected(&s), "79", "the newest with the words");
    press(&mut s, "N");
    assert_eq!(selected(&s), "78");
    press(&mut s, "nn");
    assert_eq!(selected(&s), "7", "past the last one it begins anew");
    assert!(drawn(&s).contains("100 lines"), "nothing is hidden");
    press(&mut s, "/level:warn");
    assert!(drawn(&s).contains(" 10 lines"), "{}", drawn(&s));
    let filter = asked(&update(&mut s, key(KeyCode::Enter), at(WALL)));
    assert_eq!(filter.terms, "level:warn");
    give(
        &mut s,
        filter,
        (0..10).map(|n| log_line(n * 10)).collect(),
        WALL,
    );
    let cut = drawn(&s).matches("xxxxxxxxxx").count();
    press(&mut s, "W");
    let wrapped = drawn(&s);
    assert!(wrapped.matches("xxxxxxxxxx").count() > cut, "{wrapped}");
    assert!(
        wrapped.contains("line 90 of"),
        "the selected one is in sight\n{wrapped}"
    );
    for size in [(40, 8), (80, 24), (200, 50), (300, 80)] {
        drawn_at(&s, size);
    }
}

/// A million lines on disk are a thousand here; of those held only the ones on the screen are made.
#[test]
fn log_of_ten_thousand_lines_draws_and_moves_within_a_frame() {
    let mut s = state();
    with_log(&mut s);
    for part in 1..=12 {
        let now = WALL + part * 2_000;
        update(&mut s, happened(), at(now));
        let filter = asked(&update(&mut s, Message::Tick, at(now + 1_000)));
        let lines = (part * 1_000 - 1..part * 1_000 + 999)
            .map(log_line)
            .collect();
        give(&mut s, filter, lines, now + 1_000);
    }
    assert!(drawn(&s).contains("line 12998 of"), "{}", drawn(&s));
    press(&mut s, "W");
    let frames = 50;
    let began = Instant::now();
    for _ in 0..frames {
        press(&mut s, "k");
        drawn_at(&s, (200, 50));
    }
    let each = began.elapsed().as_millis() / frames;
    assert!(each < 100, "{each} ms a frame, without optimization");
}

#[test]
fn provider_leads_to_the_log_lines_that_name_it() {
    let mut s = state();
    press(&mut s, "3");
    let about = s.top().subject(&s.context);
    let bsm::console::component::Subject::Provider(name) = about else {
        panic!("{about:?}");
    };
    let filter = asked(&press(&mut s, "l"));
    assert_eq!(filter.terms, name);
    assert!(matches!(s.routes()[..], [_, Route::Logs { .. }]));
}

/// Five minutes: an outage, an alert at minute two, another start of the engine at minute three.
fn series() -> Trends {
    let from = WALL - 300_000;
    let points = (0..100)
        .filter(|n| !(50..60).contains(n))
        .map(|n| {
            let down = (40..50).contains(&n);
            Point {
                at_ms: from + n * 3_000,
                p50_us: Some(20_000),
                p95_us: Some(200_000),
                p99_us: Some(if down { 340_000 } else { 120_000 }),
                calls: 10.0,
                hit_rate: Some(0.4),
                engine_ms: if n < 50 { 1 } else { 2 },
                breakers: vec![Some(if down {
                    BreakerState::Open
                } else {
                    BreakerState::Closed
                })],
                pools: vec![0.5],
                outcomes: Some(if down {
                    [0.0, 0.0, 0.0, 2.0, 8.0]
                } else {
                    [10.0, 0.0, 0.0, 0.0, 0.0]
                }),
                answered_p50_ms: (!down).then_some(1_200),
                answered_p99_ms: (!down).then_some(4_000),
            }
        })
        .collect();
    Trends {
        from_ms: from,
        to_ms: WALL,
        points,
        breakers: vec!["openai".into()],
        pools: vec!["openai".into()],
        marks: vec![from + 200_000],
        alerts: vec![AlertMark {
            at_ms: from + 121_000,
            code: "breaker-open".into(),
            text: "openai opened: 5 failures".into(),
        }],
    }
}

fn with_trends(s: &mut State) {
    let effects = press(s, "t");
    let query = Query::Trends {
        from_ms: WALL - 300_000,
        to_ms: WALL,
        points: 400,
    };
    assert_eq!(effects, [query.clone(), Query::Alerts].map(Effect::Query));
    let trends = Box::new(series());
    let answer = Message::Answered(query, Ok(Answer::Trends { trends }));
    update(s, answer, at(WALL));
}

#[test]
fn trends_cursor_says_the_figures_of_its_moment_and_of_a_gap_that_nothing_is_known() {
    let mut s = state();
    with_trends(&mut s);
    let text = drawn(&s);
    for word in [
        "now",
        "answered 10.0/s",
        "answered p50 1.2 s p99 4.0 s",
        "no breaker open",
        "1 alert",
        "1 engine start",
        "1 reload",
        "Calls/s by outcome",
        "× failed",
    ] {
        assert!(text.contains(word), "{word}\n{text}");
    }
    // To the alert: two minutes in, in the middle of the outage.
    assert_eq!(press(&mut s, "("), []);
    let text = drawn(&s);
    for word in [
        "11-21 13:59:01",
        "failed 2.0/s refused 8.0/s",
        "openai open",
        "answered p50 — p99 —",
        "alert 13:59:01: openai opened: 5 failures",
    ] {
        assert!(text.contains(word), "{word}\n{text}");
    }
    assert_eq!(press(&mut s, "("), [], "there is none before");
    assert!(drawn(&s).contains("no alert is known before"));
    // Some steps on the engine was not there.
    for _ in 0..14 {
        update(&mut s, key(KeyCode::Right), at(WALL));
    }
    let text = drawn(&s);
    assert!(
        text.contains("nothing was recorded of this moment"),
        "{text}"
    );
    for size in [(40, 8), (40, 12), (80, 24), (300, 80)] {
        drawn_at(&s, size);
    }
    assert!(drawn_at(&s, (80, 17)).contains("+2 charts"));
}

#[test]
fn trends_cursor_rewinds_the_console_and_why_asks_about_its_moment() {
    let mut s = state();
    with_trends(&mut s);
    assert_eq!(update(&mut s, key(KeyCode::Enter), at(WALL)), []);
    assert!(drawn(&s).contains("shows every screen as it was"));
    press(&mut s, "(");
    let past = Query::WhyAt {
        about: About::Health,
        at_ms: WALL - 179_000,
    };
    assert_eq!(press(&mut s, "w"), [Effect::Query(past.clone())]);
    assert_eq!(s.dialogs(), [DialogKind::Why]);
    let why = Why {
        title: "openai open for 2.0 s, as of 13:59:01".into(),
        because: vec!["Single calls of that time are not kept any more: they are unknown.".into()],
        helps: Vec::new(),
        runbook: None,
    };
    let answer = |query| {
        let why = Box::new(why.clone());
        Message::Answered(query, Ok(Answer::Why { why }))
    };
    let now = Query::Why {
        about: About::Health,
    };
    update(&mut s, answer(now), at(WALL));
    assert!(
        drawn(&s).contains("reading"),
        "the answer about now is not the one about then"
    );
    update(&mut s, answer(past), at(WALL));
    let text = drawn(&s);
    assert!(
        text.contains("as of 13:59:01") && text.contains("unknown"),
        "{text}"
    );
    update(&mut s, key(KeyCode::Esc), at(WALL));
    let effects = update(&mut s, key(KeyCode::Enter), at(WALL));
    let query = Query::Moment {
        at_ms: WALL - 179_000,
        after: false,
    };
    assert_eq!(effects, [Effect::Query(query)]);
    // Without a cursor it asks about now.
    update(&mut s, key(KeyCode::End), at(WALL));
    let effects = press(&mut s, "w");
    assert!(
        matches!(effects[..], [Effect::Query(Query::Why { .. })]),
        "{effects:?}"
    );
}

#[test]
fn trends_alert_outside_of_the_span_moves_the_span_to_it() {
    let mut s = state();
    with_trends(&mut s);
    let alerts = vec![alert("alr_y", WALL - DAY, "openai opened yesterday")];
    let answer = Message::Answered(Query::Alerts, Ok(Answer::Alerts { alerts }));
    update(&mut s, answer, at(WALL));
    let effects = press(&mut s, "((");
    let [Effect::Query(Query::Trends { from_ms, to_ms, .. })] = effects[..] else {
        panic!("{effects:?}");
    };
    assert!(
        (from_ms..=to_ms).contains(&(WALL - DAY)),
        "{from_ms} {to_ms}"
    );
}

#[test]
fn rewound_to_another_start_of_the_engine_is_marked_and_said() {
    let mut s = state();
    let moment = |started_ms: i64| {
        let picture = Box::new((*with(|s| s.started_ms = started_ms)).clone());
        let moment = SnapshotAt {
            at_ms: WALL - 3_600_000,
            engine_ms: started_ms,
            this_life: started_ms == PICTURE.started_ms,
            picture,
            oldest_ms: 0,
        };
        let query = Query::Moment {
            at_ms: WALL,
            after: false,
        };
        let moment = Some(moment);
        Message::Answered(query, Ok(Answer::Moment { moment }))
    };
    update(&mut s, moment(PICTURE.started_ms), at(WALL));
    let same = drawn(&s);
    assert!(
        same.contains("REWOUND") && !same.contains("start of the engine"),
        "{same}"
    );
    update(&mut s, moment(WALL - 5 * DAY), at(WALL));
    let other = drawn(&s);
    assert!(
        other.contains("another start of the engine, at 2026-11-16"),
        "it is said when it is crossed\n{other}"
    );
    let header = other.lines().next().unwrap();
    assert!(header.contains("another start of the engine"), "{header}");
    let narrow = drawn_at(&s, (80, 24));
    assert!(
        narrow.lines().next().unwrap().contains("other start"),
        "{narrow}"
    );
    press(&mut s, " ");
    assert!(!drawn(&s).lines().next().unwrap().contains("another start"));
}
