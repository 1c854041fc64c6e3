//! Panels that share a screen: the focus moves among them, one can be shown alone, and keys act on the focused one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Instant;

use crate::console_scenes::scene;
use crate::impact::{NOW_MS, rested};
use bsm::console::component::{DialogKind, Subject};
use bsm::console::message::{Effect, Message, Now};
use bsm::console::route::Route;
use bsm::console::shell::state::State;
use bsm::console::shell::update::update;
use bsm::console::shell::view;
use bsm::console::theme::{Palette, Theme};
use bsm::engine::protocol::snapshot::Snapshot;
use crossterm::event::{KeyCode, KeyEvent, MouseButton, MouseEvent, MouseEventKind};
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

fn state(size: (u16, u16)) -> State {
    let mut state = State::new(outage(), Theme::default(), false, NOW_MS);
    state.context.zone = bsm::console::format::Zone::Utc;
    state.context.size = size;
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

fn press(state: &mut State, keys: &str) {
    for c in keys.chars() {
        key(state, KeyCode::Char(c));
    }
}

fn click(state: &mut State, column: u16, row: u16) {
    let event = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column,
        row,
        modifiers: crossterm::event::KeyModifiers::NONE,
    };
    update(state, Message::Mouse(event), now());
}

fn lines(state: &State) -> Vec<String> {
    let (width, height) = state.context.size;
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::draw(state, area, &mut buffer);
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect();
    (0..height).map(line).collect()
}

fn drawn(state: &State) -> String {
    lines(state).join("\n")
}

/// The title of the panel that is marked.
fn focused(state: &State) -> String {
    let sign = if state.context.theme.ascii {
        "+>"
    } else {
        "┌▸"
    };
    let text = drawn(state);
    let at = text.find(sign).unwrap() + sign.len();
    let words: Vec<&str> = text[at..].split_whitespace().take(2).collect();
    words.join(" ")
}

fn subject(state: &State) -> Subject {
    state.top().subject(&state.context)
}

#[test]
fn overview_tab_takes_the_focus_through_all_panels_and_back() {
    let mut s = state((200, 50));
    assert!(focused(&s).starts_with("Runs"), "{}", drawn(&s));
    let mut seen = Vec::new();
    for _ in 0..10 {
        key(&mut s, KeyCode::Tab);
        seen.push(focused(&s));
    }
    let begins = |title: &str| seen.iter().any(|s| s.starts_with(title));
    for title in [
        "Calls/s",
        "Latency",
        "Cache",
        "Throughput",
        "Decisions",
        "Resources",
        "Breakers",
        "Alerts",
        "Live",
        "Runs",
    ] {
        assert!(begins(title), "{title} in {seen:?}");
    }
    assert!(seen[9].starts_with("Runs"), "round: {seen:?}");
    key(&mut s, KeyCode::BackTab);
    assert!(focused(&s).starts_with("Live"), "{}", focused(&s));
    assert_eq!(s.routes().len(), 1, "it is still the Overview");
}

#[test]
fn overview_zoom_shows_the_focused_panel_alone_and_z_or_esc_all_again() {
    for size in [(80, 24), (120, 40), (200, 50)] {
        let mut s = state(size);
        press(&mut s, "z");
        let alone = drawn(&s);
        assert_eq!(alone.matches('┌').count(), 1, "{alone}");
        assert!(alone.contains("┌ Runs"), "{alone}");
        assert!(alone.contains("DOWN"), "the sentence stays\n{alone}");
        // A panel that has no room on a small terminal is reached while one is alone.
        key(&mut s, KeyCode::Tab);
        let charts = drawn(&s);
        assert!(charts.contains("┌ Calls/s"), "{charts}");
        assert!(
            lines(&s)[usize::from(size.1) - 2].starts_with('└'),
            "{charts}"
        );
        key(&mut s, KeyCode::Esc);
        assert!(drawn(&s).matches('┌').count() > 1, "{}", drawn(&s));
        press(&mut s, "zz");
        assert!(drawn(&s).matches('┌').count() > 1, "{}", drawn(&s));
    }
}

#[test]
fn overview_keys_act_on_the_provider_while_its_panel_has_the_focus() {
    let mut s = state((120, 40));
    let is_run = |s: &State| matches!(subject(s), Subject::Run(_));
    assert!(is_run(&s));
    while !focused(&s).starts_with("Breakers") {
        key(&mut s, KeyCode::Tab);
    }
    let first = subject(&s);
    assert!(matches!(first, Subject::Provider(_)), "{first:?}");
    press(&mut s, "j");
    let Subject::Provider(second) = subject(&s) else {
        unreachable!("a provider is selected")
    };
    assert_ne!(first, Subject::Provider(second.clone()));
    press(&mut s, "v");
    assert!(
        drawn(&s).contains("the runs have not the focus"),
        "{}",
        drawn(&s)
    );
    press(&mut s, "x");
    assert!(
        s.dialogs().is_empty(),
        "no run is cancelled that is not in focus"
    );
    key(&mut s, KeyCode::Enter);
    let provider = Some(second);
    assert_eq!(*s.routes()[1], Route::Calls { provider });
}

#[test]
fn overview_enter_on_a_figure_leads_to_its_screen() {
    for (title, there) in [
        ("Calls/s", "trends"),
        ("Cache", "Caches, since start"),
        ("Resources", "storage"),
        ("Alerts", "┌ Alerts"),
    ] {
        let mut s = state((120, 40));
        while !focused(&s).starts_with(title) {
            key(&mut s, KeyCode::Tab);
        }
        key(&mut s, KeyCode::Enter);
        assert!(drawn(&s).contains(there), "{title}\n{}", drawn(&s));
    }
}

#[test]
fn overview_click_focuses_a_panel_and_a_second_one_opens_it() {
    let mut s = state((120, 40));
    let row = lines(&s)
        .iter()
        .position(|l| l.contains(" Cache (responses)"));
    let row = row.unwrap() as u16 + 1;
    click(&mut s, 5, row);
    assert!(focused(&s).starts_with("Cache"), "{}", focused(&s));
    assert_eq!(s.routes().len(), 1);
    click(&mut s, 5, row);
    assert!(drawn(&s).contains("Caches, since start"), "{}", drawn(&s));
}

#[test]
fn focused_panel_without_room_gives_the_focus_back_to_the_runs() {
    let mut s = state((200, 50));
    key(&mut s, KeyCode::Tab);
    assert!(focused(&s).starts_with("Calls/s"));
    update(&mut s, Message::Resize(80, 24), now());
    assert!(focused(&s).starts_with("Runs"), "{}", drawn(&s));
    assert!(matches!(subject(&s), Subject::Run(_)));
}

#[test]
fn focus_is_seen_without_colour_and_without_unicode() {
    let mut s = state((120, 40));
    s.context.theme = Theme {
        color: false,
        ascii: true,
        palette: Palette::Mono,
    };
    assert!(focused(&s).starts_with("Runs"), "{}", drawn(&s));
}

#[test]
fn screens_of_several_panels_have_a_focus_and_a_zoom() {
    for screen in ["3", "6", "t", "u"] {
        let mut s = state((120, 40));
        press(&mut s, screen);
        if screen == "t" || screen == "u" {
            continue; // their panels come with the engine's answer
        }
        let before = focused(&s);
        key(&mut s, KeyCode::Tab);
        assert_ne!(focused(&s), before, "{}", drawn(&s));
        let all = drawn(&s).matches('┌').count();
        press(&mut s, "z");
        let alone = drawn(&s);
        assert_eq!(alone.matches('┌').count(), 1, "{alone}");
        press(&mut s, "z");
        assert_eq!(drawn(&s).matches('┌').count(), all);
    }
}

#[test]
fn screens_of_one_panel_offer_no_zoom_and_say_why_it_does_nothing() {
    for screen in ["2", "4", "7", "8"] {
        let mut s = state((200, 50));
        press(&mut s, screen);
        let text = drawn(&s);
        let hints = text.lines().last().unwrap();
        assert!(!hints.contains("zoom"), "{hints}");
        press(&mut s, "z");
        assert!(
            drawn(&s).contains("there is only one panel here"),
            "{}",
            drawn(&s)
        );
        let at = s.screen();
        press(&mut s, "?");
        let help = drawn(&s);
        let here = help.split("All keys").next().unwrap();
        assert!(
            !here.contains("zoom") && !here.contains("focus-next"),
            "{help}"
        );
        press(&mut s, "?");
        assert_eq!(s.screen(), at);
        key(&mut s, KeyCode::Tab);
        assert_ne!(s.screen(), at, "Tab is the next screen");
    }
}

#[test]
fn help_lists_the_keys_of_the_screen_first_in_groups_and_all_keys_after() {
    let mut s = state((120, 60));
    press(&mut s, "2?");
    assert_eq!(s.dialogs(), [DialogKind::Help]);
    let text = drawn(&s);
    let at = |word: &str| {
        text.find(word)
            .unwrap_or_else(|| unreachable!("{word}\n{text}"))
    };
    assert!(at("On this screen: Runs") < at("Open and read"), "{text}");
    assert!(at("Open and read") < at("describe"), "{text}");
    assert!(at("Lists and lines") < at("mark-all"), "{text}");
    assert!(at("mark-all") < at("All keys"), "{text}");
    let here = text.split("All keys").next().unwrap().to_owned();
    for other in ["isolate-breaker", "acknowledge", "find-next", "theme"] {
        assert!(!here.contains(other), "{other}\n{here}");
    }
    press(&mut s, "?3?");
    let text = drawn(&s);
    let here = text.split("All keys").next().unwrap();
    assert!(
        here.contains("isolate-breaker") && here.contains("zoom"),
        "{here}"
    );
    assert!(!here.contains("mark-all"), "{here}");
}
