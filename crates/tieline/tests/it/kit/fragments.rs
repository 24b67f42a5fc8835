//! A client that takes fragments as RFC 6455, section 5.4, has it, and nothing else.

use tokio::io::AsyncRead;

use super::{
    Raw,
    raw::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT},
};

/// What a client got, and how many fragments it had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) fragments: usize,
}

impl Got {
    pub(crate) fn text(&self) -> &str {
        assert_eq!(self.opcode, TEXT);
        str::from_utf8(&self.payload).unwrap()
    }
}

/// The next message, or the next control frame that is no ping. Fails unless fragments come as RFC 6455, section 5.4,
/// has it; `between` gets the control frames between them.
pub(crate) async fn next<S: AsyncRead + Unpin>(client: &mut Raw<S>, between: &mut Vec<u8>) -> Got {
    let mut got: Option<Got> = None;
    loop {
        let frame = client.frame().await.expect("the stream goes on");
        assert!(!frame.compressed || frame.opcode != CONTINUATION);
        match (&mut got, frame.opcode) {
            (_, PING) => {}
            (Some(_), PONG | CLOSE) => between.push(frame.opcode),
            (None, PONG | CLOSE) => {
                return Got {
                    opcode: frame.opcode,
                    payload: frame.payload,
                    fragments: 0,
                };
            }
            (Some(got), CONTINUATION) => {
                got.payload.extend(frame.payload);
                got.fragments += 1;
            }
            (None, TEXT | BINARY) => {
                got = Some(Got {
                    opcode: frame.opcode,
                    payload: frame.payload,
                    fragments: 1,
                });
            }
            (got, opcode) => panic!("{opcode} after {got:?}"),
        }
        if frame.fin && !matches!(frame.opcode, PING | PONG | CLOSE) {
            return got.expect("a message began");
        }
    }
}

/// Fails unless all that a client gets next are these texts.
pub(crate) async fn expect<S: AsyncRead + Unpin>(client: &mut Raw<S>, texts: &[&str]) {
    for text in texts {
        assert_eq!(next(client, &mut Vec::new()).await.text(), *text);
    }
}
