//! When a connection's first bytes came.
//!
//! In a cluster the connection that arrived last has its id. A process that stood still accepts late
//! what came long ago: by the time of the accept its connections would win over those that the same
//! clients have meanwhile made elsewhere. So the kernel is asked when the first bytes came. Where it
//! does not tell, the time of the accept serves.

use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};

/// Has the kernel note the time for all connections that this listener will accept. Costs it some
/// 30 ns a packet.
#[cfg(all(feature = "cluster", target_os = "linux"))]
pub(super) fn note(listener: &TcpListener) {
    use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};

    if let Err(error) = setsockopt(listener, ReceiveTimestampns, &true) {
        tracing::debug!(%error, "the kernel does not note arrivals");
    }
}

/// When the first bytes of a connection came, or now if none have.
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
    let came = message.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
        _ => None,
    })?;
    // The kernel tells by the wall clock; only the difference is of interest, and a jump of the clock
    // in between makes the connection a little older or as old as now.
    let wall = clock_gettime(ClockId::Realtime);
    let wall = Duration::new(wall.tv_sec.try_into().ok()?, wall.tv_nsec.try_into().ok()?);
    wall.checked_sub(came)
}

/// Only a cluster wants to know.
#[cfg(not(all(feature = "cluster", target_os = "linux")))]
pub(super) fn note(_: &TcpListener) {}

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

    #[tokio::test]
    async fn bytes_that_waited_are_as_old_as_they_are() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        note(&listener);
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        client.write_all(b"GET").await.unwrap();
        let sent = Instant::now();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (stream, _) = listener.accept().await.unwrap();
        let arrived = of(&stream);
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
    async fn a_connection_without_bytes_arrives_now() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        note(&listener);
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let before = Instant::now();
        assert!(of(&stream) >= before);
    }
}
