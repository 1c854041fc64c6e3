//! Runs in the console: marks and what is done to all of them, order and filters that are kept, one run with the
//! phases of its agents, its JSON, and the ways into a run and back.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Instant;

use crate::support::*;
use bsm::console::action::Screen;
use bsm::console::component::DialogKind;
use bsm::console::message::{Effect, Message, Now};
use bsm::console::preferences::Remembered;
use bsm::console::route::Route;
use bsm::console::shell::state::State;
use bsm::console::shell::update::update;
use bsm::console::shell::view;
use bsm::console::theme::{Palette, Role, Theme};
use bsm::engine::Operator as _;
use bsm::engine::protocol::call::CallView;
use bsm::engine::protocol::command::{Command, Refused, Reply};
use bsm::engine::protocol::identity::RunIdentity;
use bsm::engine::protocol::phase::{Phase, PhaseKind};
use bsm::engine::protocol::query::{Answer, Query};
use bsm::engine::protocol::run::{Action, Evidence, RunResult, RunState, Step, StepStatus};
use bsm::engine::protocol::snapshot::{RunSummary, Snapshot, StepSummary};
use bsm::review::verdict::Verdict;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const THEME: Theme = Theme {
    color: true,
    ascii: false,
    palette: Palette::Terminal,
};
/// 2026-11-21 14:02 UTC.
const WALL: i64 = 1_795_269_720_000;

fn summary(n: u32, state: RunState, action: Option<Action>) -> RunSummary {
    let over = action.is_some();
    let step = |agent: &str| StepSummary {
        agent: agent.into(),
        status: match state {
            _ if over => StepStatus::Succeeded,
            RunState::Queued => StepStatus::Queued,
            _ => StepStatus::Running,
        },
        verdict: over.then_some(Verdict::Approve),
        phase: None,
    };
    RunSummary {
        id: format!("job_{n}_r{n:05}"),
        event: "pull_request.opened".into(),
        title: Some(format!("#{n}").into()),
        identity: Some(RunIdentity {
            repository: Some("acme/app".into()),
            pull: Some(u64::from(n)),
            title: Some("Retry payments on 409".into()),
            author: Some("usr".into()),
            head_sha: Some("0123456789ab".into()),
            branch: Some("retry-409".into()),
            started_by: Some("github".into()),
        }),
        why: None,
        waited_ms: over.then_some(21_000),
        model_ms: over.then_some(1_900),
        micro_usd: over.then_some(14_000),
        state,
        steps: vec![step("governance-review-agent"), step("security-agent")],
        action,
        rule: action.map(|_| 5),
        reason: action.map(|_| "rules and models approve".into()),
        cause: None,
        evidence: action.map(|_| Evidence::Full),
        simulated: false,
        created_ms: WALL - i64::from(n) * 1_000,
        started_ms: Some(WALL - 4_000),
        finished_ms: over.then_some(WALL),
        duration_ms: over.then_some(4_000),
    }
}

fn console(runs: Vec<RunSummary>) -> State {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = state_folder();
    let handle = runtime.block_on(Start::new(folder.path()).go());
    let mut picture: Snapshot = (**handle.snapshots().borrow()).clone();
    drop(handle);
    runtime.shutdown_background();
    let of = |state| runs.iter().filter(|r| r.state == state).count() as u32;
    picture.counts.running = of(RunState::Running);
    picture.counts.queued = of(RunState::Queued);
    picture.runs = runs;
    let mut state = State::new(Arc::new(picture), THEME, false, WALL);
    state.context.zone = bsm::console::format::Zone::Utc;
    state
}

/// Twenty queued runs and two that have ended.
fn twenty_queued() -> State {
    let queued = (1..=20).map(|n| summary(n, RunState::Queued, None));
    let ended = (21..=22).map(|n| summary(n, RunState::Finished, Some(Action::ApproveAndMerge)));
    console(queued.chain(ended).collect())
}

fn at(wall_ms: i64) -> Now {
    Now {
        at: Instant::now(),
        wall_ms,
    }
}

fn key(state: &mut State, code: KeyCode) -> Vec<Effect> {
    let event = KeyEvent::new(code, KeyModifiers::NONE);
    update(state, Message::Key(event), at(WALL))
}

fn control(state: &mut State, c: char) -> Vec<Effect> {
    let event = KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    update(state, Message::Key(event), at(WALL))
}

fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    keys.chars()
        .flat_map(|c| key(state, KeyCode::Char(c)))
        .collect()
}

fn buffer(state: &State, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::draw(state, area, &mut buffer);
    buffer
}

fn drawn(state: &mut State, width: u16, height: u16) -> String {
    state.context.size = (width, height);
    let buffer = buffer(state, width, height);
    let row = |y| {
        let cells = (0..width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..height).map(row).collect::<Vec<_>>().join("\n")
}

fn answer(state: &mut State, query: Query, answer: Answer) -> Vec<Effect> {
    update(state, Message::Answered(query, Ok(answer)), at(WALL))
}

fn cancelled(effects: &[Effect]) -> Vec<String> {
    let [Effect::SendAll(commands)] = effects else {
        panic!("{effects:?}");
    };
    let run = |c: &Command| match c {
        Command::CancelRun { run } => run.clone(),
        other => panic!("{other:?}"),
    };
    commands.iter().map(run).collect()
}

#[test]
fn twenty_queued_runs_are_cancelled_in_four_keys_from_the_overview() {
    let mut s = twenty_queued();
    press(&mut s, "2Vx");
    let question = drawn(&mut s, 120, 40);
    assert!(
        question.contains("cancel 20 runs")
            && question.contains("20 queued, 0 running")
            && question.contains("2 marked runs ended already"),
        "{question}"
    );
    let runs = cancelled(&key(&mut s, KeyCode::Enter));
    assert_eq!(runs.len(), 20);
    assert!(
        !runs
            .iter()
            .any(|r| r.contains("r00021") || r.contains("r00022"))
    );
    let after = drawn(&mut s, 120, 40);
    assert!(!after.contains("marked"), "the marks are gone: {after}");

    // One summary, whatever became of each.
    let reply = |n: usize, run: &String| {
        let command = Command::CancelRun { run: run.clone() };
        let done = Reply::Done {
            what: "cancelled".into(),
        };
        let lost = Refused::Unanswered {
            reason: "the link was cut".into(),
        };
        (command, if n < 17 { Ok(done) } else { Err(lost) })
    };
    let replies = runs
        .iter()
        .take(18)
        .enumerate()
        .map(|(n, run)| reply(n, run));
    let message = Message::RepliedAll {
        replies: replies.collect(),
        not_sent: 2,
    };
    update(&mut s, message, at(WALL));
    let [toast] = s.toasts() else {
        panic!("{:?}", s.toasts());
    };
    assert_eq!(
        toast.text,
        "17 of 20 runs being cancelled; 1 refused, the first: the link was cut; 2 not sent any more"
    );
    assert!(toast.bad);
}

#[test]
fn marks_of_all_runs_there_are_reach_the_engine_whole() {
    let mut s = console(
        (1..=200)
            .map(|n| summary(n, RunState::Queued, None))
            .collect(),
    );
    press(&mut s, "2Vx");
    assert_eq!(cancelled(&key(&mut s, KeyCode::Enter)).len(), 200);
}

#[test]
fn marked_runs_are_started_again_with_one_question_and_no_run_opens() {
    let mut s = twenty_queued();
    press(&mut s, "2Gkvv");
    let note = drawn(&mut s, 120, 40);
    assert!(note.contains("2 marked: x cancel  R again"), "{note}");
    assert!(press(&mut s, "R").is_empty());
    let question = drawn(&mut s, 120, 40);
    assert!(
        question.contains("start 2 runs again")
            && question.contains("The last time they cost $0.028."),
        "{question}"
    );
    let effects = key(&mut s, KeyCode::Enter);
    let [Effect::SendAll(commands)] = &effects[..] else {
        panic!("{effects:?}");
    };
    let accepted = |c: &Command| {
        let run = "job_99_new".into();
        let reply = Reply::Accepted {
            run,
            correlation: String::new(),
            defaulted: false,
        };
        (c.clone(), Ok(reply))
    };
    let message = Message::RepliedAll {
        replies: commands.iter().map(accepted).collect(),
        not_sent: 0,
    };
    update(&mut s, message, at(WALL));
    assert_eq!(s.routes(), [&Route::Screen(Screen::Runs)]);
    assert_eq!(s.toasts()[0].text, "2 runs started again");
}

#[test]
fn mark_that_the_filter_hides_is_told_and_not_acted_on() {
    let mut s = twenty_queued();
    press(&mut s, "2V/id:r00007");
    key(&mut s, KeyCode::Enter);
    let note = drawn(&mut s, 120, 40);
    assert!(note.contains("1 marked, +21 not listed"), "{note}");
    press(&mut s, "x");
    assert_eq!(cancelled(&key(&mut s, KeyCode::Enter)), ["job_7_r00007"]);
    // Of marked runs that have all ended there is nothing to cancel.
    let mut s = console(vec![summary(1, RunState::Finished, Some(Action::Pass))]);
    assert!(press(&mut s, "2Vx").len() <= 1);
    assert!(s.dialogs().is_empty());
    assert!(s.toasts()[0].text.contains("nothing to cancel"));
}

#[test]
fn read_only_console_marks_runs_and_cancels_none() {
    let mut s = twenty_queued();
    s.context.read_only = true;
    press(&mut s, "2VxR");
    assert!(s.dialogs().is_empty());
    let told: Vec<&str> = s.toasts().iter().map(|t| t.text.as_str()).collect();
    assert!(told.iter().all(|t| t.contains("read-only")), "{told:?}");
}

#[test]
fn more_runs_than_rows_are_counted() {
    let mut s = twenty_queued();
    press(&mut s, "2");
    // 24 rows: header, tabs, hints, two borders, the head.
    let shown = drawn(&mut s, 80, 24);
    assert!(shown.contains("+4 "), "{shown}");
    assert!(!drawn(&mut s, 80, 40).contains("+4 "));
}

#[test]
fn list_of_ended_runs_stays_still_for_seconds_so_that_nothing_is_written() {
    let of = |state, action| console(vec![summary(20, state, action)]);
    let mut s = of(RunState::Finished, Some(Action::Pass));
    press(&mut s, "2");
    let mut after = |seconds: i64| {
        update(&mut s, Message::Tick, at(WALL + seconds * 1_000));
        drawn(&mut s, 120, 40)
    };
    let before = after(0);
    assert!(before.contains(" 20s "), "{before}");
    assert_eq!(after(9), before);
    assert!(after(10).contains(" 30s "));
    assert!(after(125).contains("  2m "));
    let mut s = of(RunState::Running, None);
    press(&mut s, "2");
    update(&mut s, Message::Tick, at(WALL + 1_000));
    assert!(
        drawn(&mut s, 120, 40).contains(" 21s "),
        "one at work moves on"
    );
}

/// As at the end of the console, through its file, and at the start of the next one.
fn again(s: &State) -> State {
    let left = Remembered::of(&s.context, s.screen(), s.list_habits());
    let text = serde_json::to_string(&left).unwrap();
    let mut next = twenty_queued();
    next.adopt(Remembered::read(&text).lists);
    next
}

#[test]
fn order_and_saved_filter_are_found_again_at_the_next_start() {
    let mut s = twenty_queued();
    press(&mut s, "2>!");
    let oldest = drawn(&mut s, 120, 40);
    press(&mut s, "/live:yes");
    control(&mut s, 's');
    key(&mut s, KeyCode::Enter);
    assert!(s.toasts()[0].text.contains("filter saved"));

    let mut s = again(&s);
    press(&mut s, "2");
    let shown = drawn(&mut s, 120, 40);
    assert!(shown.contains("/live:yes"), "{shown}");
    let first = |screen: &str| screen.lines().nth(4).map(str::to_owned);
    key(&mut s, KeyCode::Esc);
    assert_eq!(first(&drawn(&mut s, 120, 40)), first(&oldest));

    // Cleared, it does not come back, and nor does one that was not saved; the saved one can be recalled.
    press(&mut s, "/pr:3");
    key(&mut s, KeyCode::Enter);
    let mut s = again(&s);
    press(&mut s, "2");
    assert!(!drawn(&mut s, 120, 40).contains("/pr:3"));
    press(&mut s, "/au");
    key(&mut s, KeyCode::Up);
    let line = drawn(&mut s, 120, 40);
    assert!(
        line.contains("/ live:yes") && line.contains("1 saved"),
        "{line}"
    );
    key(&mut s, KeyCode::Down);
    assert!(
        drawn(&mut s, 120, 40).contains("/ au"),
        "what was typed is back"
    );
    key(&mut s, KeyCode::Up);
    control(&mut s, 's');
    assert!(
        s.list_habits().saved("runs").is_empty(),
        "saved again it is forgotten"
    );
}

fn phase(kind: PhaseKind, attempt: u32, from: i64, to: Option<i64>) -> Phase {
    Phase {
        kind,
        provider: "openai".into(),
        model: "gpt-4o".into(),
        attempt,
        of: 3,
        reason: (attempt > 1).then(|| "openai http_503".into()),
        started_ms: WALL + from,
        ended_ms: to.map(|ms| WALL + ms),
        tokens: if kind == PhaseKind::Streaming { 70 } else { 0 },
    }
}

/// A run at work: one agent streams after a failed attempt, one waits for a place, one has not begun.
fn at_work() -> RunResult {
    let step = |agent: &str, phases| Step {
        status: StepStatus::Running,
        started_at: Some(WALL - 10_000),
        phases,
        ..Step::queued(agent)
    };
    RunResult {
        schema_version: 2,
        run_id: "job_1_r00001".into(),
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
        agents: vec![
            step(
                "governance-review-agent",
                vec![
                    phase(PhaseKind::Waiting, 1, -10_000, Some(-6_000)),
                    phase(PhaseKind::Retrying, 2, -6_000, Some(-4_000)),
                    phase(PhaseKind::Waiting, 2, -4_000, Some(-2_000)),
                    phase(PhaseKind::Streaming, 2, -2_000, None),
                ],
            ),
            step(
                "security-agent",
                vec![phase(PhaseKind::Queued, 1, -9_000, None)],
            ),
            Step::queued("integrity-agent"),
        ],
        suppressed: Vec::new(),
        report: None,
        created_at: WALL - 12_000,
        duration_ms: None,
        notes: Vec::new(),
        documentation: bsm::review::documentation::Documentation::default(),
    }
}

/// The console with that run open.
fn open_run(run: &RunResult) -> State {
    let mut listed = summary(1, run.state, run.decision.as_ref().map(|d| d.action));
    listed.simulated = run.simulated;
    let mut s = console(vec![listed]);
    press(&mut s, "2");
    key(&mut s, KeyCode::Enter);
    let query = Query::Run {
        id: run.run_id.clone(),
    };
    let run = Box::new(run.clone());
    answer(&mut s, query, Answer::Run { run });
    s
}

#[test]
fn run_at_work_shows_phases_attempt_reason_and_speed_at_every_width() {
    let mut s = open_run(&at_work());
    for (width, height) in [(80, 24), (120, 40), (200, 50)] {
        let shown = drawn(&mut s, width, height);
        println!("{shown}\n");
        for wanted in [
            "acme/app#1 · Retry payments on 409",
            "▒✗",
            "┄",
            "█",
            "░",
            "elapsed 12 s",
        ] {
            assert!(shown.contains(wanted), "{wanted} at {width}:\n{shown}");
        }
        assert!(shown.contains("2 of 3  70 tokens 35/s"), "{shown}");
        assert!(shown.contains("1 of 3  queued 9 s"), "{shown}");
        assert!(shown.contains("waits for its turn 12 s"), "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        let axis = lines.iter().find(|l| l.contains(" 0 s ")).unwrap();
        assert!(axis.contains("10"), "{axis}");
    }
    let wide = drawn(&mut s, 200, 50);
    for wanted in [
        "by usr · 0123456789ab · retry-409 · started by github",
        "attempt 2 of 3  70 tokens 35/s  after http_503",
        "░ queue  ┄ wait  ▒ first token  █ stream  ✗ failed  ─ rules",
    ] {
        assert!(wide.contains(wanted), "{wanted}:\n{wide}");
    }
    // A second later everything that goes on is a second older, without a word of the engine.
    update(&mut s, Message::Tick, at(WALL + 1_000));
    let later = drawn(&mut s, 120, 40);
    assert!(
        later.contains("queued 10 s") && later.contains("elapsed 13 s"),
        "{later}"
    );
}

#[test]
fn run_at_work_is_read_again_once_a_second_and_not_while_held_still() {
    let mut s = open_run(&at_work());
    let picture = Arc::clone(&s.context.live);
    let reads = |s: &mut State, ms: i64| {
        let message = Message::Snapshot(Arc::clone(&picture));
        let effects = update(s, message, at(WALL + ms));
        effects.len()
    };
    assert_eq!(reads(&mut s, 500), 0);
    assert_eq!(reads(&mut s, 1_000), 1);
    assert_eq!(reads(&mut s, 1_900), 0);
    assert_eq!(reads(&mut s, 2_000), 1);
    press(&mut s, " ");
    assert_eq!(reads(&mut s, 9_000), 0);
}

#[test]
fn run_that_the_picture_does_not_hold_is_looked_up_for_what_it_is_about() {
    let mut s = console(vec![summary(1, RunState::Finished, Some(Action::Pass))]);
    with_call_of(&mut s, "job_77_r00077");
    let effects = key(&mut s, KeyCode::Enter);
    let [
        Effect::Query(Query::Run { .. }),
        Effect::Query(lookup @ Query::Runs { limit: 1, .. }),
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    let mut run = at_work();
    run.run_id = "job_77_r00077".into();
    let query = Query::Run {
        id: run.run_id.clone(),
    };
    answer(&mut s, query, Answer::Run { run: Box::new(run) });
    assert!(drawn(&mut s, 120, 40).contains("— what it is about is not known"));
    let runs = vec![summary(77, RunState::Finished, Some(Action::Pass))];
    answer(&mut s, lookup.clone(), Answer::Runs { runs });
    assert!(drawn(&mut s, 120, 40).contains("acme/app#77 · Retry payments on 409"));
}

#[test]
fn reason_that_has_no_room_is_cut_with_a_mark() {
    let mut run = at_work();
    run.decision = Some(bsm::engine::protocol::run::Decision {
        action: Action::BlockPr,
        cause: None,
        reason: "words and ".repeat(28).into(),
        rule: 2,
        automated: true,
    });
    let mut s = open_run(&run);
    let shown = drawn(&mut s, 80, 24);
    let (first, second) = (shown.lines().nth(3), shown.lines().nth(4));
    assert!(
        second.is_some_and(|l| l.contains("words and .. ")),
        "{shown}"
    );
    assert!(first.is_some_and(|l| !l.contains("..")), "{shown}");
}

/// Cells in the colour that says that all is well, as text.
fn good(s: &State, width: u16, height: u16) -> String {
    let wanted = THEME.style(Role::Good).fg;
    let buffer = buffer(s, width, height);
    let body = buffer.content.iter().skip(usize::from(width) * 2);
    let good = body.filter(|c| Some(c.fg) == wanted && c.symbol() != " ");
    good.map(ratatui::buffer::Cell::symbol).collect()
}

#[test]
fn run_that_is_simulated_stale_or_at_work_has_no_cell_in_the_good_colour() {
    let decided = || {
        let mut run = at_work();
        run.state = RunState::Finished;
        run.evidence = Evidence::Full;
        run.duration_ms = Some(4_000);
        run.decision = Some(bsm::engine::protocol::run::Decision {
            action: Action::ApproveAndMerge,
            cause: None,
            reason: "rules and models approve".into(),
            rule: 5,
            automated: true,
        });
        for step in &mut run.agents {
            step.status = StepStatus::Succeeded;
            step.verdict = Some(Verdict::Approve);
            step.started_at = Some(WALL - 10_000);
            step.duration_ms = Some(3_000);
        }
        run
    };
    let mut s = open_run(&decided());
    drawn(&mut s, 120, 40);
    assert_eq!(
        good(&s, 120, 40),
        "✓✓✓✓approve_and_merge".replacen("✓✓✓✓", "✓", 1) + "✓✓✓"
    );
    let simulated = RunResult {
        simulated: true,
        ..decided()
    };
    let mut stale = RunResult {
        stale: true,
        ..decided()
    };
    for step in &mut stale.agents {
        step.stale = true;
    }
    for run in [at_work(), simulated, stale] {
        let mut s = open_run(&run);
        let shown = drawn(&mut s, 120, 40);
        assert_eq!(good(&s, 120, 40), "", "{shown}");
        assert_eq!(
            run.simulated,
            shown.contains("~$0.0000 simulated"),
            "{shown}"
        );
    }
}

#[test]
fn json_of_a_run_is_the_interfaces_document_searched_scrolled_and_copied() {
    let mut s = open_run(&at_work());
    let mut run = at_work();
    run.notes = vec!["a note that \u{1b}[2J hides \u{202e}".into()];
    let effects = press(&mut s, "J");
    let query = Query::Run {
        id: run.run_id.clone(),
    };
    assert_eq!(effects, [Effect::Query(query.clone())]);
    let document = run.to_json_text().unwrap();
    answer(&mut s, query, Answer::Run { run: Box::new(run) });
    s.context.size = (120, 40);
    let shown = drawn(&mut s, 120, 40);
    assert!(shown.contains("\"runId\": \"job_1_r00001\""), "{shown}");
    // Search: the first line as it is typed, then the next one, then round.
    press(&mut s, "/agentid");
    key(&mut s, KeyCode::Enter);
    let found = |s: &mut State| drawn(s, 120, 40).lines().nth(3).unwrap().to_owned();
    assert!(found(&mut s).contains("governance-review-agent"));
    press(&mut s, "n");
    assert!(found(&mut s).contains("security-agent"));
    press(&mut s, "nn");
    assert!(found(&mut s).contains("governance-review-agent"));
    press(&mut s, "N");
    let shown = drawn(&mut s, 120, 40);
    assert!(
        found(&mut s).contains("integrity-agent") && shown.contains("3 of 3"),
        "{shown}"
    );
    // The end stands at the end, and one key up moves.
    press(&mut s, "G");
    let end = drawn(&mut s, 120, 40);
    assert!(
        end.contains("a note that ") && !end.contains('\u{1b}'),
        "{end}"
    );
    press(&mut s, "k");
    assert_ne!(drawn(&mut s, 120, 40), end);
    assert_eq!(press(&mut s, "y"), [Effect::Copy(document)]);
    key(&mut s, KeyCode::Esc);
    assert!(matches!(s.routes()[..], [_, Route::Run { .. }]));
}

/// The calls behind the answers, from the Caches screen's or a breaker's key; here by a breaker.
fn with_call_of(s: &mut State, run: &str) {
    press(s, "3");
    let effects = key(s, KeyCode::Enter);
    let [Effect::Query(query)] = &effects[..] else {
        panic!("{effects:?}");
    };
    let call = CallView {
        at_ms: WALL - 1_000,
        provider: "openai".into(),
        model: "gpt-4o".into(),
        outcome: "http_529".into(),
        sent: true,
        upstream_ms: 412,
        waited_ms: 0,
        target: 0,
        run: run.into(),
        agent: "security-agent".into(),
        correlation: "7f3c9a".into(),
        tokens: bsm::model::Tokens::default(),
        micro_usd: 0,
    };
    let calls = vec![call];
    answer(s, query.clone(), Answer::Calls { calls });
}

#[test]
fn rerun_on_trends_starts_no_hidden_run() {
    let mut s = twenty_queued();
    press(&mut s, "2Gt");
    assert_eq!(s.routes().last(), Some(&&Route::Trends));
    for keys in ["R", "x", "J", "o", "l"] {
        assert_eq!(press(&mut s, keys), [], "{keys}");
        assert!(s.dialogs().is_empty(), "{keys}");
    }
    assert!(
        s.toasts()[0].text.contains("select a run first"),
        "{:?}",
        s.toasts()
    );
    assert_eq!(s.routes().last(), Some(&&Route::Trends));
}

#[test]
fn run_that_is_started_from_calls_returns_to_calls() {
    let mut s = twenty_queued();
    with_call_of(&mut s, "job_21_r00021");
    press(&mut s, "r");
    assert_eq!(s.dialogs(), [DialogKind::RunForm]);
    let command = Command::RunAgain {
        run: "job_21_r00021".into(),
    };
    let run = "job_99_r00099".to_owned();
    let reply = Reply::Accepted {
        run: run.clone(),
        correlation: String::new(),
        defaulted: false,
    };
    update(&mut s, Message::Replied(command, Ok(reply)), at(WALL));
    assert!(s.dialogs().is_empty());
    assert_eq!(s.routes().last(), Some(&&Route::Run { id: run }));
    key(&mut s, KeyCode::Esc);
    assert!(matches!(
        s.routes()[..],
        [Route::Screen(Screen::Resilience), Route::Calls { .. }]
    ));
    key(&mut s, KeyCode::Esc);
    assert_eq!(s.routes(), [&Route::Screen(Screen::Resilience)]);
}

#[test]
fn enter_on_trends_from_caches_opens_nothing() {
    let mut s = twenty_queued();
    press(&mut s, "4t");
    let before: Vec<Route> = s.routes().into_iter().cloned().collect();
    assert_eq!(before, [Route::Screen(Screen::Caches), Route::Trends]);
    assert_eq!(key(&mut s, KeyCode::Enter), []);
    assert_eq!(s.routes(), before.iter().collect::<Vec<_>>());
    assert!(s.dialogs().is_empty());
    key(&mut s, KeyCode::Esc);
    assert_eq!(s.routes(), [&Route::Screen(Screen::Caches)]);
}

#[test]
fn enter_on_a_run_opened_from_calls_opens_its_report_and_esc_returns_by_each_place() {
    let mut s = twenty_queued();
    with_call_of(&mut s, "job_21_r00021");
    key(&mut s, KeyCode::Enter);
    assert!(matches!(
        s.routes()[..],
        [_, Route::Calls { .. }, Route::Run { .. }]
    ));
    let id = "job_21_r00021".to_owned();
    let report = Query::Report { id: id.clone() };
    assert_eq!(key(&mut s, KeyCode::Enter), [Effect::Query(report)]);
    assert_eq!(s.routes().last(), Some(&&Route::Report { id: id.clone() }));
    key(&mut s, KeyCode::Esc);
    assert_eq!(s.routes().last(), Some(&&Route::Run { id }));
    key(&mut s, KeyCode::Esc);
    assert!(matches!(s.routes()[..], [_, Route::Calls { .. }]));
}
