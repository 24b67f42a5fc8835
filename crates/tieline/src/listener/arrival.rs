//! When the first bytes of a connection arrived.
//!
//! In a cluster, the connection that arrived last gets a client id. A process that was suspended accepts
//! connections long after they arrived: if the time of the accept counted, they would win over those that
//! the same clients have made elsewhere since. So the kernel records when the first bytes arrived. If it
//! cannot, the time of the accept is used.

use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};

/// Makes the kernel record the time for all connections that this listener accepts, which costs it some 30
/// ns per packet.
#[cfg(all(feature = "cluster", target_os = "linux"))]
pub(super) fn enable(listener: &TcpListener) {
    use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};

    if let Err(error) = setsockopt(listener, ReceiveTimestampns, &true) {
        tracing::debug!(%error, "the kernel does not record arrival times");
    }
}

/// When the first bytes of a connection arrived; now, if none have.
#[cfg(all(feature = "cluster", target_os = "linux"))]
pub(super) fn of(stream: &TcpStream) -> Instant {
    let now = Instant::now();
    age(stream)
        .and_then(|age| now.checked_sub(age))
        .unwrap_or(now)
}

#[cfg(all(feature = "cluster", target_os = "linux"))]
fn age(stream: &TcpStream) -> Option<std::time::Duration> {
    use std::{io::IoSliceMut, os::fd::AsRawFd, time::Duration};

    use nix::{
        cmsg_space,
        sys::{
            socket::{ControlMessageOwned, MsgFlags, recvmsg},
            time::TimeSpec,
        },
    };
    use rustix::time::{ClockId, clock_gettime};

    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let mut control = cmsg_space!(TimeSpec);
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut bytes, Some(&mut control), flags).ok()?;
    let arrived = message.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
        _ => None,
    })?;
    // The kernel uses the wall clock. Only the difference matters; if the clock jumps in between, the
    // connection seems older than it is, or new.
    let wall = clock_gettime(ClockId::Realtime);
    let wall = Duration::new(wall.tv_sec.try_into().ok()?, wall.tv_nsec.try_into().ok()?);
    wall.checked_sub(arrived)
}

/// Only clusters compare arrival times.
#[cfg(not(all(feature = "cluster", target_os = "linux")))]
pub(super) fn enable(_: &TcpListener) {}

/// The time of the accept.
#[cfg(not(all(feature = "cluster", target_os = "linux")))]
pub(super) fn of(_: &TcpStream) -> Instant {
    Instant::now()
}

#[cfg(all(test, feature = "cluster", target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::*;

    /// When the first bytes of a connection arrived by the kernel, and by its client, if they wait this
    /// long for the accept.
    async fn arrival_after(
        wait: Duration,
        listener: &TcpListener,
    ) -> std::io::Result<(Instant, Instant)> {
        let mut client = TcpStream::connect(listener.local_addr()?).await?;
        client.write_all(b"GET").await?;
        let sent = Instant::now();
        tokio::time::sleep(wait).await;
        let (stream, _) = listener.accept().await?;
        Ok((of(&stream), sent))
    }

    /// The kernel starts recording from a work queue: the first packets after [`enable`] may still count
    /// as arriving when they are read.
    async fn until_recording(listener: &TcpListener) -> std::io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let (arrived, sent) = arrival_after(Duration::from_millis(50), listener).await?;
            if arrived < sent + Duration::from_millis(25) {
                return Ok(());
            }
            assert!(Instant::now() < deadline, "no arrival time is recorded");
        }
    }

    #[tokio::test]
    async fn bytes_that_waited_keep_the_time_of_their_arrival() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        enable(&listener);
        until_recording(&listener).await.unwrap();
        let (arrived, sent) = arrival_after(Duration::from_millis(300), &listener)
            .await
            .unwrap();
        assert!(
            arrived <= sent + Duration::from_millis(20),
            "{:?}",
            arrived - sent
        );
        assert!(
            arrived + Duration::from_millis(100) >= sent,
            "{:?}",
            sent - arrived
        );
    }

    #[tokio::test]
    async fn a_connection_without_bytes_arrives_at_the_accept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        enable(&listener);
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let before = Instant::now();
        assert!(of(&stream) >= before);
    }
}
