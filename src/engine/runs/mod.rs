//! A run from its event to its report, in the order in which it happens: [`intake`] (with [`scan`]) →
//! [`executor`] → [`step`] → [`decision`] → [`completion`] (with [`report`]). [`recovery`] continues what an
//! earlier process left; [`scheduler`] starts runs by the clock.

pub mod completion;
pub mod decision;
pub mod decision_history;
pub mod executor;
pub mod intake;
mod intake_once;
pub mod numbered_diff;
pub mod phase_board;
pub mod projection;
pub mod range_scan;
pub mod recovery;
pub mod registry;
pub mod report;
pub mod report_writer;
pub mod rule_precision;
pub mod run_times;
pub mod scan;
pub mod scan_request;
pub mod scheduler;
pub mod step;
pub mod why_line;
