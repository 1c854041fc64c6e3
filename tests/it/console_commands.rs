//! The command line with history and arguments, the columns of the runs, and a run described.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Instant;

use crate::console_scenes::scene;
use crate::impact::{NOW_MS, rested};
use bsm::console::component::DialogKind;
use bsm::console::message::{Effect, Message, Now};
use bsm::console::preferences::Remembered;
use bsm::console::route::Route;
use bsm::console::shell::state::State;
use bsm::console::shell::update::update;
use bsm::console::shell::view;
use bsm::console::theme::{Palette, Theme};
use bsm::engine::protocol::command::Command;
use bsm::engine::protocol::query::Query;
use bsm::engine::protocol::snapshot::Snapshot;
use bsm::engine::protocol::why::About;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The picture of an outage, made once.
fn outage() -> Arc<Snapshot> {
    static PICTURE: std::sync::OnceLock<Arc<Snapshot>> = std::sync::OnceLock::new();
    let made = || {
        let made = std::thread::spawn(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let rested = runtime.block_on(rested());
            runtime.shutdown_background();
            Arc::new(scene("outage", &rested))
        });
        made.join().unwrap()
    };
    Arc::clone(PICTURE.get_or_init(made))
}

fn state() -> State {
    let mut state = State::new(outage(), Theme::default(), false, NOW_MS);
    state.context.zone = bsm::console::format::Zone::Utc;
    state.context.size = (120, 40);
    state
}

fn now() -> Now {
    Now {
        at: Instant::now(),
        wall_ms: NOW_MS,
    }
}

fn key(state: &mut State, code: KeyCode) -> Vec<Effect> {
    update(state, Message::Key(KeyEvent::from(code)), now())
}

fn control(state: &mut State, c: char) -> Vec<Effect> {
    let key = KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    update(state, Message::Key(key), now())
}

fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let each = |c| match c {
        '\n' => KeyCode::Enter,
        c => KeyCode::Char(c),
    };
    let codes: Vec<KeyCode> = keys.chars().map(each).collect();
    codes.into_iter().flat_map(|c| key(state, c)).collect()
}

fn drawn_at(state: &State, (width, height): (u16, u16)) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::draw(state, area, &mut buffer);
    let line = |y| {
        (0..width)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

fn drawn(state: &State) -> String {
    drawn_at(state, state.context.size)
}

/// The line that is typed.
fn typed(state: &State) -> String {
    let text = drawn(state);
    let line = text.lines().find(|l| l.contains("│ : ")).unwrap();
    let rest = line.split("│ : ").nth(1).unwrap();
    rest.trim_end_matches(['│', ' ', '▏', '█', '_'])
        .split("  ")
        .next()
        .unwrap()
        .trim_end_matches(['▏', '_'])
        .to_owned()
}

#[test]
fn palette_recalls_what_was_run_and_the_next_start_does_too() {
    let mut s = state();
    press(&mut s, ":runs failed\n");
    press(&mut s, ":theme mono\n");
    assert_eq!(s.context.theme.palette, Palette::Mono);
    press(&mut s, ":");
    key(&mut s, KeyCode::Up);
    assert_eq!(typed(&s), "theme mono");
    control(&mut s, 'p');
    assert_eq!(typed(&s), "runs failed");
    control(&mut s, 'p');
    assert_eq!(typed(&s), "runs failed", "there is none older");
    control(&mut s, 'n');
    assert_eq!(typed(&s), "theme mono");
    key(&mut s, KeyCode::Down);
    assert_eq!(typed(&s), "", "past the newest it is empty");
    let kept = Remembered::of(&s.context, s.screen(), s.list_habits());
    let text = serde_json::to_string(&kept).unwrap();
    let read = Remembered::read(&text);
    assert_eq!(read.commands, ["theme mono", "runs failed"]);
    let mut s = state();
    s.context.commands = read.commands;
    press(&mut s, ":");
    key(&mut s, KeyCode::Up);
    key(&mut s, KeyCode::Up);
    press(&mut s, "\n");
    assert_eq!(s.top().filter(), Some("state:failed"));
}

#[test]
fn palette_up_and_down_choose_in_the_list_once_something_is_typed() {
    let mut s = state();
    s.context.commands = vec!["runs failed".into()];
    press(&mut s, ":alerts");
    key(&mut s, KeyCode::Up);
    assert_eq!(typed(&s), "alerts");
    press(&mut s, "\n");
    assert_eq!(*s.routes()[1], Route::Alerts);
    assert_eq!(s.context.commands[0], "alerts");
}

#[test]
fn commands_take_arguments() {
    let mut s = state();
    press(&mut s, ":runs failed\n");
    assert_eq!(
        (s.top().filter(), s.screen().digit()),
        (Some("state:failed"), '2')
    );
    press(&mut s, ":logs level=error agent=a\n");
    assert_eq!(
        (s.top().filter(), s.screen().digit()),
        (Some("level:error agent:a"), '7')
    );
    press(&mut s, ":alerts openai\n");
    assert_eq!(s.top().filter(), Some("openai"));
    // What a key asks about first is asked about here too.
    assert_eq!(press(&mut s, ":pool openai 12\n"), []);
    assert_eq!(s.dialogs(), [DialogKind::Choice]);
    let resize = Command::ResizePool {
        pool: "openai".into(),
        limit: 12,
    };
    assert_eq!(press(&mut s, "\n"), [Effect::Send(resize)]);
    let level = Command::SetLogLevel {
        level: "debug".into(),
    };
    assert_eq!(press(&mut s, ":log-level debug\n"), [Effect::Send(level)]);
    assert_eq!(press(&mut s, ":breaker openai\n"), []);
    let reset = Command::ResetBreaker {
        breaker: Some("openai".into()),
    };
    assert_eq!(press(&mut s, "\n"), [Effect::Send(reset)]);
    let about = About::Provider {
        name: "openai".into(),
    };
    assert_eq!(
        press(&mut s, ":why openai\n"),
        [Effect::Query(Query::Why { about })]
    );
    key(&mut s, KeyCode::Esc);
    let run = s.context.live.runs[0].id.clone();
    press(&mut s, &format!(":describe {run}\n"));
    assert_eq!(**s.routes().last().unwrap(), Route::Describe { id: run });
}

#[test]
fn wrong_arguments_are_shown_again_with_what_is_accepted() {
    for (line, parts) in [
        (
            "pool openai none",
            vec!["'none' is not a size", "resize-pool POOL [SIZE]"],
        ),
        ("pool nosuch 3", vec!["'nosuch' is not a pool", "openai"]),
        ("pool openai 0", vec!["1 or more"]),
        (
            "logs level=loud",
            vec!["'loud' is not a level", "error, warn, info"],
        ),
        ("log-level loud", vec!["'loud' is not a level", "trace"]),
        ("report zzz", vec!["no listed run is 'zzz'", "report RUN"]),
        ("breaker a b", vec!["one word is wanted, 2 were given"]),
        (
            "switch retry maybe",
            vec!["neither on nor off", "LAYER on|off"],
        ),
        ("why nosuch", vec!["no provider, pool, cache or listed run"]),
        ("theme pink", vec!["'pink' is not a palette", "mono"]),
    ] {
        let mut s = state();
        assert_eq!(press(&mut s, &format!(":{line}\n")), [], "{line}");
        assert_eq!(s.dialogs(), [DialogKind::Palette], "{line}");
        let text = drawn(&s).split_whitespace().collect::<Vec<_>>().join(" ");
        let text = text.replace("│ │ ", "");
        for part in parts {
            assert!(text.contains(part), "{line}: '{part}'\n{}", drawn(&s));
        }
        assert_eq!(typed(&s), line, "the line can be mended");
    }
    let mut s = state();
    press(&mut s, ":quit now");
    assert!(
        drawn(&s).contains("quit takes no argument"),
        "{}",
        drawn(&s)
    );
}

#[test]
fn commands_with_arguments_change_nothing_where_nothing_may_be_changed() {
    let mut s = State::new(outage(), Theme::default(), true, NOW_MS);
    s.context.size = (120, 40);
    for line in [
        "pool openai 12",
        "log-level debug",
        "breaker openai",
        "drill outage",
    ] {
        assert_eq!(press(&mut s, &format!(":{line}\n")), [], "{line}");
        assert_eq!(s.dialogs(), [], "{line}");
        assert!(drawn(&s).contains("read-only"), "{line}");
    }
}

#[test]
fn columns_of_the_runs_are_chosen_and_found_again() {
    let mut s = state();
    s.context.size = (200, 50);
    press(&mut s, "2");
    let head = |s: &State| drawn(s).lines().nth(3).unwrap().to_owned();
    assert!(
        head(&s).contains("AUTHOR") && !head(&s).contains("BRANCH"),
        "{}",
        head(&s)
    );
    press(&mut s, "C");
    assert_eq!(s.dialogs(), [DialogKind::Columns]);
    press(&mut s, "jjj "); // AUTHOR away
    for _ in 0..8 {
        press(&mut s, "j");
    }
    press(&mut s, " "); // BRANCH on
    key(&mut s, KeyCode::Esc);
    assert!(
        !head(&s).contains("AUTHOR") && head(&s).contains("BRANCH"),
        "{}",
        head(&s)
    );
    let lists = s.list_habits();
    let mut again = state();
    again.context.size = (200, 50);
    again.adopt(lists);
    press(&mut again, "2");
    assert_eq!(head(&again), head(&s));
    // Sorting goes through the columns that are seen.
    let mut sorted = String::new();
    for _ in 0..12 {
        press(&mut again, ">");
        sorted.push_str(&head(&again));
    }
    assert!(
        sorted.contains("BRANCH▴") && !sorted.contains("AUTHOR"),
        "{sorted}"
    );
    press(&mut again, "<!!");
}

#[test]
fn last_column_cannot_be_hidden() {
    let mut s = state();
    press(&mut s, "2C");
    for _ in 0..20 {
        press(&mut s, " j");
    }
    assert!(
        drawn(&s).contains("the last one stays") || drawn(&s).contains("[x]"),
        "{}",
        drawn(&s)
    );
    key(&mut s, KeyCode::Esc);
    assert!(
        !s.list_habits().left["runs"]
            .columns
            .as_ref()
            .is_none_or(Vec::is_empty)
    );
}

#[test]
fn wide_mode_reaches_every_column_sideways_on_a_small_terminal() {
    let mut s = state();
    s.context.size = (80, 24);
    press(&mut s, "2");
    assert!(!drawn(&s).contains("WAIT/MODEL"), "{}", drawn(&s));
    control(&mut s, 'w');
    assert!(drawn(&s).contains("wide, left right:"), "{}", drawn(&s));
    let mut all = drawn(&s);
    for _ in 0..15 {
        key(&mut s, KeyCode::Right);
        all.push_str(&drawn(&s));
    }
    for head in [
        "WAIT/MODEL",
        "COST",
        "EVENT",
        "BRANCH",
        "COMMIT",
        "EVIDENCE",
        "CAUSE",
    ] {
        assert!(all.contains(head), "{head}");
    }
    let end = drawn(&s);
    assert!(end.contains("REPO#PR") && end.contains("CAUSE"), "{end}");
    key(&mut s, KeyCode::Left);
    assert_ne!(drawn(&s), end, "and back");
    assert!(s.list_habits().left["runs"].wide);
}

#[test]
fn describe_asks_for_the_run_and_says_what_it_is_about() {
    let mut s = state();
    let id = s.context.live.runs[0].id.clone();
    let effects = press(&mut s, "I");
    let asked = |query: &Query| effects.contains(&Effect::Query(query.clone()));
    assert!(asked(&Query::Run { id: id.clone() }), "{effects:?}");
    assert_eq!(**s.routes().last().unwrap(), Route::Describe { id });
    assert!(drawn(&s).contains("described"), "{}", drawn(&s));
    let Some(Effect::Query(Query::Runs { filter, .. })) = effects.last() else {
        panic!("{effects:?}");
    };
    assert!(filter.starts_with("id:job_"), "{filter}");
}
