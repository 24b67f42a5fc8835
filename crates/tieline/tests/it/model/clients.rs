//! The clients of the model: each reads until the end of its stream.

use std::sync::Arc;

use tokio::{
    io::AsyncWriteExt,
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::Mutex,
    task::JoinHandle,
};

use crate::kit::raw::{CLOSE, Raw, TEXT, frame};

/// What a client saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) texts: Vec<String>,
    /// The code of the close frame, if one came.
    pub(super) code: Option<u16>,
}

/// A client that reads in its own task and replies to a close.
pub(super) struct Reader {
    write: Arc<Mutex<Writer>>,
    seen: JoinHandle<Seen>,
}

struct Writer {
    half: OwnedWriteHalf,
    closed: bool,
}

impl Reader {
    pub(super) fn start(raw: Raw) -> Self {
        let (raw, half) = raw.split();
        let closed = false;
        let write = Arc::new(Mutex::new(Writer { half, closed }));
        let seen = tokio::spawn(read(raw, Arc::clone(&write)));
        Self { write, seen }
    }

    /// Sends a close, unless one was sent before.
    pub(super) async fn close(&self, code: u16) {
        self.write.lock().await.close(code).await;
    }

    /// Ends the stream without a close.
    pub(super) async fn vanish(&self) {
        self.write.lock().await.half.shutdown().await.unwrap();
    }

    /// Waits for the end of the stream.
    pub(super) async fn seen(self) -> Seen {
        self.seen.await.unwrap()
    }
}

impl Writer {
    async fn close(&mut self, code: u16) {
        if !std::mem::replace(&mut self.closed, true) {
            let close = frame(CLOSE, &code.to_be_bytes());
            self.half.write_all(&close).await.unwrap();
        }
    }
}

async fn read(mut raw: Raw<OwnedReadHalf>, write: Arc<Mutex<Writer>>) -> Seen {
    let mut seen = Seen::default();
    while let Some(frame) = raw.frame().await {
        assert_eq!(seen.code, None, "nothing follows a close frame");
        match frame.opcode {
            TEXT => seen.texts.push(String::from_utf8(frame.payload).unwrap()),
            CLOSE => {
                let code = u16::from_be_bytes(frame.payload[..2].try_into().unwrap());
                seen.code = Some(code);
                write.lock().await.close(code).await;
            }
            other => panic!("unexpected opcode {other}"),
        }
    }
    seen
}
