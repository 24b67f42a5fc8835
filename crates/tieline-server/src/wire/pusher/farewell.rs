//! What a client is told last: the code of its close, which is what its SDK decides by, and the frame before it.
//!
//! Must not know who closes. Invariants: a client that may come back at once (4200) has where to go; the codes of the
//! library that make SDKs give up on WebSocket, 1012 and 1013, reach no client.

use tieline::{CloseCode, CloseFrame, CloseReason, Closing, Farewell};

use super::outgoing;
use crate::app::client_data::PusherData;

/// Connect again at once.
const AT_ONCE: u16 = 4200;

/// The same, because nothing was heard of the client.
const NO_PONG: u16 = 4201;

/// Connect again in a while.
const LATER: u16 = 4100;

/// The codes that the SDKs know.
const KNOWN: std::ops::Range<u16> = 4000..4300;

/// Chooses it, for closes that the server begins.
pub(super) fn farewell(closing: &Closing<'_>) -> Option<Farewell> {
    let close = closing.close_frame();
    let code = match closing.reason() {
        CloseReason::Drain => {
            let data = closing.data::<PusherData>();
            let is_ready = data.is_some_and(|data| data.hub().cluster().has_ready_peer());
            if is_ready { AT_ONCE } else { LATER }
        }
        CloseReason::SlowConsumer => LATER,
        CloseReason::Silent => NO_PONG,
        _ => Some(close.code.as_u16()).filter(|code| KNOWN.contains(code))?,
    };
    with_code(code, &close.reason)
}

/// A close with a code, and the frame that says the same.
pub(super) fn with_code(code: u16, message: &str) -> Option<Farewell> {
    let close = CloseFrame::new(CloseCode::new(code)?, message);
    Some(Farewell::new(close).message(outgoing::error(Some(code), message)))
}
