//! Notes: messages that are not encoded yet.
//!
//! Plain values. Must not know how a client reads, or who the receivers are. Invariant: the data of a text
//! note is UTF-8.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use tieline_websocket::Message;

/// A message before it is a frame: each receiver gets it in the form of its [`Dialect`](crate::Dialect).
///
/// Every call that sends a [`Frame`](crate::Frame) takes a note as well. It is rendered when the first
/// receiver of a dialect is found, once for each dialect and node, and all receivers share the frame. To
/// another node it travels once, as data and `about`, whatever dialects its clients read; a note costs about
/// 200 bytes besides these while it is sent.
///
/// ```
/// use tieline::{Config, Hub, Note};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// let hub = Hub::new(Config::default())?;
/// // `about` is what the dialects of the application want to know besides: here, who wrote it.
/// hub.emit_group("room", Note::text("hello").with_about("ada"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Note {
    origin: NoteOrigin,
    kind: NoteKind,
    data: Bytes,
    about: Bytes,
}

/// How the data of a [`Note`] is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// Text. Clients of the plain dialect get a text message.
    Text,
    /// Bytes. Clients of the plain dialect get a binary message.
    Binary,
    /// A kind of the application, such as JSON, by a number that its dialects agree on. Clients of the plain
    /// dialect get a binary message.
    Other(u8),
}

/// From where the receivers of a [`Note`] get it. The call that sends it decides.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoteOrigin {
    /// It was sent to this client alone, by its id or its [`Connection`](crate::Connection). A note that was
    /// not sent yet has this origin, too.
    Server,
    /// It was sent to a group.
    Group(Arc<str>),
    /// It was sent to a user.
    User(Arc<str>),
    /// It was sent to everyone.
    Everyone,
}

impl Note {
    /// A note of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::from_parts(NoteKind::Text, text.into().into(), Bytes::new())
    }

    /// A note of bytes.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self::from_parts(NoteKind::Binary, data.into(), Bytes::new())
    }

    /// A note of a kind that the application's dialects know.
    pub fn other(kind: u8, data: impl Into<Bytes>) -> Self {
        Self::from_parts(NoteKind::Other(kind), data.into(), Bytes::new())
    }

    /// Adds what only the application's dialects read, such as the sender or the name of an event; it replaces
    /// what was added before. Default: nothing.
    #[must_use]
    pub fn with_about(mut self, about: impl Into<Bytes>) -> Self {
        self.about = about.into();
        self
    }

    /// From where its receivers get it.
    pub fn origin(&self) -> &NoteOrigin {
        &self.origin
    }

    /// How the data is to be read.
    pub fn kind(&self) -> NoteKind {
        self.kind
    }

    /// The data.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The data of a text note.
    pub fn as_text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.data);
        text.ok().filter(|_| self.kind == NoteKind::Text)
    }

    /// What [`with_about`](Self::with_about) added.
    pub fn about(&self) -> &[u8] {
        &self.about
    }

    /// The data, without a copy.
    pub(super) fn shared_data(&self) -> Bytes {
        self.data.clone()
    }

    /// The caller has checked that the data of text is UTF-8.
    pub(super) fn from_parts(kind: NoteKind, data: Bytes, about: Bytes) -> Self {
        Self {
            origin: NoteOrigin::Server,
            kind,
            data,
            about,
        }
    }

    pub(super) fn set_origin(&mut self, origin: NoteOrigin) {
        self.origin = origin;
    }
}

/// The message as a note, so that it can be relayed to clients of every dialect.
impl From<Message> for Note {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::text(text),
            Message::Binary(bytes) => Self::binary(bytes),
        }
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads may be secret and long, so a log shows their length only.
        f.debug_struct("Note")
            .field("origin", &self.origin)
            .field("kind", &self.kind)
            .field("data_len", &self.data.len())
            .field("about_len", &self.about.len())
            .finish()
    }
}
