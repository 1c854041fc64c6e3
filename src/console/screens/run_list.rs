//! Runs as a list: how old, what they are about, what was decided and why, what they waited for and cost. The
//! Overview and the Runs screen show it.

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::run_columns::{self, COLUMNS, RunColumns};
use crate::console::action::Action as Key;
use crate::console::component::{Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{age, secs, so_many};
use crate::console::list_habits::ListHabit;
use crate::console::message::Effect;
use crate::console::overlays::choice::Choice;
use crate::console::overlays::columns::ColumnChoice;
use crate::console::route::Route;
use crate::console::theme::{Mark, Role};
use crate::console::widgets::list::ListState;
use crate::console::widgets::table::{self, Cell, Hit, SortKey, one_line, with_head};
use crate::console::widgets::text::{put, row};
use crate::engine::protocol::command::Command;
use crate::engine::protocol::run::{Action, Evidence, RunState};
use crate::engine::protocol::snapshot::RunSummary;
use crate::filter::Row as _;
use crate::text::Untrusted;

/// The list: selection, filter, order and marks, and ended runs as last read from the journal, newest first,
/// which are more than the picture holds.
#[derive(Debug, Clone, Default)]
pub struct RunList {
    /// Selection, filter, order, marks.
    pub list: ListState,
    /// From the journal.
    pub older: Vec<RunSummary>,
    /// Which columns are shown.
    columns: RunColumns,
}

impl RunList {
    /// Runs that pass the filter, in the chosen order; newest first where none is chosen.
    pub fn shown<'a>(&'a self, cx: &'a Context) -> Vec<&'a RunSummary> {
        listed(&self.list, &self.older, cx)
    }

    /// The selected row.
    pub fn selected(&self, runs: &[&RunSummary]) -> usize {
        self.list.selected(runs.len(), |n| &runs[n].id)
    }

    /// The selected run.
    pub fn subject(&self, cx: &Context) -> Subject {
        let runs = self.shown(cx);
        let run = runs.get(self.selected(&runs));
        run.map_or(Subject::None, |r| Subject::Run(r.id.clone()))
    }

    /// Marked runs that are listed, in the list's order: what is not seen is not acted on.
    pub fn marked<'a>(&'a self, cx: &'a Context) -> Vec<&'a RunSummary> {
        let mut runs = self.shown(cx);
        runs.retain(|r| self.list.marked.contains(&r.id));
        runs
    }

    /// How many are marked, for the panel's border; those that the filter hides are told apart.
    pub fn marked_note(&self, cx: &Context) -> String {
        let all = self.list.marked.len();
        if all == 0 {
            return String::new();
        }
        let listed = self.marked(cx).len();
        let keys = cx.keys_of(&[(Key::Cancel, "cancel"), (Key::RunAgain, "again")]);
        match all - listed {
            0 => format!("{all} marked: {keys}  "),
            hidden => format!("{listed} marked, +{hidden} not listed: {keys}  "),
        }
    }

    /// How the list stands, for the next start.
    pub fn habit(&self) -> ListHabit {
        let habit = table::habit(&COLUMNS, &self.list);
        self.columns.remember(habit)
    }

    /// The list as it was left the last time.
    pub fn adopt(&mut self, habit: &ListHabit) {
        table::adopt(&COLUMNS, &mut self.list, habit);
        self.columns = RunColumns::of(habit);
    }

    /// Shows these columns.
    pub fn set_columns(&mut self, heads: &[&'static str]) {
        self.columns.choose(heads);
    }

    /// What a panel's border says of the columns.
    pub fn columns_note(&self, cx: &Context) -> String {
        self.columns.note(cx)
    }

    /// One question for all marked runs that have not ended.
    fn cancel_marked(&self, cx: &Context) -> Vec<Intent> {
        let marked = self.marked(cx);
        let live: Vec<&&RunSummary> = marked.iter().filter(|r| r.is_live()).collect();
        if live.is_empty() {
            return vec![Intent::warn(
                "no marked run that is listed is live; there is nothing to cancel",
            )];
        }
        let queued = live.iter().filter(|r| r.state == RunState::Queued).count();
        let ended = match marked.len() - live.len() {
            0 => String::new(),
            n => format!(
                " {} ended already and stay as they are.",
                so_many(n as u64, "marked run", "marked runs")
            ),
        };
        let body = format!(
            "{queued} queued, {} running. Steps at work stop; those that ended are kept. Each decision will be \
             manual_review.{ended}",
            live.len() - queued,
        );
        let commands = live
            .iter()
            .map(|r| Command::CancelRun { run: r.id.clone() });
        let effect = Effect::SendAll(commands.collect());
        let label = format!("cancel {}", so_many(live.len() as u64, "run", "runs"));
        let choice = Choice::new("Cancel marked runs", body, vec![(label, effect)]);
        vec![Intent::Open(Box::new(choice))]
    }

    /// One question for all marked runs, with what they cost the last time.
    fn rerun_marked(&self, cx: &Context) -> Vec<Intent> {
        let marked = self.marked(cx);
        if marked.is_empty() {
            return vec![Intent::warn(
                "no marked run is listed; Esc clears the marks",
            )];
        }
        let known: Vec<u64> = marked.iter().filter_map(|r| r.micro_usd).collect();
        let cost = if known.is_empty() {
            "What they cost is unknown.".to_owned()
        } else {
            let simulated = marked.iter().any(|r| r.simulated && r.micro_usd.is_some());
            let (about, word) = if simulated {
                ("~", ", some of it simulated")
            } else {
                ("", "")
            };
            let unknown = match marked.len() - known.len() {
                0 => String::new(),
                n => format!(", {n} unknown"),
            };
            let usd = known.iter().sum::<u64>() as f64 / 1e6;
            format!("The last time they cost {about}${usd:.3}{word}{unknown}.")
        };
        let body = format!("{cost} Each starts as a new run, with what it looked at.");
        let commands = marked
            .iter()
            .map(|r| Command::RunAgain { run: r.id.clone() });
        let effect = Effect::SendAll(commands.collect());
        let label = format!(
            "start {} again",
            so_many(marked.len() as u64, "run", "runs")
        );
        let choice = Choice::new("Run marked runs again", body, vec![(label, effect)]);
        vec![Intent::Open(Box::new(choice))]
    }

    /// Moves, opens, marks, sorts; `None` where the action means something else.
    pub fn on_action(&mut self, action: Key, cx: &Context) -> Option<Vec<Intent>> {
        match action {
            Key::Open => {
                return Some(match self.subject(cx) {
                    Subject::Run(id) => vec![Intent::Navigate(Route::Run { id })],
                    // Nothing to open yet: the empty list says that Enter starts the first run.
                    _ if cx.snapshot().runs.is_empty() => vec![Intent::Act(Key::Trigger)],
                    _ => Vec::new(),
                });
            }
            Key::Mark => {
                if let Subject::Run(id) = self.subject(cx) {
                    self.list.toggle_mark(&id);
                    return self.on_action(Key::Down, cx);
                }
                return Some(Vec::new());
            }
            Key::MarkAll => {
                let all: Vec<String> = self.shown(cx).iter().map(|r| r.id.clone()).collect();
                if all.iter().all(|id| self.list.marked.contains(id)) {
                    self.list.marked.clear();
                } else {
                    self.list.marked.extend(all);
                }
                return Some(Vec::new());
            }
            Key::Cancel if !self.list.marked.is_empty() => return Some(self.cancel_marked(cx)),
            Key::RunAgain if !self.list.marked.is_empty() => return Some(self.rerun_marked(cx)),
            Key::Back if !self.list.marked.is_empty() => {
                self.list.marked.clear();
                return Some(Vec::new());
            }
            _ => {}
        }
        if self.columns.on_action(action, cx) {
            return Some(Vec::new());
        }
        if action == Key::Columns {
            let dialog = ColumnChoice::new(COLUMNS.map(|c| c.head), self.columns.chosen());
            return Some(vec![Intent::Open(Box::new(dialog))]);
        }
        if self.list.sorts(action, COLUMNS.len()) {
            // A column that is not shown sorts nothing that one could see.
            let shown = self.columns.columns();
            let turns = action == Key::SortReverse;
            while !turns && self.list.sort.is_some_and(|s| shown[s.column].hidden) {
                self.list.sorts(action, COLUMNS.len());
            }
            return Some(Vec::new());
        }
        let runs = listed(&self.list, &self.older, cx);
        let moves = self.list.travel(action, runs.len(), |n| &runs[n].id);
        moves.then(Vec::new)
    }

    /// A click in the table that was drawn in `area`: on a head it sorts, on a row it selects, and opens what was
    /// selected already.
    pub fn on_click(&mut self, at: (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let runs = self.shown(cx);
        let before = self.selected(&runs);
        match table::hit(&self.columns.columns(), at, Some(before), runs.len(), area) {
            Some(Hit::Head(column)) => self.list.sort_by(column),
            Some(Hit::Row(n)) => {
                let id = runs[n].id.clone();
                if n == before {
                    return vec![Intent::Navigate(Route::Run { id })];
                }
                self.list.select(n, &id);
            }
            None => {}
        }
        Vec::new()
    }

    /// The list as a table, its head first.
    pub fn table(&self, cx: &Context) -> Vec<Vec<String>> {
        let head = [
            "run",
            "event",
            "repository",
            "pull",
            "title",
            "author",
            "state",
            "action",
            "why",
            "durationMs",
            "waitedMs",
            "modelMs",
            "microUsd",
            "reason",
        ];
        let rows = self.shown(cx).into_iter().map(|r| {
            let text = |t: Option<&Untrusted>| t.map_or("", |t| t.raw()).to_owned();
            let number = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
            vec![
                r.id.clone(),
                r.event.raw().to_owned(),
                r.field("repo").concat(),
                number(r.number("pr")),
                text(r.title.as_ref()),
                r.author().unwrap_or_default(),
                r.field("state").concat(),
                r.action.map_or("", |a| a.as_str()).to_owned(),
                text(r.why.as_ref()),
                number(r.duration_ms),
                number(r.waited_ms),
                number(r.model_ms),
                number(r.micro_usd),
                text(r.reason.as_ref()),
            ]
        });
        with_head(&head, rows)
    }

    /// The selected row as one line of text.
    pub fn copied(&self, cx: &Context) -> Option<String> {
        let runs = self.shown(cx);
        let at = self.selected(&runs);
        one_line(self.table(cx).get(at + 1)?)
    }

    /// Draws `runs`, which are those that are shown.
    pub fn draw(&self, cx: &Context, runs: &[&RunSummary], area: Rect, buffer: &mut Buffer) {
        if runs.is_empty() {
            return self.draw_empty(cx, area, buffer);
        }
        let source = table::Source {
            total: runs.len(),
            id: &|n| &runs[n].id,
            cells: &|n| cells(cx, runs[n]),
        };
        let selected = Some(self.selected(runs));
        let columns = self.columns.columns();
        table::draw(cx, &columns, &self.list, selected, &source, area, buffer);
    }

    fn draw_empty(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let dim = cx.theme.style(Role::Dim);
        let snapshot = cx.snapshot();
        let filtered = !snapshot.runs.is_empty() || !self.list.filter.is_empty();
        let words = match self.list.unknown_field(&snapshot.runs, "run") {
            Some(text) => format!("{text} Esc clears the filter."),
            _ if filtered => "No run passes the filter. Esc clears it.".to_owned(),
            _ => "No runs yet. Press r, then Enter: review the built-in sample diff.".to_owned(),
        };
        put(buffer, row(area, 0), &words, dim);
        if !filtered && snapshot.ready_providers().is_empty() && !snapshot.mode.simulated {
            put(
                buffer,
                row(area, 1),
                "Offline: rules decide. Set OPENAI_API_KEY to add models, or start with --simulate.",
                dim,
            );
        }
    }
}

/// Runs that pass the list's filter, in its order.
fn listed<'a>(list: &ListState, older: &'a [RunSummary], cx: &'a Context) -> Vec<&'a RunSummary> {
    let filter = list.terms();
    let picture = &cx.snapshot().runs;
    let mut runs: Vec<&RunSummary> = picture.iter().filter(|r| filter.passes(*r)).collect();
    if cx.frozen.is_none() {
        let known: BTreeSet<&str> = picture.iter().map(|r| r.id.as_str()).collect();
        let older = older.iter().filter(|r| !known.contains(r.id.as_str()));
        runs.extend(older.filter(|r| filter.passes(*r)));
        // The picture holds every live run, however old; the journal has the ended ones between them.
        runs.sort_by_key(|r| std::cmp::Reverse(r.created_ms));
    }
    table::sort_rows(&mut runs, list.sort, |r, column| sort_key(r, column));
    runs
}

/// What a run is sorted by in a column; what is unknown is smallest.
fn sort_key(r: &RunSummary, column: usize) -> SortKey {
    let known = |n: Option<u64>| SortKey::figure(n.map(|n| n as f64));
    match COLUMNS[column].head {
        "AGE" => SortKey::figure(Some(-(r.created_ms as f64))),
        "AGENTS" => SortKey::count(r.steps.len() as u64),
        "WAIT/MODEL" => known(r.waited_ms),
        "COST" => known(r.micro_usd),
        "REPO#PR" => SortKey::literal(r.place().unwrap_or_default()),
        "TITLE" => SortKey::literal(title(r)),
        "AUTHOR" => SortKey::literal(r.author().unwrap_or_default()),
        "DECISION" => {
            let action = r.action.map_or("", |a| a.as_str());
            SortKey::literal(format!("{:?} {action}", r.state))
        }
        "WHY" => SortKey::literal(r.why.as_ref().map_or_else(String::new, |w| w.line(60))),
        "EVENT" => SortKey::literal(r.event.line(40)),
        "BRANCH" | "COMMIT" | "EVIDENCE" | "CAUSE" => {
            let cell = run_columns::more(r)
                .into_iter()
                .nth(column.saturating_sub(11));
            SortKey::literal(cell.unwrap_or_default())
        }
        _ => SortKey::literal(r.id.clone()),
    }
}

/// The mark of a run.
pub fn mark_of(run_state: RunState, action: Option<Action>) -> Mark {
    match (run_state, action) {
        (RunState::Running, _) => Mark::Live,
        (RunState::Queued, _) => Mark::Waiting,
        (_, Some(Action::ApproveAndMerge | Action::Pass)) => Mark::Passed,
        (_, Some(Action::BlockPr | Action::RequestChanges)) => Mark::Failed,
        (_, Some(Action::ManualReview) | None) => Mark::Person,
    }
}

fn title(run: &RunSummary) -> String {
    let own = run.identity.as_ref().and_then(|i| i.title.as_ref());
    own.or(run.title.as_ref())
        .map_or_else(String::new, |t| t.line(120))
}

/// What was decided in a word, or how far it is.
fn decision(cx: &Context, run: &RunSummary) -> (String, Role) {
    let (glyph, role) = cx.theme.mark(mark_of(run.state, run.action));
    // What only the simulator said is not good news.
    let role = if run.simulated && role == Role::Good {
        Role::Dim
    } else {
        role
    };
    let word = match (run.state, run.action) {
        (RunState::Queued, _) => "queued".to_owned(),
        (RunState::Running, _) => {
            let (over, all) = run.progress();
            format!("{over} of {all}")
        }
        (_, Some(Action::ApproveAndMerge)) => "approve".to_owned(),
        (_, Some(Action::Pass)) => "pass".to_owned(),
        (_, Some(Action::ManualReview)) => "manual".to_owned(),
        (_, Some(Action::RequestChanges)) => "changes".to_owned(),
        (_, Some(Action::BlockPr)) => "block".to_owned(),
        (_, None) => "failed".to_owned(),
    };
    (format!("{glyph} {word}"), role)
}

/// A sign for each agent.
fn agents(cx: &Context, run: &RunSummary) -> String {
    let all: Vec<char> = run
        .steps
        .iter()
        .map(|s| s.mark().sign(cx.theme.ascii))
        .collect();
    if all.len() > 8 {
        return format!("{}+{}", String::from_iter(&all[..5]), all.len() - 5);
    }
    all.into_iter().collect()
}

/// How old a run is. Of one that has ended it moves in steps: a list at rest must not be written every second.
fn calm_age(run: &RunSummary, now_ms: i64) -> String {
    const STEP_MS: i64 = 10_000;
    match now_ms - run.created_ms {
        ms if run.is_live() => age(ms),
        ms if ms < STEP_MS => "<10s".to_owned(),
        ms => age(ms / STEP_MS * STEP_MS),
    }
}

/// A run's cells.
fn cells(cx: &Context, run: &RunSummary) -> Vec<Cell> {
    let dash = cx.theme.signs().1;
    let now_ms = cx.clock_ms();
    let (decision, role) = decision(cx, run);
    let unknown = |text: String| {
        if text.is_empty() {
            Cell::dim(dash)
        } else {
            Cell::plain(text)
        }
    };
    let time = |ms: Option<u64>| {
        ms.map_or_else(
            || dash.to_owned(),
            |ms| secs(i64::try_from(ms).unwrap_or(i64::MAX)),
        )
    };
    let reason = || run.reason.as_ref().map(|r| r.line(60));
    let why = run.why_at(now_ms).or_else(reason).unwrap_or_default();
    let why = if run.simulated && run.finished_ms.is_some() {
        format!("simulated: {why}")
    } else {
        why
    };
    let full = run.evidence == Some(Evidence::Full) && run.action.is_some();
    let why_role = if run.is_live() || full {
        Role::Text
    } else {
        Role::Warn
    };
    let cost = match run.micro_usd {
        Some(micro) if run.simulated => format!("~${:.3}", micro as f64 / 1e6),
        Some(micro) => format!("${:.3}", micro as f64 / 1e6),
        None => dash.to_owned(),
    };
    let event = run.event.line(40);
    let event = event.rsplit('.').next().unwrap_or_default().to_owned();
    let mut cells = vec![
        Cell::dim(calm_age(run, now_ms)),
        unknown(run.place().unwrap_or_default()),
        unknown(title(run)),
        unknown(run.author().unwrap_or_default()),
        Cell::new(decision, role),
        Cell::new(why, why_role),
        Cell::plain(agents(cx, run)),
        Cell::dim(format!(
            "{} / {}",
            time(run.waited_at(now_ms)),
            time(run.model_ms)
        )),
        Cell::dim(cost),
        Cell::dim(event),
        Cell::dim(crate::console::format::short_id(&run.id)),
    ];
    cells.extend(run_columns::more(run).map(unknown));
    cells
}
