//! A client that reads all the time and remembers; it answers nothing by itself.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{io::AsyncWriteExt, net::tcp::OwnedWriteHalf, task::JoinHandle};

use super::{
    Raw, eventually,
    raw::{CLOSE, TEXT, frame},
};

#[derive(Debug, Default)]
struct Got {
    texts: Vec<String>,
    code: Option<u16>,
    ended: bool,
}

pub(crate) struct Reader {
    got: Arc<Mutex<Got>>,
    writer: OwnedWriteHalf,
    task: JoinHandle<()>,
}

impl Reader {
    pub(crate) fn new(raw: Raw) -> Self {
        let (mut raw, writer) = raw.split();
        let got: Arc<Mutex<Got>> = Arc::default();
        let task = tokio::spawn({
            let got = Arc::clone(&got);
            async move {
                while let Some(frame) = raw.frame().await {
                    let mut got = got.lock();
                    match frame.opcode {
                        TEXT => got.texts.push(String::from_utf8(frame.payload).unwrap()),
                        CLOSE => {
                            got.code =
                                Some(u16::from_be_bytes([frame.payload[0], frame.payload[1]]));
                        }
                        _ => {}
                    }
                }
                got.lock().ended = true;
            }
        });
        Self { got, writer, task }
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.got.lock().texts.clone()
    }

    /// How many texts have come.
    pub(crate) fn count(&self) -> usize {
        self.got.lock().texts.len()
    }

    /// The texts that are numbers.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        let got = self.got.lock();
        got.texts
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect()
    }

    /// The code of the close frame that came.
    pub(crate) fn code(&self) -> Option<u16> {
        self.got.lock().code
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.got.lock().ended
    }

    /// Waits until this text has come.
    pub(crate) async fn until(&self, text: &str) {
        eventually(|| self.got.lock().texts.iter().any(|got| got == text)).await;
    }

    /// Waits until the close frame has come, or the stream has ended.
    pub(crate) async fn until_closed(&self) -> Option<u16> {
        eventually(|| self.code().is_some() || self.is_ended()).await;
        self.code()
    }

    /// Sends a text; the node may be gone.
    pub(crate) async fn say(&mut self, text: &str) {
        drop(self.writer.write_all(&frame(TEXT, text.as_bytes())).await);
    }

    /// Sends a close frame; the node may be gone.
    pub(crate) async fn send_close(&mut self) {
        let bytes = frame(CLOSE, &1000_u16.to_be_bytes());
        drop(self.writer.write_all(&bytes).await);
    }

    /// Ends its side of the stream without a word, and goes on reading.
    pub(crate) async fn shut(&mut self) {
        drop(self.writer.shutdown().await);
    }

    /// Ends the connection with a reset.
    pub(crate) async fn reset(self) {
        let socket = socket2::SockRef::from(self.writer.as_ref());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        self.task.abort();
        drop(self.task.await);
        self.writer.forget();
    }
}
