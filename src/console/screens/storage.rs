//! What takes how much of the disk, what its bound is, what goes next and when it is full at the present rate.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;

use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{age, compact, count};
use crate::console::theme::Role;
use crate::console::widgets::focus::{self, Focus};
use crate::console::widgets::list::ListState;
use crate::console::widgets::panel::{inside, panel_with_foot};
use crate::console::widgets::table::{
    self, Cell, Column, Hit, SortKey, Source, one_line, with_head,
};
use crate::console::widgets::text::{facts, put, row};
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::storage::{Bound, Full, Part, Usage, human_bytes, span_days};
use crate::text::clean_line;

/// The engine measures at most this often, milliseconds.
const EACH_MS: i64 = 30_000;
/// Bytes of a kibibyte, the unit of the columns.
const KIB: f64 = 1_024.0;

/// Columns of the table.
const COLUMNS: [Column; 9] = [
    Column::text("WHAT", 22, 1, 0),
    Column::figure("KiB", 11, 0),
    Column::figure("ITEMS", 7, 3),
    Column::figure("KiB/DAY", 9, 1),
    Column::text("FULL IN", 12, 0, 0),
    Column::text("BOUND", 22, 0, 2),
    Column::figure("OLDEST", 6, 4),
    Column::text("GOES NEXT", 20, 4, 5),
    Column::text("SETTINGS", 24, 2, 6),
];

/// The place.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    list: ListState,
    usage: Option<Box<Usage>>,
    asked_ms: i64,
    focus: Focus<Panel>,
}

/// The panels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Panel {
    /// All of it.
    Totals,
    /// Its parts.
    #[default]
    Parts,
}

impl Panel {
    const ALL: [Self; 2] = [Self::Totals, Self::Parts];
}

/// A part, and whether it lies within the journal's file.
#[derive(Clone, Copy)]
struct StoragePart<'a> {
    part: &'a Part,
    in_journal: bool,
}

impl StoragePart<'_> {
    fn name(&self) -> String {
        let name = clean_line(&self.part.name, 40);
        if self.in_journal {
            format!("journal: {name}")
        } else {
            name
        }
    }

    fn cells(&self, cx: &Context) -> Vec<Cell> {
        let part = self.part;
        let dash = cx.theme.signs().1;
        let known = |text: Option<String>| text.map_or(Cell::dim(dash), Cell::plain);
        let kib = |bytes: f64| count((bytes.max(0.0) / KIB).ceil() as u64);
        let full = match part.full {
            Full::Now => Cell::new("at its bound", Role::Warn),
            Full::Unknown | Full::NoBound => Cell::dim(dash),
            full => Cell::plain(full.words()),
        };
        let rate = part.bytes_per_day.map(kib);
        let settings = part.bound.as_ref().map(|b| b.settings.join(" "));
        let settings = settings.filter(|s| !s.is_empty());
        let next = part.next.as_ref().map(|next| clean_line(next, 120));
        let first = part.bound.as_ref().map(|b| &b.first_to_go);
        let first = first.filter(|f| !f.is_empty());
        let next = next.or_else(|| first.map(|f| format!("the first: {}", clean_line(f, 100))));
        vec![
            Cell::plain(self.name()),
            Cell::plain(kib(part.bytes as f64)),
            known(part.items.map(compact)),
            known(rate),
            full,
            known(part.bound.as_ref().map(Bound::summary)),
            known(part.oldest_ms.map(|at| age(cx.wall_ms - at))),
            known(next),
            known(settings.map(|s| clean_line(&s, 80))),
        ]
    }

    fn sort_key(&self, column: usize) -> SortKey {
        let part = self.part;
        match COLUMNS[column].head {
            "KiB" => SortKey::count(part.bytes),
            "ITEMS" => SortKey::figure(part.items.map(|n| n as f64)),
            "KiB/DAY" => SortKey::figure(part.bytes_per_day),
            "FULL IN" => SortKey::figure(match part.full {
                Full::Now => Some(0.0),
                Full::Days(days) => Some(days),
                Full::ByAge => Some(f64::INFINITY),
                Full::Unknown | Full::NoBound => None,
            }),
            "BOUND" => SortKey::text(&part.bound.as_ref().map_or_else(String::new, Bound::summary)),
            "OLDEST" => SortKey::figure(part.oldest_ms.map(|at| -(at as f64))),
            "GOES NEXT" => SortKey::text(part.next.as_deref().unwrap_or_default()),
            "SETTINGS" => {
                let settings = part.bound.as_ref().map(|b| b.settings.join(" "));
                SortKey::text(&settings.unwrap_or_default())
            }
            _ => SortKey::text(&self.name()),
        }
    }
}

impl Storage {
    fn read(&mut self, cx: &Context) -> Vec<Intent> {
        self.asked_ms = cx.wall_ms;
        vec![Intent::ask(Query::Storage)]
    }

    fn shown(&self) -> Vec<StoragePart<'_>> {
        let Some(usage) = &self.usage else {
            return Vec::new();
        };
        let of = |part, in_journal| StoragePart { part, in_journal };
        let files = usage.files.iter().map(|part| of(part, false));
        let journal = usage.journal.iter().map(|part| of(part, true));
        let mut all: Vec<StoragePart<'_>> = files.chain(journal).collect();
        table::sort_rows(&mut all, self.list.sort, StoragePart::sort_key);
        all
    }

    fn selected(&self, rows: &[StoragePart<'_>]) -> usize {
        let ids: Vec<String> = rows.iter().map(StoragePart::name).collect();
        self.list.selected(ids.len(), |n| &ids[n])
    }
}

impl Component for Storage {
    fn title(&self, _cx: &Context) -> String {
        "storage".into()
    }

    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        self.read(cx)
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        if self.focus.on_action(action, &Panel::ALL, &Panel::ALL) {
            return Some(Vec::new());
        }
        match action {
            // The same key again: measure again.
            Action::Storage => return Some(self.read(cx)),
            Action::Open => return Some(Vec::new()),
            _ if self.list.sorts(action, COLUMNS.len()) => return Some(Vec::new()),
            _ => {}
        }
        let ids: Vec<String> = self.shown().iter().map(StoragePart::name).collect();
        let moves = self.list.travel(action, ids.len(), |n| &ids[n]);
        moves.then(Vec::new)
    }

    fn on_snapshot(&mut self, cx: &Context) -> Vec<Intent> {
        if cx.wall_ms - self.asked_ms >= EACH_MS {
            return self.read(cx);
        }
        Vec::new()
    }

    fn on_answer(&mut self, _query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        if let Answer::Storage { usage } = answer {
            self.usage = Some(usage.clone());
        }
        Vec::new()
    }

    fn on_click(&mut self, at: (u16, u16), area: Rect, _cx: &Context) -> Vec<Intent> {
        let [totals, parts] = split(self, area);
        if totals.contains(at.into()) {
            self.focus.take(Panel::Totals);
        } else if parts.contains(at.into()) {
            self.focus.take(Panel::Parts);
        }
        let rows = self.shown();
        let selected = Some(self.selected(&rows));
        match table::hit(&COLUMNS, at, selected, rows.len(), inside(parts)) {
            Some(Hit::Head(column)) => self.list.sort_by(column),
            Some(Hit::Row(n)) => {
                let id = rows[n].name();
                self.list.select(n, &id);
            }
            None => {}
        }
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let [top, parts] = split(self, area);
        if top.height > 0 {
            self.draw_totals(cx, top, buffer);
        }
        if parts.height > 0 {
            self.draw_parts(cx, parts, buffer);
        }
        if self.focus.alone().is_none() {
            let focused = match self.focus.panel(&Panel::ALL) {
                Panel::Totals => top,
                Panel::Parts => parts,
            };
            focus::mark(cx, focused, buffer);
        }
    }

    fn panels(&self, _cx: &Context) -> usize {
        Panel::ALL.len()
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Storage,
            Action::SortNext,
            Action::SortReverse,
            Action::Copy,
            Action::Zoom,
            Action::Back,
        ]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        Subject::None
    }

    fn table(&self, _cx: &Context) -> Vec<Vec<String>> {
        let head = [
            "part",
            "bytes",
            "items",
            "bytesPerDay",
            "full",
            "bound",
            "oldestMs",
            "next",
        ];
        let known = |n: Option<String>| n.unwrap_or_default();
        let rows = self.shown();
        let rows = rows.iter().map(|row| {
            let part = row.part;
            vec![
                row.name(),
                part.bytes.to_string(),
                known(part.items.map(|n| n.to_string())),
                known(part.bytes_per_day.map(|n| format!("{n:.0}"))),
                part.full.words(),
                known(part.bound.as_ref().map(Bound::summary)),
                known(part.oldest_ms.map(|n| n.to_string())),
                known(part.next.clone()),
            ]
        });
        with_head(&head, rows)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        let at = self.selected(&self.shown());
        one_line(self.table(cx).get(at + 1)?)
    }
}

/// The totals, and the table below them; or one of them alone.
fn split(of: &Storage, area: Rect) -> [Rect; 2] {
    let nothing = Rect { height: 0, ..area };
    match of.focus.alone() {
        Some(Panel::Totals) => return [area, nothing],
        Some(Panel::Parts) => return [nothing, area],
        None => {}
    }
    let problems = of.usage.as_ref().map_or(0, |u| u.problems.len());
    let lines = 4 + problems.min(3) as u16;
    Layout::vertical([Constraint::Length(lines + 2), Constraint::Min(4)]).areas(area)
}

impl Storage {
    fn draw_parts(&self, cx: &Context, parts: Rect, buffer: &mut Buffer) {
        let rows = self.shown();
        let foot = table::left_out(rows.len(), inside(parts));
        let note = "parts of the journal are within its files";
        let inner = panel_with_foot(cx.theme, "Parts", note, &foot, parts, buffer);
        let names: Vec<String> = rows.iter().map(StoragePart::name).collect();
        let source = Source {
            total: rows.len(),
            id: &|n| &names[n],
            cells: &|n| rows[n].cells(cx),
        };
        let selected = Some(self.selected(&rows));
        table::draw(cx, &COLUMNS, &self.list, selected, &source, inner, buffer);
    }

    fn draw_totals(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let (theme, dash) = (cx.theme, cx.theme.signs().1);
        let more = self
            .usage
            .as_ref()
            .map_or(0, |u| u.problems.len().saturating_sub(3));
        let foot = match more {
            0 => String::new(),
            more => format!("+{more} problems"),
        };
        let note = cx.keys_of(&[(Action::Storage, "measure again")]);
        let inner = panel_with_foot(theme, "Storage", &note, &foot, area, buffer);
        let dim = theme.style(Role::Dim);
        let Some(usage) = &self.usage else {
            put(buffer, row(inner, 0), "measuring it", dim);
            return;
        };
        let text = |text: String, role: Role| Span::styled(text, theme.style(role));
        let free = usage
            .disk_free_bytes
            .map_or_else(|| dash.to_owned(), human_bytes);
        let (full, role) = match usage.disk_full_days {
            Some(days) if days < 7.0 => (span_days(days), Role::Warn),
            Some(days) => (span_days(days), Role::Text),
            None => (dash.to_owned(), Role::Dim),
        };
        let parts = vec![
            text(
                format!("total {}   ", human_bytes(usage.total_bytes)),
                Role::Title,
            ),
            text(format!("free on the disk {free}   "), Role::Text),
            text(format!("disk full at the present rate in {full}   "), role),
            text(
                format!("measured {}", cx.zone.clock_seconds(usage.at_ms)),
                Role::Dim,
            ),
        ];
        facts(buffer, row(inner, 0), parts);
        let state = format!("state    {}", clean_line(&usage.state, 400));
        put(buffer, row(inner, 1), &state, dim);
        let reports = format!("reports  {}", clean_line(&usage.reports, 400));
        put(buffer, row(inner, 2), &reports, dim);
        let help = "Room now: bsm state prune removes what is beyond its bound; with --older-than 30d what is older.";
        put(buffer, row(inner, 3), help, dim);
        for (n, problem) in usage.problems.iter().take(3).enumerate() {
            let words = format!("not measured: {}", clean_line(problem, 300));
            put(
                buffer,
                row(inner, n as u16 + 4),
                &words,
                theme.style(Role::Warn),
            );
        }
    }
}
