//! What screens and dialogs are drawn with. Nothing here knows a screen.

pub mod axis;
pub mod bars;
pub mod focus;
pub mod impact;
pub mod line_chart;
pub mod list;
pub mod panel;
pub mod stacked_chart;
pub mod table;
pub mod text;
