//! The console's tables: resilience, caches, agents, storage, costs; and the header over them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Instant;

use crate::support::*;
use bsm::console::action::Action;
use bsm::console::component::Subject;
use bsm::console::message::{Effect, Message, Now};
use bsm::console::route::Route;
use bsm::console::shell::state::State;
use bsm::console::shell::update::update;
use bsm::console::shell::view;
use bsm::console::theme::{Role, Theme};
use bsm::engine::Operator as _;
use bsm::engine::protocol::command::Command;
use bsm::engine::protocol::cost::Costs;
use bsm::engine::protocol::impact::{Impact, ImpactCause, ImpactKind};
use bsm::engine::protocol::query::{Answer, Query};
use bsm::engine::protocol::retention::Store;
use bsm::engine::protocol::run::{RunState, StepStatus};
use bsm::engine::protocol::snapshot::{Disconnected, RunSummary, Snapshot, StepSummary};
use bsm::engine::protocol::storage::{Bound, Full, Part, Usage};
use bsm::engine::protocol::why::{About, Help, Why};
use bsm::resilience::breaker::BreakerState;
use bsm::review::verdict::Verdict;
use bsm::workspace::agent::Agent;
use crossterm::event::{KeyCode, KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// 2026-11-21 14:02 UTC.
const WALL: i64 = 1_795_269_720_000;

/// The picture of an engine that has just begun.
fn begun() -> Snapshot {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = state_folder();
    let mut start = Start::new(folder.path());
    start.mode.no_save = true;
    let handle = runtime.block_on(start.go());
    let snapshot = (**handle.snapshots().borrow()).clone();
    drop(handle);
    runtime.shutdown_background();
    snapshot
}

fn state(snapshot: Snapshot) -> State {
    let mut state = State::new(Arc::new(snapshot), Theme::default(), false, WALL);
    state.context.zone = bsm::console::format::Zone::Utc;
    state
}

fn now() -> Now {
    Now {
        at: Instant::now(),
        wall_ms: WALL,
    }
}

fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let mut press = |c: char| {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        update(state, Message::Key(KeyEvent::from(code)), now())
    };
    keys.chars().flat_map(&mut press).collect()
}

fn buffer(state: &State, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::draw(state, area, &mut buffer);
    buffer
}

fn lines(state: &State, width: u16, height: u16) -> Vec<String> {
    let buffer = buffer(state, width, height);
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect();
    (0..height).map(line).collect()
}

fn drawn(state: &State, width: u16, height: u16) -> String {
    lines(state, width, height).join("\n")
}

fn subject(state: &State) -> Subject {
    state.top().subject(&state.context)
}

/// 21 calls wait for the first pool, whose limit a 429 has cut from 10 to 2.
fn full_pool() -> Snapshot {
    let mut s = begun();
    let pool = &mut s.pools[0];
    (pool.in_use, pool.allowed, pool.limit, pool.queued) = (2, 2, 10, 21);
    pool.lanes.run = 21;
    let name = pool.name.clone();
    let row = s.provider_rows.iter_mut().find(|r| r.pool == name).unwrap();
    row.ready = true;
    (row.in_use, row.allowed, row.limit, row.queued) = (2, 2, 10, 21);
    row.oldest_ms = Some(WALL - 21_000);
    (row.figures.came, row.figures.waited_pool) = (487, 335);
    row.figures.wait_p50_ms = Some(4_200);
    s
}

#[test]
fn full_pool_is_found_explained_and_resized_in_four_keys() {
    let mut s = state(full_pool());
    let pool = s.context.live.pools[0].name.clone();
    press(&mut s, "3");
    assert_eq!(subject(&s), Subject::Pool(pool.clone()));
    let about = About::Pool { name: pool.clone() };
    let query = Query::Why {
        about: about.clone(),
    };
    assert_eq!(press(&mut s, "w"), [Effect::Query(query.clone())]);
    let why = Why {
        title: "pool".into(),
        because: vec!["335 of 487 calls waited".into()],
        helps: vec![Help {
            action: "resize-pool".into(),
            why: "more at once".into(),
        }],
        runbook: None,
    };
    let why = Box::new(why);
    update(
        &mut s,
        Message::Answered(query, Ok(Answer::Why { why })),
        now(),
    );
    assert!(press(&mut s, "p").is_empty(), "it asks first");
    let effects = press(&mut s, "\n");
    let resized =
        |e: &Effect| matches!(e, Effect::Send(Command::ResizePool { pool: p, .. }) if *p == pool);
    assert!(effects.iter().any(resized), "{effects:?}");
}

#[test]
fn pool_says_who_waits_how_long_and_why_its_limit_is_lower() {
    let mut s = state(full_pool());
    press(&mut s, "3");
    let text = drawn(&s, 120, 40);
    for words in [
        "adaptive limit 2 (configured 10)",
        "335 of 487",
        "21 s",
        "4.2 s",
        "WAIT P50",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let narrow = drawn(&s, 80, 24);
    assert!(narrow.contains("adaptive 2 of 10"), "{narrow}");
}

#[test]
fn selected_table_is_whole_at_80_columns_and_the_others_say_how_much_they_hold() {
    let mut s = state(begun());
    s.context.size = (80, 24);
    press(&mut s, "3g");
    let text = drawn(&s, 80, 24);
    let (providers, limits) = {
        let live = &s.context.live;
        (live.provider_rows.clone(), live.limiters.len())
    };
    for row in &providers {
        assert!(
            text.contains(&format!(" {} ", row.name)),
            "{}\n{text}",
            row.name
        );
    }
    assert!(text.contains('+'), "{text}");
    press(&mut s, "G");
    let text = drawn(&s, 80, 24);
    assert!(text.contains("REQUESTS LEFT"), "{text}");
    let limit = s.context.live.limiters[limits - 1].name.clone();
    assert_eq!(subject(&s), Subject::Provider(limit));
    // Alone, a table has the whole place.
    press(&mut s, "z");
    let alone = drawn(&s, 80, 24);
    assert!(!alone.contains("Pools"), "{alone}");
    press(&mut s, "\x1b");
    assert!(drawn(&s, 80, 24).contains("Pools"));
}

#[test]
fn selection_stays_on_its_row_when_the_table_is_sorted() {
    let mut s = state(begun());
    press(&mut s, "3gj");
    let chosen = subject(&s);
    // Past the mark to the provider's name, and the other way round.
    press(&mut s, ">>");
    assert_eq!(subject(&s), chosen);
    let names = |s: &State| {
        let rows = s.top().table(&s.context);
        rows[1..].iter().map(|r| r[0].clone()).collect::<Vec<_>>()
    };
    let up = names(&s);
    assert!(up.is_sorted(), "{up:?}");
    press(&mut s, "!");
    assert_eq!(subject(&s), chosen);
    let down: Vec<String> = names(&s).into_iter().rev().collect();
    assert_eq!(up, down);
    assert_eq!(s.top().copied(&s.context).unwrap().split("  ").next(), {
        let Subject::Provider(name) = &chosen else {
            unreachable!("a provider is selected")
        };
        Some(name.as_str())
    });
}

#[test]
fn resilience_keeps_its_row_on_the_way_back_from_calls() {
    let mut s = state(full_pool());
    press(&mut s, "3g");
    let chosen = subject(&s);
    assert!(matches!(chosen, Subject::Provider(_)));
    press(&mut s, "\n");
    assert!(matches!(s.routes()[..], [_, Route::Calls { .. }]));
    press(&mut s, "\x1b");
    assert_eq!(subject(&s), chosen);
}

#[test]
fn click_selects_a_row_and_a_second_one_opens_it() {
    let mut s = state(begun());
    s.context.size = (120, 40);
    press(&mut s, "3g");
    let name = s.context.live.provider_rows[1].name.clone();
    let row = lines(&s, 120, 40);
    let y = row
        .iter()
        .position(|l| l.contains(&format!(" {name} ")))
        .unwrap();
    let click = |s: &mut State| {
        let event = MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column: 10,
            row: y as u16,
            modifiers: crossterm::event::KeyModifiers::NONE,
        };
        update(s, Message::Mouse(event), now())
    };
    assert!(click(&mut s).is_empty());
    assert_eq!(subject(&s), Subject::Provider(name));
    click(&mut s);
    assert!(matches!(s.routes()[..], [_, Route::Calls { .. }]));
}

#[test]
fn open_breaker_counts_each_second_until_its_next_attempt() {
    let mut picture = begun();
    assert!(!state(picture.clone()).context.animates());
    let row = &mut picture.provider_rows[0];
    row.ready = true;
    row.key = bsm::engine::protocol::provider_row::KeyState::Present;
    row.breaker = BreakerState::Open;
    row.next_attempt_ms = Some(WALL + 6_000);
    let mut s = state(picture);
    assert!(s.context.animates());
    press(&mut s, "3");
    assert!(
        drawn(&s, 120, 40).contains("open 6.0 s"),
        "{}",
        drawn(&s, 120, 40)
    );
    s.context.wall_ms = WALL + 2_000;
    assert!(drawn(&s, 120, 40).contains("open 4.0 s"));
}

#[test]
fn provider_is_good_only_where_a_model_answered_lately() {
    let mut picture = begun();
    let row = &mut picture.provider_rows[0];
    row.ready = true;
    row.key = bsm::engine::protocol::provider_row::KeyState::Present;
    let green = |picture: &Snapshot| {
        let mut s = state(picture.clone());
        press(&mut s, "3G");
        let buffer = buffer(&s, 120, 40);
        let good = s.context.theme.style(Role::Good).fg;
        let mut cells = buffer.content().iter().filter(|c| c.symbol() == "●");
        cells.any(|c| Some(c.fg) == good)
    };
    assert!(!green(&picture), "never asked");
    picture.provider_rows[0].figures.window.failed = 9;
    assert!(!green(&picture), "every call fails");
    picture.provider_rows[0].figures.window.answered = 9;
    assert!(green(&picture));
    picture.mode.simulated = true;
    assert!(!green(&picture), "simulated");
}

fn usage() -> Usage {
    let part = |name: &str, bytes, full| Part {
        name: name.into(),
        bytes,
        items: Some(12),
        oldest_ms: Some(WALL - 86_400_000 * 41),
        bound: None,
        next: None,
        bytes_per_day: None,
        items_per_day: None,
        full,
    };
    let mut reports = part("reports", 3 * 1_048_576, Full::Days(214.0));
    reports.bound = Some(Bound {
        store: Store::Reports,
        days: Some(90),
        bytes: Some(1 << 30),
        items: None,
        settings: vec!["retention.reportDays".into()],
        first_to_go: "the oldest".into(),
    });
    reports.next = Some("run x3k, 41 days old".into());
    reports.bytes_per_day = Some(1_048_576.0);
    Usage {
        state: "a state folder".into(),
        reports: "a reports folder".into(),
        at_ms: WALL,
        total_bytes: 48 << 20,
        disk_free_bytes: Some(2 << 30),
        disk_full_days: Some(3.2),
        files: vec![reports, part("logs", 1_048_576, Full::Unknown)],
        journal: vec![part("runs", 524_288, Full::NoBound)],
        problems: vec!["the audit trail: permission denied".into()],
    }
}

#[test]
fn storage_says_what_takes_how_much_its_bound_and_when_it_is_full() {
    let mut s = state(begun());
    assert_eq!(press(&mut s, "u"), [Effect::Query(Query::Storage)]);
    assert!(drawn(&s, 120, 30).contains("measuring it"));
    let answer = Answer::Storage {
        usage: Box::new(usage()),
    };
    update(&mut s, Message::Answered(Query::Storage, Ok(answer)), now());
    let text = drawn(&s, 140, 30);
    for words in [
        "total 48.0 MiB",
        "free on the disk 2.0 GiB",
        "disk full at the present rate in 3 days",
        "bsm state prune",
        "not measured: the audit trail",
        "214 days",
        "90 days, 1.0 GiB",
        "run x3k, 41 days old",
        "journal: runs",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let logs = text.lines().find(|l| l.contains(" logs ")).unwrap();
    assert!(
        logs.contains('—') && !logs.contains("0.0"),
        "unknown is no zero: {logs}"
    );
    // The same key measures again; sorted by size the largest can lead; Esc returns.
    assert_eq!(press(&mut s, "u"), [Effect::Query(Query::Storage)]);
    press(&mut s, ">>!");
    assert_eq!(s.top().table(&s.context)[1][0], "reports");
    press(&mut s, "\x1b");
    assert_eq!(s.routes().len(), 1);
}

#[test]
fn header_says_the_worst_in_short_and_is_never_green_in_an_outage() {
    let mut picture = begun();
    let mut down = Impact::new(ImpactKind::Down, ImpactCause::ProviderRefuses, "why");
    down.subjects = vec!["openai".into()];
    picture.impact = vec![down];
    picture.health = bsm::engine::protocol::snapshot::Health::Healthy;
    for (width, height) in [(80, 24), (120, 40), (200, 50)] {
        for key in "2345678".chars() {
            let mut s = state(picture.clone());
            press(&mut s, &key.to_string());
            let head = lines(&s, width, height)[0].clone();
            assert!(head.contains("▌DOWN openai"), "{head}");
            assert!(head.contains("14:02"), "{head}");
            let buffer = buffer(&s, width, height);
            let good = s.context.theme.style(Role::Good).fg;
            assert!(
                (0..width).all(|x| Some(buffer[(x, 0)].fg) != good),
                "{head}"
            );
        }
    }
    let mut s = state(picture.clone());
    picture.disconnected = Some(Disconnected {
        since_ms: WALL - 41_000,
        next_try_ms: WALL + 1_000,
        address: "unix:x".into(),
        reason: "refused".into(),
    });
    update(&mut s, Message::Snapshot(Arc::new(picture)), now());
    press(&mut s, "2");
    let head = lines(&s, 120, 40)[0].clone();
    assert!(head.contains("UNKNOWN no answer since 41 s"), "{head}");
}

#[test]
fn header_names_environment_models_runs_and_people() {
    let mut picture = begun();
    for (n, name) in ["openai", "anthropic"].into_iter().enumerate() {
        let provider = picture
            .providers
            .iter_mut()
            .find(|p| p.name == name)
            .unwrap();
        provider.ready = true;
        let row = picture
            .provider_rows
            .iter_mut()
            .find(|r| r.name == name)
            .unwrap();
        row.ready = true;
        row.breaker = [BreakerState::Open, BreakerState::Closed][n];
    }
    (picture.counts.running, picture.counts.queued) = (8, 3);
    picture.attached = vec!["bo".into(), "usr".into()];
    let s = state(picture);
    let wide = lines(&s, 120, 40)[0].clone();
    for words in [
        "✗openai",
        "anthropic",
        "→",
        "8 running  3 queued",
        "3 people",
        "14:02",
    ] {
        assert!(wide.contains(words), "{words}: {wide}");
    }
    let narrow = lines(&s, 80, 24)[0].clone();
    assert!(narrow.contains("1 of 2 models"), "{narrow}");
}

#[test]
fn cache_has_no_hit_rate_below_20_reads_and_says_who_reads_it() {
    let mut picture = begun();
    let cache = picture
        .caches
        .iter_mut()
        .find(|c| c.name == "responses")
        .unwrap();
    (cache.hits, cache.misses) = (18, 1);
    let line = |picture: &Snapshot| {
        let mut s = state(picture.clone());
        press(&mut s, "4");
        let text = drawn(&s, 160, 30);
        assert!(text.contains("since start"), "{text}");
        let files = text.lines().find(|l| l.contains("agents ")).unwrap();
        assert!(files.contains("all faces"), "{files}");
        let line = text.lines().find(|l| l.contains("│ responses"));
        line.unwrap().to_owned()
    };
    assert!(line(&picture).contains("—"), "{}", line(&picture));
    assert!(!line(&picture).contains("94.7"));
    let cache = picture
        .caches
        .iter_mut()
        .find(|c| c.name == "responses")
        .unwrap();
    cache.misses = 2;
    assert!(line(&picture).contains("90.0"), "{}", line(&picture));
    let mut s = state(picture);
    press(&mut s, "4/resp\n");
    assert_eq!(s.top().table(&s.context).len(), 2);
}

#[test]
fn agent_shows_that_it_is_stopped_and_what_it_said_last() {
    let mut picture = begun();
    let step = |agent: &str, verdict| StepSummary {
        agent: agent.into(),
        status: StepStatus::Succeeded,
        verdict: Some(verdict),
        phase: None,
    };
    picture.runs = vec![RunSummary {
        id: "job_1_k3f001".into(),
        event: "pull_request.opened".into(),
        title: None,
        identity: None,
        state: RunState::Finished,
        steps: vec![
            step("a-agent", Verdict::Block),
            step("b-agent", Verdict::Approve),
        ],
        action: None,
        rule: None,
        reason: None,
        why: None,
        evidence: None,
        cause: None,
        simulated: true,
        created_ms: WALL - 60_000,
        started_ms: Some(WALL - 50_000),
        finished_ms: Some(WALL - 40_000),
        duration_ms: Some(10_000),
        waited_ms: None,
        model_ms: None,
        micro_usd: None,
    }];
    picture.stopped_agents = vec!["c-agent".into()];
    let mut s = state(picture);
    let agent = |id: &str| Agent {
        id: id.into(),
        ..Agent::default()
    };
    s.context.workspace.agents = vec![agent("a-agent"), agent("b-agent"), agent("c-agent")];
    press(&mut s, "5");
    let text = drawn(&s, 120, 30);
    let of = |id: &str| text.lines().find(|l| l.contains(id)).unwrap().to_owned();
    assert!(of("a-agent").contains("✗ block"), "{text}");
    assert!(of("a-agent").contains("40s"), "{text}");
    assert!(
        of("c-agent").contains("stopped") && of("c-agent").contains("—"),
        "{text}"
    );
    // What the simulator approved is not good.
    let buffer = buffer(&s, 120, 30);
    let good = s.context.theme.style(Role::Good).fg;
    assert!(
        buffer.content().iter().all(|c| Some(c.fg) != good),
        "{text}"
    );
    press(&mut s, ">!");
    assert_eq!(s.top().table(&s.context)[1][0], "c-agent");
    assert!(s.top().hints(&s.context).contains(&Action::SortNext));
}

#[test]
fn simulated_money_is_labelled_in_the_table_of_costs() {
    let mut picture = begun();
    let shown = |picture: &Snapshot| {
        let mut s = state(picture.clone());
        let effects = press(&mut s, "$");
        let Some(Effect::Query(query)) = effects.first() else {
            unreachable!("{effects:?}")
        };
        let costs = Box::new(Costs {
            today_micro_usd: 420_000,
            ..Costs::default()
        });
        update(
            &mut s,
            Message::Answered(query.clone(), Ok(Answer::Costs { costs })),
            now(),
        );
        drawn(&s, 120, 30)
    };
    assert!(!shown(&picture).contains("SIMULATED"));
    picture.mode.simulated = true;
    let text = shown(&picture);
    assert!(
        text.contains("~USD, SIMULATED") && text.contains("~$0.4200"),
        "{text}"
    );
}
