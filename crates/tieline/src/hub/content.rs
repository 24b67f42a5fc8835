//! What a call sends: a frame, or a note with the frames that it has become.
//!
//! Owns that a note is rendered once for each dialect. Must not know connections. Invariants: nothing is
//! rendered before a receiver asks for it; all receivers of a dialect share one frame.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tieline_registry::id;
use tieline_websocket::Frame;
use tokio::sync::oneshot;

use super::{
    dialect::{DialectId, Dialects, Rendered},
    note::{Note, NoteOrigin},
    scope::Scope,
};
use crate::written::{Tracker, WriteOutcome};

/// What a call sends: made from a [`Frame`], from what converts into one, such as text, or from a [`Note`].
///
/// ```
/// use tieline::{Content, Hub};
///
/// /// Takes what `emit_group` takes.
/// fn announce(hub: &Hub, content: impl Into<Content>) {
///     hub.emit_group("lobby", content);
/// }
/// ```
#[derive(Debug)]
pub struct Content(Cast);

/// Content on its way. A clone is the same content, rendered once for all clones.
#[derive(Debug, Clone)]
pub(crate) enum Cast {
    /// Reaches every client as it is.
    Frame(Frame),
    Note(Arc<CastNote>),
    /// For those only whom a filter admits.
    Filtered(Arc<(Cast, Bytes)>),
    /// For one client, and the sender learns whether it has left.
    Tracked(Arc<(Cast, Arc<Tracker>)>),
}

/// A note on its way.
#[derive(Debug)]
pub(crate) struct CastNote {
    note: Note,
    /// One for each dialect of the hub; the inner `None`: not for its clients.
    rendered: OnceLock<Box<[OnceLock<Option<Rendered>>]>>,
}

impl<T: Into<Frame>> From<T> for Content {
    #[inline]
    fn from(frame: T) -> Self {
        Self(Cast::Frame(frame.into()))
    }
}

impl From<Note> for Content {
    fn from(note: Note) -> Self {
        Self(Cast::from(note))
    }
}

impl From<Note> for Cast {
    fn from(note: Note) -> Self {
        Self::Note(Arc::new(CastNote {
            note,
            rendered: OnceLock::new(),
        }))
    }
}

impl Content {
    /// The content as it is sent to one client.
    #[inline]
    pub(crate) fn into_unicast(self) -> Cast {
        self.0
    }

    /// The content as it is sent to a scope, or to those of it whom a filter admits.
    #[inline]
    pub(crate) fn into_multicast(self, scope: Scope<'_>, filter: Option<Bytes>) -> Cast {
        let cast = self.0.addressed(scope);
        match filter {
            Some(filter) => cast.filtered(filter),
            None => cast,
        }
    }
}

impl Cast {
    /// The same for the receivers of a scope.
    pub(crate) fn addressed(mut self, scope: Scope<'_>) -> Self {
        if let Self::Note(cast) = &mut self
            && let Some(cast) = Arc::get_mut(cast)
        {
            cast.note.set_origin(match scope {
                Scope::Everyone | Scope::Namespace(_) => NoteOrigin::Everyone,
                Scope::User(key) => NoteOrigin::User(id::split(key).1.into()),
                Scope::Group(key) => NoteOrigin::Group(id::split(key).1.into()),
            });
        }
        self
    }

    /// The same for those only whom a filter admits.
    pub(crate) fn filtered(self, filter: Bytes) -> Self {
        Self::Filtered(Arc::new((self, filter)))
    }

    /// The same for one client, and what becomes of it. The outcome is decided once, by whichever clone enters an
    /// outbox.
    pub(crate) fn tracked(self) -> (Self, oneshot::Receiver<WriteOutcome>) {
        let (tracker, outcome) = Tracker::new();
        let cast = Self::Tracked(Arc::new((self, Arc::new(tracker))));
        (cast, outcome)
    }

    /// Who tells what becomes of it, if the sender wants to know.
    #[cfg(feature = "cluster")]
    pub(crate) fn tracker(&self) -> Option<&Arc<Tracker>> {
        match self {
            Self::Tracked(tracked) => Some(&tracked.1),
            Self::Frame(_) | Self::Note(_) | Self::Filtered(_) => None,
        }
    }

    pub(crate) fn filter(&self) -> Option<&[u8]> {
        match self {
            Self::Filtered(filtered) => Some(&filtered.1),
            Self::Frame(_) | Self::Note(_) | Self::Tracked(_) => None,
        }
    }

    /// What is sent to those whom the filter admits, if there is one.
    pub(crate) fn unfiltered(&self) -> &Self {
        match self {
            Self::Filtered(filtered) => &filtered.0,
            Self::Frame(_) | Self::Note(_) | Self::Tracked(_) => self,
        }
    }

    /// What the clients of a dialect get; `None` if they get nothing. Calls the application, so no lock may
    /// be held, unless [`is_rendered`](Self::is_rendered).
    #[inline]
    pub(super) fn rendered(&self, dialects: &Dialects, dialect: DialectId) -> Option<Rendered> {
        match self {
            Self::Frame(frame) => Some(Rendered::whole(frame.clone())),
            Self::Note(cast) => cast.rendered(dialects, dialect).cloned(),
            Self::Filtered(filtered) => filtered.0.rendered(dialects, dialect),
            Self::Tracked(tracked) => {
                let rendered = tracked.0.rendered(dialects, dialect)?;
                Some(rendered.tracked(&tracked.1))
            }
        }
    }

    /// As [`rendered`](Self::rendered), for the last receiver.
    #[inline]
    pub(super) fn into_rendered(self, dialects: &Dialects, dialect: DialectId) -> Option<Rendered> {
        match self {
            Self::Frame(frame) => Some(Rendered::whole(frame)),
            Self::Note(_) | Self::Filtered(_) | Self::Tracked(_) => {
                self.rendered(dialects, dialect)
            }
        }
    }

    /// As [`rendered`](Self::rendered), without a clone: the frame, and whether it is numbered.
    #[inline]
    pub(super) fn view(&self, dialects: &Dialects, dialect: DialectId) -> Option<(&Frame, bool)> {
        match self {
            Self::Frame(frame) => Some((frame, false)),
            Self::Note(cast) => {
                let rendered = cast.rendered(dialects, dialect)?;
                Some((&rendered.frame, rendered.is_numbered))
            }
            Self::Filtered(filtered) => filtered.0.view(dialects, dialect),
            Self::Tracked(tracked) => tracked.0.view(dialects, dialect),
        }
    }

    /// The frame of what the clients of a dialect get, as [`rendered`](Self::rendered).
    #[inline]
    pub(super) fn frame(&self, dialects: &Dialects, dialect: DialectId) -> Option<&Frame> {
        self.view(dialects, dialect).map(|(frame, _)| frame)
    }

    /// Whether [`rendered`](Self::rendered) does not call the application any more.
    #[cfg(feature = "cluster")]
    pub(super) fn is_rendered(&self, dialect: DialectId) -> bool {
        match self {
            Self::Frame(_) => true,
            Self::Note(cast) => cast.slot(dialect).is_some_and(|slot| slot.get().is_some()),
            Self::Filtered(filtered) => filtered.0.is_rendered(dialect),
            Self::Tracked(tracked) => tracked.0.is_rendered(dialect),
        }
    }

    /// Whether it was found that the clients of a dialect get nothing.
    pub(super) fn leaves_out(&self, dialect: DialectId) -> bool {
        match self {
            Self::Frame(_) => false,
            Self::Note(cast) => cast
                .slot(dialect)
                .is_some_and(|slot| matches!(slot.get(), Some(None))),
            Self::Filtered(filtered) => filtered.0.leaves_out(dialect),
            Self::Tracked(tracked) => tracked.0.leaves_out(dialect),
        }
    }

    /// The length of what waits in a queue: the payload of a frame; data and `about` of a note.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.payload().len(),
            Self::Note(cast) => cast.note.data().len() + cast.note.about().len(),
            Self::Filtered(filtered) => filtered.0.len() + filtered.1.len(),
            Self::Tracked(tracked) => tracked.0.len(),
        }
    }
}

impl CastNote {
    fn rendered(&self, dialects: &Dialects, dialect: DialectId) -> Option<&Rendered> {
        let slots = || (0..dialects.len()).map(|_| OnceLock::new()).collect();
        let slot = self.rendered.get_or_init(slots).get(dialect.index())?;
        let render = || dialects.render(dialect, &self.note);
        slot.get_or_init(render).as_ref()
    }

    fn slot(&self, dialect: DialectId) -> Option<&OnceLock<Option<Rendered>>> {
        self.rendered.get()?.get(dialect.index())
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn note(&self) -> &Note {
        &self.note
    }
}
