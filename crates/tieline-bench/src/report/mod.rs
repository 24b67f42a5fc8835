//! What was found, for people and for programs.
//!
//! Owns how results look. Must not know how they came about.

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
