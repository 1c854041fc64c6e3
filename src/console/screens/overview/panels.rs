//! Which panels of the Overview have room, and where.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::console::context::Context;

/// From this width on there is a live log.
pub(super) const WIDE: u16 = 180;
/// From this width on there are the decisions of the last hour.
const FOUR_FIGURES: u16 = 160;

/// The panels in the order in which the focus goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Panel {
    /// Calls a second by outcome.
    Calls,
    /// Latency of answered calls.
    Latency,
    /// The response cache.
    Cache,
    /// Throughput and errors.
    Throughput,
    /// Decisions of the last hour.
    Decisions,
    /// What this process uses.
    Resources,
    /// Breakers and pools.
    Providers,
    /// Alerts.
    Alerts,
    /// The newest log lines.
    Log,
    /// The runs.
    Runs,
}

impl Panel {
    /// All of them.
    pub(super) const ALL: [Self; 10] = [
        Self::Calls,
        Self::Latency,
        Self::Cache,
        Self::Throughput,
        Self::Decisions,
        Self::Resources,
        Self::Providers,
        Self::Alerts,
        Self::Log,
        Self::Runs,
    ];
}

/// Where everything lies.
pub(super) struct Places {
    /// The sentence.
    pub(super) impact: Rect,
    /// Two lines of figures, where there is no room for panels.
    pub(super) lines: Option<Rect>,
    /// The panels that have room, in their order.
    pub(super) panels: Vec<(Panel, Rect)>,
    /// One line that names the alerts.
    pub(super) alert_line: Option<Rect>,
}

impl Places {
    /// One panel alone, below the sentence; else as many as have room.
    pub(super) fn of(cx: &Context, alone: Option<Panel>, area: Rect) -> Self {
        match alone {
            None => Self::all(cx, area),
            Some(panel) => {
                let rows = [Constraint::Length(1), Constraint::Min(0)];
                let [impact, rest] = Layout::vertical(rows).areas(area);
                Self {
                    impact,
                    lines: None,
                    panels: vec![(panel, rest)],
                    alert_line: None,
                }
            }
        }
    }

    /// The panels that are shown.
    pub(super) fn shown(&self) -> Vec<Panel> {
        self.panels.iter().map(|(panel, _)| *panel).collect()
    }

    /// The panel at a place, and where it lies.
    pub(super) fn at(&self, place: (u16, u16)) -> Option<(Panel, Rect)> {
        let mut panels = self.panels.iter();
        panels
            .find(|(_, rect)| rect.contains(place.into()))
            .copied()
    }

    fn all(cx: &Context, area: Rect) -> Self {
        let providers = cx.snapshot().provider_rows.len().max(1) as u16;
        let tall = area.height >= 34 && area.width >= 100;
        let high = area.height >= 44;
        let charts = match (tall, high) {
            (true, true) => 10,
            (true, false) => 7,
            _ => 0,
        };
        let figures = if tall { 5 } else { 0 };
        let lines = if tall {
            0
        } else {
            2.min(area.height.saturating_sub(4))
        };
        let alerts = if tall { 4 + u16::from(high) * 2 } else { 0 };
        let alert_line = u16::from(!tall && area.height >= 16);
        let used = 1 + lines + charts + figures + alerts + alert_line;
        // At least five rows of runs are left.
        let room = area.height.saturating_sub(used + 8);
        let table = (providers + 3).min(room);
        let table = if table >= 4 { table } else { 0 };
        let rows: [Rect; 8] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(lines),
            Constraint::Length(charts),
            Constraint::Length(figures),
            Constraint::Length(table),
            Constraint::Length(alerts),
            Constraint::Min(0),
            Constraint::Length(alert_line),
        ])
        .areas(area);
        let shown = |rect: Rect| (rect.height > 0).then_some(rect);
        let mut panels = Vec::with_capacity(Panel::ALL.len());
        let mut add = |row: Rect, among: &[Panel]| {
            if row.height > 0 {
                let parts = Layout::horizontal(among.iter().map(|_| Constraint::Fill(1)));
                panels.extend(among.iter().copied().zip(parts.split(row).iter().copied()));
            }
        };
        add(rows[2], &[Panel::Calls, Panel::Latency]);
        let three = [Panel::Cache, Panel::Throughput, Panel::Resources];
        let four = [
            Panel::Cache,
            Panel::Throughput,
            Panel::Decisions,
            Panel::Resources,
        ];
        add(
            rows[3],
            if area.width >= FOUR_FIGURES {
                &four
            } else {
                &three
            },
        );
        add(rows[4], &[Panel::Providers]);
        add(
            rows[5],
            if area.width >= WIDE {
                &[Panel::Alerts, Panel::Log]
            } else {
                &[Panel::Alerts]
            },
        );
        add(rows[6], &[Panel::Runs]);
        Self {
            impact: rows[0],
            lines: shown(rows[1]),
            panels,
            alert_line: shown(rows[7]),
        }
    }
}
