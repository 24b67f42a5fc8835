//! A link's two tasks: one dials, exchanges and dials again; one keeps the time.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    exchange,
    link::{LinkStatus, PeerView, Shared, complete_all},
    unary_client,
};
use crate::link::{config::GREETING_WITHIN, outcome::Completion, transport::Connection};

/// Full jitter between zero and a bound that doubles from the first to the last.
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MOST: Duration = Duration::from_secs(2);
/// A peer of go-websocket may have been replaced at its address.
const ASK_FOREIGN_AGAIN: Duration = Duration::from_secs(30);

/// Why a stream or a dial ended.
pub(super) enum LinkEnd {
    /// Whatever it was, the next dial may succeed.
    Broken(String),
    /// The peer's node has ended in order.
    Left,
    /// The peer answers and refuses: an operator has to do something.
    Refused(String),
    /// The peer does not know the stream.
    Foreign,
}

/// Dials for as long as the link exists.
pub(super) async fn run<T: Completion>(shared: Arc<Shared<T>>) {
    let dialling = async {
        let mut failures: u32 = 0;
        loop {
            let began = Instant::now();
            let status = shared.state.lock().dial(began, failures == 0);
            shared.announce(status);
            // Boxed: its states are larger than all else that the task holds.
            let ended = Box::pin(session(&shared)).await;
            let was_up = matches!(shared.standing_now(), LinkStatus::Up | LinkStatus::Suspect);
            shared.close(LinkStatus::Down);
            shared.log_end(&ended, was_up, failures);
            // A stream that breaks at once is no better than a failed dial.
            failures = if was_up && began.elapsed() > BACKOFF_MOST {
                0
            } else {
                failures.saturating_add(1)
            };
            if failures > 0 {
                tokio::select! {
                    () = sleep(backoff(failures)) => {}
                    () = shared.dial_now.notified() => failures = 0,
                }
            }
        }
    };
    shared.ending.run_until_cancelled(dialling).await;
    shared.close(LinkStatus::LinkEnd);
}

fn backoff(failures: u32) -> Duration {
    let most = BACKOFF_MOST.min(BACKOFF.saturating_mul(1 << (failures - 1).min(16)));
    most.mul_f64(fastrand::f64())
}

/// One connection, from its dial to its end.
async fn session<T: Completion>(shared: &Arc<Shared<T>>) -> LinkEnd {
    let dial = Connection::dial(&shared.address, &shared.config, &shared.tasks);
    let connection = match timeout(GREETING_WITHIN, dial).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return LinkEnd::Broken(error.to_string()),
        Err(_) => return LinkEnd::Broken("the dial took too long".into()),
    };
    loop {
        match exchange::exchange(shared, &connection).await {
            LinkEnd::Foreign => {}
            ended => return ended,
        }
        shared.greet_foreign();
        let until = Instant::now() + ASK_FOREIGN_AGAIN;
        if !unary_client::serve(shared, &connection, until).await {
            return LinkEnd::Broken("the connection ended".into());
        }
    }
}

/// Looks at the clock whenever something may have become too old. A timer for each post would cost more
/// than the post.
pub(super) async fn keep_time<T: Completion>(shared: Arc<Shared<T>>) {
    let keeping = async {
        let mut next = Instant::now();
        loop {
            tokio::select! {
                () = sleep_until(next) => {}
                () = shared.busy.notified() => {}
            }
            next = shared.on_tick();
        }
    };
    shared.ending.run_until_cancelled(keeping).await;
}

impl<T: Completion> Shared<T> {
    fn standing_now(&self) -> LinkStatus {
        *self.status.borrow()
    }

    /// Decides all that waits or was sent. A link that has ended refuses posts as one that is down does.
    fn close(&self, status: LinkStatus) {
        let mut completions = Vec::new();
        self.state.lock().close(&mut completions);
        *self.known.write() = PeerView::default();
        self.announce(status);
        complete_all(&mut completions);
    }

    fn on_tick(&self) -> Instant {
        let mut completions = Vec::new();
        let looked = self.state.lock().on_tick(Instant::now(), &mut completions);
        if looked.turned_suspect {
            tracing::warn!(peer = %self.address, "the peer answers nothing");
            self.announce(LinkStatus::Suspect);
        }
        if let Some(connection) = looked.dead {
            connection.end();
        }
        if let Some(sender) = looked.sender {
            sender.wake();
        }
        complete_all(&mut completions);
        looked.next
    }

    fn greet_foreign(&self) {
        let was_foreign = {
            let mut known = self.known.write();
            let before = known.foreign;
            *known = PeerView {
                foreign: true,
                ..PeerView::default()
            };
            before
        };
        let sender = self.state.lock().greet(usize::MAX, Instant::now());
        if let Some(sender) = sender {
            sender.wake();
        }
        self.busy.notify_one();
        self.announce(LinkStatus::Up);
        if !was_foreign {
            tracing::info!(peer = %self.address, "link up, by unary calls");
        }
    }

    /// Once for each change; a refusal for each dial, since an operator has to act on it.
    fn log_end(&self, ended: &LinkEnd, was_up: bool, failures: u32) {
        let peer = &self.address;
        match ended {
            LinkEnd::Foreign => {}
            LinkEnd::Left => tracing::info!(%peer, "the peer has ended in order"),
            LinkEnd::Refused(why) => tracing::warn!(%peer, %why, "the peer refuses the link"),
            LinkEnd::Broken(why) if was_up => tracing::warn!(%peer, %why, "link down"),
            LinkEnd::Broken(why) if failures == 0 => {
                tracing::warn!(%peer, %why, "cannot reach the peer");
            }
            LinkEnd::Broken(why) => tracing::debug!(%peer, %why, "cannot reach the peer"),
        }
    }
}
