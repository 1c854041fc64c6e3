//! A run from its event to its report, in the order in which it happens: [`intake`] (with [`scan`]) →
//! [`executor`] → [`step`] → [`decision`] → [`completion`] (with [`report`]). [`recovery`] continues what an
//! earlier process left; [`scheduler`] starts runs by the clock.

pub mod completion;
pub mod decision;
pub mod executor;
pub mod intake;
pub mod numbered_diff;
pub mod projection;
pub mod range_scan;
pub mod recovery;
pub mod registry;
pub mod report;
pub mod report_writer;
pub mod rule_precision;
pub mod scan;
pub mod scan_request;
pub mod scheduler;
pub mod step;
