//! Long lists: a million log lines in the files, a hundred thousand ended runs in the journal, asked for and
//! filtered as the console asks; and what its own frame then costs. `cargo bench --bench lists`
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::Write as _;
use std::time::{Duration, Instant};

use bsm::console::message::{Message, Now};
use bsm::console::shell::state::State;
use bsm::console::shell::{update::update, view};
use bsm::console::theme::Theme;
use bsm::engine::Operator as _;
use bsm::engine::protocol::query::{Answer, Query};
use bsm::journal::{Finish, NewRun, RunStatus};
use bsm::telemetry::log_read::{LogFilter, read};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use support::*;

const LINES: usize = 1_000_000;
const RUNS: i64 = 100_000;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn main() {
    logs();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(runs());
}

fn logs() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("bsm.2026-11-21.jsonl")).unwrap();
    let mut out = std::io::BufWriter::new(file);
    for n in 0..LINES {
        let level = if n % 500 == 0 { "WARN" } else { "INFO" };
        writeln!(
            out,
            r#"{{"timestamp":"2026-11-21T14:02:11.000Z","level":"{level}","target":"bsm::engine::runs::step","message":"step ended","run":"job_{}_k3f9qa","corr":"{n:016x}","agent":"agent-{}","ms":{}}}"#,
            n / 40,
            n % 7,
            n % 3_000
        )
        .unwrap();
    }
    out.flush().unwrap();
    for (name, terms) in [
        ("the newest thousand", ""),
        ("level:warn", "level:warn"),
        ("ms>2990 agent:agent-3", "ms>2990 agent:agent-3"),
        ("a word that is nowhere", "nosuchword"),
    ] {
        let filter = LogFilter {
            terms: terms.into(),
            limit: 1_000,
            ..LogFilter::default()
        };
        let times = (0..5)
            .map(|_| {
                let began = Instant::now();
                read(dir.path(), &filter).unwrap();
                began.elapsed()
            })
            .collect();
        println!(
            "{LINES} log lines, {name}: {:?} (median of 5, off the console's thread)",
            median(times)
        );
    }
}

async fn runs() {
    let state = state_folder();
    let handle = Start::new(state.path()).go().await;
    finish(&handle, trigger("pull_request.opened", DOCS)).await;
    let brief = match handle
        .query(Query::Runs {
            limit: 1,
            filter: String::new(),
        })
        .await
    {
        Ok(Answer::Runs { runs }) => runs[0].clone(),
        other => panic!("{other:?}"),
    };
    let journal = handle.journal().clone();
    let mut written = Vec::new();
    for n in 0..RUNS {
        let id = format!("job_{}_{n:06}", brief.created_ms + n);
        let mut line = brief.clone();
        line.id.clone_from(&id);
        line.duration_ms = Some(n.unsigned_abs() % 9_000);
        let new = NewRun {
            id: id.clone(),
            created_ms: brief.created_ms + n,
            event: "pull_request.opened".into(),
            requested_event: "pull_request.opened".into(),
            correlation: "0123456789abcdef".into(),
            actor: "bench".into(),
            idempotency: None,
            plan: "{}".into(),
            input: "{}".into(),
            diff: String::new(),
            report_name: "none.md".into(),
        };
        let end = Finish {
            id,
            status: RunStatus::Finished,
            at_ms: brief.created_ms + n + 1,
            result: "{}".into(),
            brief: serde_json::to_string(&line).unwrap(),
            action: "approve_and_merge".into(),
            report: String::new(),
            publications: Vec::new(),
            approval: None,
            memory: None,
        };
        let journal = journal.clone();
        written.push(tokio::spawn(async move {
            journal.intake(new).await.unwrap();
            journal.finish(end).await.unwrap();
        }));
        if written.len() == 2_000 {
            for task in written.drain(..) {
                task.await.unwrap();
            }
        }
    }
    for task in written {
        task.await.unwrap();
    }
    let mut shown = Vec::new();
    for (name, filter) in [
        ("the newest two thousand", ""),
        ("took>8999 (few)", "took>8998ms"),
        ("a word that is nowhere", "nosuchword"),
    ] {
        let mut times = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            let query = Query::Runs {
                limit: 2_000,
                filter: filter.into(),
            };
            let Ok(Answer::Runs { runs }) = handle.query(query).await else {
                panic!("no runs");
            };
            times.push(began.elapsed());
            if filter.is_empty() {
                shown = runs;
            }
        }
        println!(
            "{RUNS} ended runs, {name}: {:?} (median of 5, off the console's thread)",
            median(times)
        );
    }
    frames(&handle, shown);
}

/// A key that scrolls and a letter typed into the filter, with the list full: update and draw.
fn frames(handle: &bsm::engine::Handle, runs: Vec<bsm::engine::protocol::snapshot::RunSummary>) {
    let mut state = State::new(
        handle.snapshots().borrow().clone(),
        Theme::default(),
        false,
        0,
    );
    state.context.size = (200, 50);
    let query = Query::Runs {
        limit: 2_000,
        filter: String::new(),
    };
    let now = || Now {
        at: Instant::now(),
        wall_ms: 0,
    };
    let count = runs.len();
    update(
        &mut state,
        Message::Key(KeyEvent::from(KeyCode::Char('2'))),
        now(),
    );
    update(
        &mut state,
        Message::Answered(query, Ok(Answer::Runs { runs })),
        now(),
    );
    let area = Rect::new(0, 0, 200, 50);
    let took = |state: &mut State, code: KeyCode| {
        let began = Instant::now();
        update(
            state,
            Message::Key(KeyEvent::new(code, KeyModifiers::NONE)),
            now(),
        );
        let mut buffer = Buffer::empty(area);
        view::draw(state, area, &mut buffer);
        began.elapsed()
    };
    let scroll = (0..200)
        .map(|_| took(&mut state, KeyCode::PageDown))
        .collect();
    println!(
        "{count} runs on the list, scrolling at 200x50: {:?} a frame (median of 200)",
        median(scroll)
    );
    took(&mut state, KeyCode::Char('/'));
    let typed = "agent:security took>1s -block"
        .chars()
        .map(|c| took(&mut state, KeyCode::Char(c)))
        .collect();
    println!(
        "the same, a letter typed into the filter: {:?} a frame (median)",
        median(typed)
    );
}
