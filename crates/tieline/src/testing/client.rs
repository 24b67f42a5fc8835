//! A client of a test.
//!
//! Owns what a test expects, and the deadline of each expectation. Must not know how its connection was
//! made, or how frames are encoded.

use std::{fmt, panic::Location, time::Duration};

use http::Response;
use tieline_websocket::{AnyFrame, CloseFrame, Frame, Message};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    task::{ClientTask, Command, Event},
    wait::{Place, fail, within},
};

/// How many messages a client reads ahead of its test. Then the server finds it slow.
const READ_AHEAD: usize = 1024;

/// How long nothing may come until a test believes that nothing will.
const QUIET: Duration = Duration::from_millis(100);

/// The longest part of a payload in the message of a failure.
const SHOWN: usize = 200;

/// A WebSocket client in memory, for the tests of an application: what it sends and gets goes through
/// everything but a socket.
///
/// ```
/// use tieline::{Accept, Config, Connection, Handler, Hub, Message, Node, testing::TestClient};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     type State = ();
///
///     async fn on_message(&self, connection: &Connection, _: &mut (), message: Message) {
///         connection.emit(message);
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// let node = Node::new(Hub::new(Config::default())?, Echo);
/// let service = node.service(|_request| async { Ok(Accept::new(())) });
///
/// let mut client = TestClient::connect(&service, "/").await;
/// client.send("hello").await;
/// client.expect_text("hello").await;
/// client.close().await;
/// # Ok(())
/// # }
/// ```
///
/// A task of its own reads up to 1,024 messages ahead, answers pings, and confirms a close. Beyond that the
/// server finds it slow, as any client that does not read; 64 KiB fit between the two in each direction.
/// Dropping the client ends the connection without a close frame, as a client does that crashes.
///
/// Each call that waits fails the test when its deadline passes ([`TestRequest::deadline`], 5 s of tokio's
/// time), with the line of the test that called it. Failures show the payload of messages.
///
/// [`TestRequest::deadline`]: super::TestRequest::deadline
pub struct TestClient {
    response: Response<()>,
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
    deadline: Duration,
    _task: AbortOnDropHandle<()>,
}

impl TestClient {
    pub(super) fn start(
        response: Response<()>,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        deadline: Duration,
    ) -> Self {
        let (commands, to_obey) = mpsc::channel(1);
        let (seen, events) = mpsc::channel(READ_AHEAD);
        let task = tokio::spawn(ClientTask::new().run(stream, to_obey, seen));
        Self {
            response,
            commands,
            events,
            deadline,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// The response to the upgrade, with the headers and the subprotocol that the application chose.
    pub fn response(&self) -> &Response<()> {
        &self.response
    }

    /// Sends a message: text or bytes, or a frame. Waits only while the server does not read.
    ///
    /// # Panics
    /// If the connection has ended, or the server does not read it within the deadline.
    #[track_caller]
    pub fn send(&self, frame: impl Into<Frame>) -> impl Future<Output = ()> + Send {
        let frame = AnyFrame::from(frame.into());
        self.command(Command::Send(frame), "cannot send")
    }

    /// The next message.
    ///
    /// # Panics
    /// If none comes within the deadline, or the connection closes first.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Message> + Send {
        let place = Location::caller();
        async move {
            match self.next("a message", place).await {
                Some(Event::Message(message)) => message,
                other => unexpected("a message", other.as_ref(), place),
            }
        }
    }

    /// Receives the next message, which must be this text.
    ///
    /// # Panics
    /// If another message comes or the connection closes first, or nothing comes within the deadline.
    #[track_caller]
    pub fn expect_text(&mut self, text: impl AsRef<str>) -> impl Future<Output = ()> + Send {
        let place = Location::caller();
        let text = text.as_ref().to_owned();
        async move {
            let wanted = format!("the text {}", shown(&text));
            let event = self.next(&wanted, place).await;
            let is_it = matches!(&event, Some(Event::Message(Message::Text(got))) if *got == text);
            if !is_it {
                unexpected(&wanted, event.as_ref(), place);
            }
        }
    }

    /// Waits 100 ms of tokio's time, in which nothing may come.
    ///
    /// With paused time this takes no time, and is certain for whatever tasks do without a timer: the time
    /// passes only when no task has anything to do. Otherwise a busy machine may take longer than this to
    /// send what it should not. Then rather make something arrive that comes later, and expect it alone.
    ///
    /// # Panics
    /// If a message comes, or the connection closes.
    #[track_caller]
    pub fn expect_nothing(&mut self) -> impl Future<Output = ()> + Send {
        let place = Location::caller();
        async move {
            if let Ok(event) = tokio::time::timeout(QUIET, self.events.recv()).await {
                unexpected("nothing", event.as_ref(), place);
            }
        }
    }

    /// Waits until the server closes, confirms it, and returns its close frame. What came before must have
    /// been received.
    ///
    /// # Panics
    /// If a message comes first, the connection ends without a close frame, or the deadline passes.
    #[track_caller]
    pub fn expect_close(&mut self) -> impl Future<Output = CloseFrame> + Send {
        let place = Location::caller();
        async move {
            match self.next("a close", place).await {
                Some(Event::Close(Some(frame))) => frame,
                other => unexpected("a close", other.as_ref(), place),
            }
        }
    }

    /// Closes with code 1000, and waits until the server has confirmed it and ended the connection. What it
    /// sent before is discarded. `on_disconnect` has begun by then, and may not have ended:
    /// [`eventually`](super::eventually) waits for its effects.
    ///
    /// # Panics
    /// If the server does not end it within the deadline.
    #[track_caller]
    pub fn close(self) -> impl Future<Output = ()> + Send {
        let normal = CloseFrame::new(tieline_websocket::CloseCode::NORMAL, "");
        self.close_with(normal)
    }

    /// As [`close`](Self::close), with another code and a reason.
    ///
    /// # Panics
    /// If the server does not end it within the deadline.
    #[track_caller]
    pub fn close_with(self, frame: CloseFrame) -> impl Future<Output = ()> + Send {
        let place = Location::caller();
        async move {
            // As a whole: the block would capture the fields that it uses, and the task would end here.
            let mut client = self;
            let close = AnyFrame::close(Some(&frame));
            // If the server closed meanwhile, only its end is left to wait for.
            let _ = client.commands.send(Command::Send(close)).await;
            let ended = async { while client.events.recv().await.is_some() {} };
            within(client.deadline, place, "the connection did not end", ended).await;
        }
    }

    /// From now on leaves pings unanswered, as a client does whose network is gone: the server closes it
    /// after [`Config::ping_interval`](crate::Config::ping_interval) and
    /// [`ping_timeout`](crate::Config::ping_timeout).
    ///
    /// # Panics
    /// If the connection has ended.
    #[track_caller]
    pub fn ignore_pings(&self) -> impl Future<Output = ()> + Send {
        self.command(Command::AnswerPings(false), "cannot ignore pings")
    }

    /// From now on reads nothing, as a client does that is too slow: what the server sends waits in 64 KiB
    /// between the two, then in its outbox.
    ///
    /// # Panics
    /// If the connection has ended.
    #[track_caller]
    pub fn stop_reading(&self) -> impl Future<Output = ()> + Send {
        self.command(Command::Read(false), "cannot stop reading")
    }

    /// Reads again after [`stop_reading`](Self::stop_reading).
    ///
    /// # Panics
    /// If the connection has ended.
    #[track_caller]
    pub fn resume_reading(&self) -> impl Future<Output = ()> + Send {
        self.command(Command::Read(true), "cannot resume reading")
    }

    #[track_caller]
    fn command(&self, command: Command, failed: &'static str) -> impl Future<Output = ()> + Send {
        let place = Location::caller();
        let (commands, deadline) = (self.commands.clone(), self.deadline);
        async move {
            let sent = commands.send(command);
            let sent = within(deadline, place, "the server did not read", sent).await;
            if sent.is_err() {
                fail(place, format_args!("{failed}: the connection has ended"));
            }
        }
    }

    async fn next(&mut self, wanted: &str, place: Place) -> Option<Event> {
        let missing = format!("expected {wanted}, but nothing came");
        within(self.deadline, place, &missing, self.events.recv()).await
    }
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("response", &self.response)
            .finish_non_exhaustive()
    }
}

fn unexpected(wanted: &str, event: Option<&Event>, place: Place) -> ! {
    let got = match event {
        Some(Event::Message(Message::Text(text))) => format!("got the text {}", shown(text)),
        Some(Event::Message(message)) => format!("got {} bytes of binary", message.len()),
        Some(Event::Close(Some(CloseFrame { code, reason }))) => {
            format!("the server closed with code {}: {reason:?}", code.as_u16())
        }
        Some(Event::Close(None)) => "the server closed without a code".into(),
        Some(Event::Broken(rule)) => (*rule).into(),
        None => "the connection has ended".into(),
    };
    fail(place, format_args!("expected {wanted}, but {got}"))
}

/// The text in quotes, cut if it is long.
fn shown(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(SHOWN)];
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut:?}{more}")
}
