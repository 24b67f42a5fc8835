//! The lifecycle of a connection: its callbacks, its messages, its end.

mod close;
mod compression;
mod corks;
mod data;
mod ends;
mod farewells;
mod floods;
mod handler;
mod load;
mod lost;
mod message_writer;
mod message_writers;
mod observation;
mod order;
mod receipts;
mod stats;
mod streaming;
mod tasks;
mod try_handler;
mod written;

use tieline::{CloseCode, CloseFrame};

fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame::new(CloseCode::new(code).unwrap(), reason)
}
