//! The life of a connection: how it is handled, what it is sent, how it ends.

mod close;
mod compression;
mod ends;
mod floods;
mod handler;
mod load;
mod order;
mod receipts;

use tieline::{CloseCode, CloseFrame};

fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame::new(CloseCode::new(code).unwrap(), reason)
}
