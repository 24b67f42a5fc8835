//! The log of the code under test, as text.

use std::{
    io::{self, Write},
    sync::{Arc, Once},
    time::Duration,
};

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

/// Captures the log of the current thread while it exists.
#[derive(Debug)]
pub struct Trace {
    lines: Lines,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Trace {
    /// Starts to capture what is logged at the level INFO and above.
    pub fn start() -> Self {
        // Otherwise a thread without a subscriber could be the first to log something, and tracing would
        // remember that nobody wants it.
        static DISCARD: Once = Once::new();
        DISCARD.call_once(|| {
            let discard = tracing_subscriber::fmt().with_writer(io::sink).finish();
            let set = tracing::subscriber::set_global_default(discard);
            set.expect("nothing else sets it");
        });
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(lines.clone())
            .finish();
        Self {
            lines,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// The log so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lines.0.lock()).into_owned()
    }

    /// The number of lines that contain all of these parts.
    pub fn count(&self, parts: &[&str]) -> usize {
        let text = self.text();
        let lines = text.lines();
        lines
            .filter(|line| parts.iter().all(|part| line.contains(part)))
            .count()
    }

    /// Waits for a line that contains all of these parts; the deadline of the test bounds it.
    pub async fn until(&self, parts: &[&str]) {
        while self.count(parts) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
