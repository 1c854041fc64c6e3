//! The screens and what opens from them, one file or folder each. [`open`] makes the component of a route.

pub mod agents;
pub mod alerts;
pub mod caches;
pub mod calls;
pub mod inbox;
mod inbox_entries;
pub mod logs;
pub mod memory;
mod outcome_parts;
pub mod overview;
mod provider_table;
pub mod resilience;
mod run_columns;
pub mod run_detail;
pub mod run_list;
pub mod runs;
pub mod storage;
pub mod trends;

use self::run_detail::document::{Form, RunDocument};
use super::action::Screen;
use super::component::Component;
use super::context::Context;
use super::route::Route;

/// The component of a route, new.
pub fn open(route: &Route, cx: &Context) -> Box<dyn Component> {
    match route {
        Route::Screen(Screen::Overview) => Box::new(overview::Overview::default()),
        Route::Screen(Screen::Runs) => Box::new(runs::Runs::default()),
        Route::Screen(Screen::Resilience) => Box::new(resilience::Resilience::default()),
        Route::Screen(Screen::Caches) => Box::new(caches::Caches::default()),
        Route::Screen(Screen::Agents) => Box::new(agents::Agents::default()),
        Route::Screen(Screen::Memory) => Box::new(memory::Memory::default()),
        Route::Screen(Screen::Logs) => Box::new(logs::Logs::default()),
        Route::Screen(Screen::Inbox) => Box::new(inbox::Inbox::default()),
        Route::Run { id } => Box::new(run_detail::RunDetail::new(id)),
        Route::Json { id } => Box::new(RunDocument::new(id, Form::Json)),
        Route::Describe { id } => Box::new(RunDocument::new(id, Form::Description)),
        Route::Report { id } => Box::new(run_detail::report::Report::new(id)),
        Route::Calls { provider } => Box::new(calls::Calls::new(provider.clone())),
        Route::Logs { run, filter, agent } => {
            Box::new(logs::Logs::of(run.clone(), filter.clone(), agent.clone()))
        }
        Route::LogsAround {
            at_ms,
            from_ms,
            to_ms,
        } => Box::new(logs::Logs::around(*at_ms, *from_ms, *to_ms)),
        Route::Alerts => Box::new(alerts::Alerts::default()),
        Route::Trends => Box::new(trends::Trends::new(cx)),
        Route::Storage => Box::new(storage::Storage::default()),
    }
}
