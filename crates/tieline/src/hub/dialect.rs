//! Dialects: how each kind of client reads a note.
//!
//! Owns the dialects of a hub, and keeps a panic of one from its callers. Must not know connections, or how
//! often a note is rendered. Invariant: dialect 0 is the plain one, which every hub has.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tieline_websocket::Frame;

use super::{
    note::{Note, NoteKind},
    numbering::{Numbering, Opening, rest_of},
};
use crate::written::Tracker;

/// How one kind of client reads: turns notes into frames for it. Given to a hub at its start
/// ([`Hub::with_dialects`](crate::Hub::with_dialects)); a connection is accepted in one
/// ([`Accept::dialect`](crate::Accept::dialect)).
///
/// ```
/// use tieline::{Accept, Config, Dialect, Dialects, Frame, Hub, Note, NoteOrigin};
///
/// /// Clients that read lines: `room> hello`.
/// struct Lines;
///
/// impl Dialect for Lines {
///     fn render(&self, note: &Note) -> Option<Frame> {
///         let text = note.as_text()?; // no other notes for these clients
///         Some(Frame::text(match note.origin() {
///             NoteOrigin::Group(group) => format!("{group}> {text}"),
///             _ => format!("> {text}"),
///         }))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// let mut dialects = Dialects::new();
/// let lines = dialects.add(Lines);
/// let hub = Hub::with_dialects(Config::default(), dialects)?;
/// let accept = Accept::new(()).group("room").dialect(lines);
/// // Clients of `lines` get `room> hello`, all others `hello`.
/// hub.emit_group("room", Note::text("hello"));
/// # Ok(())
/// # }
/// ```
pub trait Dialect: Send + Sync + 'static {
    /// The note as these clients read it. `None` leaves them out: they are no receivers and are not counted,
    /// and to send to one of them alone yields [`Delivery::Refused`](crate::Delivery::Refused).
    ///
    /// Called at most once for each note on each node, on the thread of the first sender or worker that
    /// finds such a receiver, while others that need the same frame wait: keep it short. No lock of a
    /// connection is held. A panic counts as `None`.
    fn render(&self, note: &Note) -> Option<Frame>;

    /// Whether each client gets numbers of its own: 1 for the first note that it is given, then 2 and so on.
    /// What it is refused takes no number; what is discarded later
    /// ([`SlowConsumer::DropOldest`](crate::SlowConsumer)) leaves a gap. Asked once, by [`Dialects::add`].
    ///
    /// A number costs a receiver two small allocations if the frame waits for its socket, none if a batch is
    /// written at once, and the bytes; the rest is shared and compressed once as ever. A connection of such a
    /// dialect takes 48 bytes more.
    fn numbering(&self) -> Numbering {
        Numbering::None
    }
}

/// The dialects of a hub: the plain one and those that are added, 256 at most.
///
/// Clients of the plain dialect get a note's data, as a text message if it is text and as a binary one
/// otherwise. A [`Frame`] reaches clients of every dialect as it is.
#[derive(Clone, Default)]
pub struct Dialects(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    dialect: Arc<dyn Dialect>,
    /// If it numbers.
    opening: Option<Opening>,
}

/// What the clients of a dialect get of a note.
#[derive(Debug, Clone)]
pub(super) struct Rendered {
    /// Without its opening brace, if it is numbered.
    pub(super) frame: Frame,
    pub(super) is_numbered: bool,
}

/// One of the dialects of a hub, made by [`Dialects::add`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct DialectId(u8);

impl Dialects {
    /// The plain dialect alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a dialect. The first one gets the number 1, the next one 2 and so on, so that two sets to which the
    /// same dialects were added have the same ids.
    ///
    /// # Panics
    /// If 255 were added before, or if the dialect numbers by a member whose name is empty, longer than 23
    /// bytes, or not of ASCII characters that JSON leaves as they are.
    pub fn add(&mut self, dialect: impl Dialect) -> DialectId {
        self.0.push(Entry {
            opening: Opening::of(dialect.numbering()),
            dialect: Arc::new(dialect),
        });
        let number = u8::try_from(self.0.len()).expect("a hub has at most 255 dialects of its own");
        DialectId(number)
    }

    /// Whether an id is one of these.
    pub(crate) fn contains(&self, id: DialectId) -> bool {
        id.index() < self.len()
    }

    /// How many there are, the plain one included.
    pub(super) fn len(&self) -> usize {
        self.0.len() + 1
    }

    /// Calls the dialect, and catches its panic.
    pub(super) fn render(&self, id: DialectId, note: &Note) -> Option<Rendered> {
        if id == DialectId::PLAIN {
            return render_plain(note).map(Rendered::whole);
        }
        let Entry { dialect, opening } = self.entry(id)?;
        let rendered = catch_unwind(AssertUnwindSafe(|| dialect.render(note)));
        let frame = rendered.unwrap_or_else(|_| {
            tracing::error!(
                dialect = id.0,
                "a dialect panicked; its clients do not get the note"
            );
            None
        })?;
        let rest = opening.as_ref().and_then(|_| rest_of(&frame));
        Some(match rest {
            Some(frame) => Rendered {
                frame,
                is_numbered: true,
            },
            None => Rendered::whole(frame),
        })
    }

    /// What stands before the numbers of a dialect, if it numbers.
    #[inline]
    pub(super) fn opening(&self, id: DialectId) -> Option<&Opening> {
        self.entry(id)?.opening.as_ref()
    }

    #[inline]
    fn entry(&self, id: DialectId) -> Option<&Entry> {
        self.0.get(id.index().checked_sub(1)?)
    }
}

impl Rendered {
    /// A frame that is given as it is.
    #[inline]
    pub(super) fn whole(frame: Frame) -> Self {
        Self {
            frame,
            is_numbered: false,
        }
    }

    /// The same for one receiver, which tells what becomes of it.
    pub(super) fn tracked(&self, tracker: &Arc<Tracker>) -> Self {
        let tag: Arc<Tracker> = Arc::clone(tracker);
        Self {
            frame: self.frame.tagged(tag),
            is_numbered: self.is_numbered,
        }
    }
}

impl DialectId {
    /// The plain dialect, which every hub has.
    pub const PLAIN: Self = Self(0);

    pub(super) fn at(number: u8) -> Self {
        Self(number)
    }

    pub(super) fn index(self) -> usize {
        self.0.into()
    }
}

fn render_plain(note: &Note) -> Option<Frame> {
    match note.kind() {
        NoteKind::Text => Frame::try_text(note.shared_data()).ok(),
        NoteKind::Binary | NoteKind::Other(_) => Some(note.shared_data().into()),
    }
}

impl fmt::Debug for Dialects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialects")
            .field("len", &self.len())
            .finish()
    }
}
