//! Callbacks that can fail.
//!
//! Owns what happens to an error that a callback returns. A [`TryHandler`] is a [`Handler`], so nothing else
//! has to know of it. Invariant: the close begins before `on_error` is called.

use std::{error::Error, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use tieline_websocket::{Chunk, CloseCode, CloseFrame, Message};

use crate::{
    ask::RequestError,
    close::CloseReason,
    handler::{ConnectionError, Handler, refuse_chunks},
    hub::Connection,
    inbound::ExcessVerdict,
};

/// A [`Handler`] whose callbacks return a `Result`, so that `?` works in them.
///
/// An error closes the connection with the close frame that the error chooses, code 1011 by default, and is
/// passed to `on_error` as [`ConnectionError::Handler`]. Frames that the callback has sent still leave. Like
/// any close by the application, it is reported as [`CloseReason::Application`]. If the connection was
/// closing already, its reason stays.
///
/// Every `TryHandler` is a [`Handler`]: pass it to [`Node::new`](crate::Node::new). Use
/// `Box<dyn Error + Send + Sync>` as the error if all errors are alike, or a type of your own that decides:
///
/// ```
/// use tieline::{CallbackError, CloseCode, CloseFrame, Connection, Message, TryHandler};
///
/// #[derive(Debug, thiserror::Error)]
/// enum Trouble {
///     #[error("expected a number: {0}")]
///     NoNumber(#[from] std::num::ParseIntError),
///     #[error("the database is away")]
///     NoDatabase,
/// }
///
/// impl CallbackError for Trouble {
///     fn close_frame(&self) -> CloseFrame {
///         match self {
///             Self::NoNumber(error) => CloseFrame::new(CloseCode::POLICY_VIOLATION, error.to_string()),
///             Self::NoDatabase => CloseFrame::new(CloseCode::TRY_AGAIN_LATER, "try again later"),
///         }
///     }
/// }
///
/// struct Doubler;
///
/// impl TryHandler for Doubler {
///     type State = ();
///     type Error = Trouble;
///
///     async fn on_message(&self, client: &Connection, _: &mut (), message: Message) -> Result<(), Trouble> {
///         let number: i32 = message.as_text().unwrap_or_default().parse()?;
///         client.emit(number.wrapping_mul(2).to_string());
///         Ok(())
///     }
/// }
/// ```
pub trait TryHandler: Send + Sync + 'static {
    /// As [`Handler::State`].
    type State: Send + 'static;

    /// What `on_connect`, `on_message` and `on_chunk` fail with.
    type Error: CallbackError;

    /// As [`Handler::on_connect`].
    fn on_connect(
        &self,
        connection: &Connection,
        state: &mut Self::State,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = (connection, state);
        async { Ok(()) }
    }

    /// As [`Handler::on_message`].
    fn on_message(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        message: Message,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// As [`Handler::on_chunk`].
    fn on_chunk(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        chunk: Chunk,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = (state, chunk);
        async {
            refuse_chunks(connection);
            Ok(())
        }
    }

    /// As [`Handler::on_excess`].
    fn on_excess(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        message: &Message,
    ) -> impl Future<Output = ExcessVerdict> + Send {
        let _ = (connection, state, message);
        async { ExcessVerdict::SlowDown }
    }

    /// As [`Handler::on_error`]; called for the errors of the callbacks, too.
    fn on_error(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        error: ConnectionError,
    ) -> impl Future<Output = ()> + Send {
        let _ = (connection, state, error);
        async {}
    }

    /// As [`Handler::on_disconnect`].
    fn on_disconnect(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        reason: CloseReason,
    ) -> impl Future<Output = ()> + Send {
        let _ = (connection, state, reason);
        async {}
    }

    /// As [`Handler::on_request`].
    fn on_request(
        &self,
        connection: &Connection,
        request: Bytes,
    ) -> impl Future<Output = Result<Bytes, RequestError>> + Send {
        let _ = (connection, request);
        async { Err(RequestError::unsupported()) }
    }

    /// As [`Handler::on_node_request`].
    fn on_node_request(
        &self,
        request: Bytes,
    ) -> impl Future<Output = Result<Bytes, RequestError>> + Send {
        let _ = request;
        async { Err(RequestError::unsupported()) }
    }
}

/// An error that a callback returns, and how the connection is closed because of it.
///
/// It must convert into `Box<dyn Error + Send + Sync>`, as all types do that implement [`Error`].
pub trait CallbackError: Into<Box<dyn Error + Send + Sync>> + Send {
    /// The close frame for the client. Default: code 1011, internal error, without a reason, because the
    /// text of an error is not meant for strangers.
    fn close_frame(&self) -> CloseFrame {
        CloseFrame::new(CloseCode::INTERNAL_ERROR, "")
    }
}

impl CallbackError for Box<dyn Error + Send + Sync> {}

#[diagnostic::do_not_recommend]
impl<T: TryHandler> Handler for T {
    type State = T::State;

    async fn on_connect(&self, connection: &Connection, state: &mut Self::State) {
        if let Err(error) = TryHandler::on_connect(self, connection, state).await {
            fail(self, connection, state, error).await;
        }
    }

    async fn on_message(&self, connection: &Connection, state: &mut Self::State, message: Message) {
        if let Err(error) = TryHandler::on_message(self, connection, state, message).await {
            fail(self, connection, state, error).await;
        }
    }

    async fn on_chunk(&self, connection: &Connection, state: &mut Self::State, chunk: Chunk) {
        if let Err(error) = TryHandler::on_chunk(self, connection, state, chunk).await {
            fail(self, connection, state, error).await;
        }
    }

    fn on_excess(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        message: &Message,
    ) -> impl Future<Output = ExcessVerdict> + Send {
        TryHandler::on_excess(self, connection, state, message)
    }

    fn on_error(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        error: ConnectionError,
    ) -> impl Future<Output = ()> + Send {
        TryHandler::on_error(self, connection, state, error)
    }

    fn on_disconnect(
        &self,
        connection: &Connection,
        state: &mut Self::State,
        reason: CloseReason,
    ) -> impl Future<Output = ()> + Send {
        TryHandler::on_disconnect(self, connection, state, reason)
    }

    fn on_request(
        &self,
        connection: &Connection,
        request: Bytes,
    ) -> impl Future<Output = Result<Bytes, RequestError>> + Send {
        TryHandler::on_request(self, connection, request)
    }

    fn on_node_request(
        &self,
        request: Bytes,
    ) -> impl Future<Output = Result<Bytes, RequestError>> + Send {
        TryHandler::on_node_request(self, request)
    }
}

/// Boxed, so that it does not enlarge the futures of callbacks that succeed.
fn fail<'a, T: TryHandler>(
    handler: &'a T,
    connection: &'a Connection,
    state: &'a mut T::State,
    error: T::Error,
) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    connection.close(error.close_frame());
    let error = ConnectionError::Handler(Arc::from(error.into()));
    Box::pin(handler.on_error(connection, state, error))
}
