//! Pictures of the console in the documents are what the program draws. `BSM_UPDATE_DOCS=1 cargo test` writes them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bsm::console::format::Zone;
use bsm::console::message::{Effect, Message, Now};
use bsm::console::shell::state::State;
use bsm::console::shell::update::update;
use bsm::console::shell::view;
use bsm::console::theme::Theme;
use bsm::engine::protocol::query::Query;
use bsm::engine::protocol::snapshot::Snapshot;
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use crate::console_answers::answer;
use crate::console_scenes::{NAMES, scene};
use crate::impact::{NOW_MS, rested};

fn drawn(snapshot: &Snapshot, key: char, size: (u16, u16)) -> Buffer {
    drawn_with(snapshot, key, size, "")
}

/// The screen of a key with what the engine of this name answers.
fn drawn_with(snapshot: &Snapshot, key: char, (width, height): (u16, u16), name: &str) -> Buffer {
    let live = Arc::new(snapshot.clone());
    let mut state = State::new(live, Theme::default(), false, NOW_MS);
    state.context.zone = Zone::Utc;
    state.context.size = (width, height);
    let now = Now {
        at: Instant::now(),
        wall_ms: NOW_MS,
    };
    let press = |state: &mut State, key: char| {
        let code = if key == '\n' {
            KeyCode::Enter
        } else {
            KeyCode::Char(key)
        };
        update(state, Message::Key(KeyEvent::from(code)), now)
    };
    let first = Query::Workspace;
    let mut asked = press(&mut state, key);
    if key == '6' && name != "idle" {
        // The memory shows what is like a text.
        for key in "/password = load\n".chars() {
            asked.extend(press(&mut state, key));
        }
    }
    let queries = asked.into_iter().filter_map(|effect| match effect {
        Effect::Query(query) => Some(query),
        _ => None,
    });
    for query in std::iter::once(first).chain(queries) {
        if let Some(answer) = answer(name, &query, snapshot) {
            update(&mut state, Message::Answered(query, Ok(answer)), now);
        }
    }
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::draw(&state, area, &mut buffer);
    buffer
}

/// Compares a document with what is drawn now, or writes it.
fn check(file: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let is = std::fs::read_to_string(&path).unwrap_or_default();
    if is == wanted {
        return;
    }
    if std::env::var_os("BSM_UPDATE_DOCS").is_some() {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    panic!("{file} is old: run BSM_UPDATE_DOCS=1 cargo test --test it console_pictures");
}

fn text(buffer: &Buffer) -> String {
    bsm::console::export::text(buffer)
}

/// Screens that hold what the engine answers, and the engines at which they differ.
const OTHERS: &[(char, &str, &[&str])] = &[
    ('5', "Agents", &["healthy", "outage"]),
    ('6', "Memory", &["healthy", "idle"]),
    ('7', "Logs", &["healthy", "outage"]),
    ('8', "Inbox", &["healthy", "idle"]),
    ('t', "Trends", &["healthy", "outage", "idle"]),
    ('a', "Alerts", &["healthy", "outage", "idle"]),
    ('u', "Storage", &["healthy"]),
];

/// A screen at three sizes.
fn picture(out: &mut String, title: &str, name: &str, snapshot: &Snapshot, key: char) {
    write!(out, "\n## {title}, {name}\n").unwrap();
    for (width, height) in [(80, 24), (120, 40), (200, 50)] {
        let buffer = drawn_with(snapshot, key, (width, height), name);
        let screen = text(&buffer);
        write!(out, "\n{width}×{height}\n\n```text\n{screen}```\n").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn screens_in_the_documents_are_what_the_program_draws() {
    let rested = rested().await;
    let mut out = String::from(
        "# Screens of the console\n\nMade by `cargo test`, do not edit: what the program draws for four made-up \
         engines, at three sizes.\n[console.md](console.md) says how to use them.\n",
    );
    for name in NAMES {
        picture(&mut out, "Overview", name, &scene(name, &rested), '1');
    }
    for (key, title) in [('2', "Runs"), ('3', "Resilience"), ('4', "Caches")] {
        for name in NAMES {
            picture(&mut out, title, name, &scene(name, &rested), key);
        }
    }
    for (key, title, names) in OTHERS {
        for name in *names {
            let mut snapshot = scene(name, &rested);
            if *key == '8' && *name != "idle" {
                (snapshot.github.approvals, snapshot.github.outbox.waiting) = (1, 1);
            }
            picture(&mut out, title, name, &snapshot, *key);
        }
    }
    check("docs/console-screens.md", &out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colour_pictures_are_what_the_program_draws() {
    let rested = rested().await;
    for name in ["healthy", "outage"] {
        let buffer = drawn(&scene(name, &rested), '1', (120, 40));
        check(&format!("assets/overview-{name}.svg"), &svg(&buffer));
    }
}

/// Columns and rows of a picture, pixels.
const CELL: (usize, usize) = (9, 18);

/// A screen as a picture: a rectangle for each run of cells on another ground, a text for each run of one style.
fn svg(buffer: &Buffer) -> String {
    let (width, height) = (
        usize::from(buffer.area.width),
        usize::from(buffer.area.height),
    );
    let (w, h) = (width * CELL.0 + 16, height * CELL.1 + 16);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"15\">\n\
         <rect width=\"{w}\" height=\"{h}\" rx=\"8\" fill=\"#14171c\"/>\n"
    );
    for y in 0..buffer.area.height {
        let mut x = 0;
        while x < buffer.area.width {
            let from = x;
            let cell = &buffer[(x, y)];
            let style = (cell.fg, cell.modifier);
            let mut run = String::new();
            while x < buffer.area.width && (buffer[(x, y)].fg, buffer[(x, y)].modifier) == style {
                run.push_str(buffer[(x, y)].symbol());
                x += 1;
            }
            draw_run(&mut out, &run, (usize::from(from), usize::from(y)), style);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn draw_run(
    out: &mut String,
    run: &str,
    (x, y): (usize, usize),
    (color, modifier): (Color, Modifier),
) {
    let reversed = modifier.contains(Modifier::REVERSED);
    if run.trim().is_empty() && !reversed {
        return;
    }
    let color = match color {
        Color::Green => "#5fd787",
        Color::Yellow => "#e5c07b",
        Color::Red => "#ff6b6b",
        Color::Cyan => "#6cc7e6",
        _ if modifier.contains(Modifier::DIM) => "#7d8590",
        _ => "#d7dae0",
    };
    let (left, top) = (8 + x * CELL.0, 8 + y * CELL.1);
    let columns = run.chars().count() * CELL.0;
    if reversed {
        writeln!(
            out,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{columns}\" height=\"{}\" fill=\"{color}\"/>",
            CELL.1
        )
        .unwrap();
    }
    let fill = if reversed { "#14171c" } else { color };
    let weight = if modifier.contains(Modifier::BOLD) {
        " font-weight=\"bold\""
    } else {
        ""
    };
    let escaped = run
        .trim_end()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let shown = run.trim_end().chars().count() * CELL.0;
    if shown > 0 {
        writeln!(
            out,
            "<text xml:space=\"preserve\" x=\"{left}\" y=\"{}\" fill=\"{fill}\"{weight} textLength=\"{shown}\">{escaped}</text>",
            top + 14
        )
        .unwrap();
    }
}
