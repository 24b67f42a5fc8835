//! Reports: results as a table, as JSON and as a page.
//!
//! Must not know how the results were measured.

mod html;
mod json;
mod labels;
mod latency_chart;
mod markup;
mod output_files;
mod ratio_plot;
mod results;
mod table;
mod write;

pub(crate) use self::{output_files::OutputFiles, results::Results, write::write};
