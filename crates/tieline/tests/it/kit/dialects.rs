//! Dialects for tests: `verbose` clients, which see the whole note, `picky` ones, and `numbered` ones.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tieline::{
    Connection, Dialect, DialectId, Dialects, Frame, Note, NoteKind, NoteOrigin, Numbering,
    Predicate,
};

/// The value of the query parameter `dialect`.
pub(crate) const VERBOSE: &str = "verbose";
pub(crate) const PICKY: &str = "picky";
pub(crate) const NUMBERED: &str = "numbered";

/// How often each of a hub's dialects has rendered.
#[derive(Clone, Default)]
pub(crate) struct Renders {
    verbose: Arc<AtomicUsize>,
    picky: Arc<AtomicUsize>,
}

impl Renders {
    /// By the verbose and the picky dialect.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        (count(&self.verbose), count(&self.picky))
    }
}

/// Gets every note as a line: from where, about what, which kind, and the data.
struct Verbose(Arc<AtomicUsize>);

/// Gets texts only, in capitals, and none that begin with a dash; panics at `panic`.
struct Picky(Arc<AtomicUsize>);

/// Gets texts only, as JSON with a number, and none that begin with a dash.
struct Numbered;

impl Dialect for Numbered {
    fn render(&self, note: &Note) -> Option<Frame> {
        let text = note.as_text().filter(|text| !text.starts_with('-'))?;
        Some(Frame::text(format!(r#"{{"text":"{text}"}}"#)))
    }

    fn numbering(&self) -> Numbering {
        Numbering::Member("n")
    }
}

impl Dialect for Verbose {
    fn render(&self, note: &Note) -> Option<Frame> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let origin = match note.origin() {
            NoteOrigin::Server => "server".to_owned(),
            NoteOrigin::Group(group) => format!("group {group}"),
            NoteOrigin::User(user) => format!("user {user}"),
            NoteOrigin::Everyone => "everyone".to_owned(),
            _ => return None,
        };
        let kind = match note.kind() {
            NoteKind::Text => "text".to_owned(),
            NoteKind::Binary => "binary".to_owned(),
            NoteKind::Other(kind) => format!("kind {kind}"),
        };
        let (about, data) = (text(note.about()), text(note.data()));
        let line = [origin, about, kind, data].join("|");
        Some(Frame::text(line))
    }
}

impl Dialect for Picky {
    fn render(&self, note: &Note) -> Option<Frame> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let text = note.as_text().filter(|text| !text.starts_with('-'))?;
        assert_ne!(text, "panic", "scripted");
        Some(Frame::text(text.to_uppercase()))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The language of filters: `user NAME`, `group NAME`; `panic` panics when it is read, `panic later` when it
/// is asked.
pub(crate) fn filter(filter: &[u8]) -> Option<Predicate> {
    let filter = std::str::from_utf8(filter).ok()?;
    assert_ne!(filter, "panic", "scripted");
    let (what, name) = filter.split_once(' ')?;
    let name = name.to_owned();
    Some(match what {
        "user" => Box::new(move |connection: &Connection| connection.user() == Some(&*name)),
        "group" => Box::new(move |connection: &Connection| {
            let groups = connection.groups();
            groups.iter().any(|group| **group == *name)
        }),
        "panic" => Box::new(|_: &Connection| panic!("scripted")),
        _ => return None,
    })
}

/// The dialects of a hub.
pub(crate) fn dialects() -> (Dialects, Renders) {
    let (mut dialects, renders) = (Dialects::new(), Renders::default());
    dialects.add(Verbose(Arc::clone(&renders.verbose)));
    dialects.add(Picky(Arc::clone(&renders.picky)));
    dialects.add(Numbered);
    (dialects, renders)
}

/// The dialect that a query names; one that no hub has if it is neither.
pub(crate) fn dialect(name: &str) -> DialectId {
    let number = [VERBOSE, PICKY, NUMBERED]
        .iter()
        .position(|known| *known == name);
    let mut dialects = Dialects::new();
    let mut ids = std::iter::repeat_with(|| dialects.add(Picky(Arc::default())));
    // The ids of any two hubs are numbered alike.
    ids.nth(number.unwrap_or(99)).unwrap()
}
