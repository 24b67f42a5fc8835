//! Closing a connection for a backend.
//!
//! Owns what the client is told. Must not know how a wire says it: the text travels as a note, which the
//! dialects that have such a message render. Invariant: the close frame has no text where the note has said it all, at any length; clients whose SDK
//! decides by the code get one that tells it to stay away, and the text with it.

use tieline::{CloseCode, CloseFrame, CloseReason, Connection, Note, NoteKind};

use super::client_data::ClientKind;

/// A kind of notes beside those of payloads.
const FAREWELL: u8 = 2;

/// For clients of Pusher Channels: they do not come back by themselves.
const UNAUTHORIZED: u16 = 4009;

/// Tells the client, and closes.
pub(crate) fn close(connection: &Connection, why: Option<&str>) {
    const WHAT: &str = "Application server closed the connection.";
    let why = why.filter(|why| !why.is_empty());
    if ClientKind::of(connection) == ClientKind::Pusher
        && let Some(code) = CloseCode::new(UNAUTHORIZED)
    {
        // After any code below 4000, its SDK would connect again in a second.
        let text = why.unwrap_or("the application has closed the connection");
        connection.close(CloseFrame::new(code, text));
        return;
    }
    let text = match why {
        Some(why) => format!("{WHAT} Reason: {why}"),
        None => WHAT.to_owned(),
    };
    connection.emit(Note::other(FAREWELL, text));
    connection.close(CloseFrame::new(CloseCode::NORMAL, ""));
}

/// The text, if a note is the last one before such a close.
pub(crate) fn farewell(note: &Note) -> Option<&str> {
    let text = (note.kind() == NoteKind::Other(FAREWELL)).then(|| note.data())?;
    std::str::from_utf8(text).ok()
}

/// Whether the client has been told already.
pub(crate) fn is_told(reason: &CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::Application(frame) if frame.code == CloseCode::NORMAL && frame.reason.is_empty()
    )
}
