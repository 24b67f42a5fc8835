//! Waiting with a deadline.
//!
//! Owns how a test fails: with what was missing, and with the place of the call, because the panic itself
//! is in this crate.

use std::{fmt::Display, panic::Location, time::Duration};

use tokio::time::{sleep, timeout};

/// How long a test waits unless it says otherwise.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// How long [`eventually`] waits before it asks again.
const PAUSE: Duration = Duration::from_millis(5);

/// The line of a test.
pub(super) type Place = &'static Location<'static>;

/// Fails the test.
pub(super) fn fail(place: Place, why: impl Display) -> ! {
    panic!("{why}\n  at {place}")
}

/// Waits for a future, and fails the test after the deadline.
pub(super) async fn within<T>(
    deadline: Duration,
    place: Place,
    what: &str,
    future: impl Future<Output = T>,
) -> T {
    match timeout(deadline, future).await {
        Ok(output) => output,
        Err(_) => fail(place, format_args!("{what} within {deadline:?}")),
    }
}

/// Waits until a condition holds, which it checks every 5 ms. For what no message to a client tells: that
/// `on_disconnect` has run, or what the hub's counts are.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// use tieline::{Accept, Config, Hub, Node, testing::{TestClient, eventually}};
///
/// let node = Node::new(Hub::new(Config::default())?, ());
/// let service = node.service(|_| async { Ok(Accept::new(()).group("lobby")) });
/// let client = TestClient::connect(&service, "/").await;
/// assert_eq!(node.hub().group_len("lobby"), 1);
/// drop(client);
/// eventually(async || node.hub().group_len("lobby") == 0).await;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If it does not hold within 5 s of tokio's time.
#[track_caller]
pub fn eventually(mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let place = Location::caller();
    let holds = async move {
        while !condition().await {
            sleep(PAUSE).await;
        }
    };
    within(DEADLINE, place, "the condition did not hold", holds)
}
