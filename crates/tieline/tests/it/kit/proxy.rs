//! A TCP proxy that simulates network faults: it passes, delays, goes silent in one direction or
//! both, cuts, refuses. Bytes in a silent direction are not lost; they pass once the direction
//! opens again.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

/// What a proxy does with bytes and connections from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Each read waits this long before it is written.
    Delay(Duration),
    /// Nothing passes from the client to the target.
    SilentThere,
    /// Nothing passes from the target to the client.
    SilentBack,
    /// Nothing passes; new connections are accepted and silent.
    Silent,
    /// New connections are refused; existing ones pass.
    Refuse,
}

impl Mode {
    fn holds(self, is_back: bool) -> bool {
        match self {
            Self::Silent => true,
            Self::SilentThere => !is_back,
            Self::SilentBack => is_back,
            Self::Pass | Self::Delay(_) | Self::Refuse => false,
        }
    }
}

/// A running proxy; it ends when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<u64>,
    task: AbortHandle,
}

impl Proxy {
    /// A proxy to `target`, on a free port of loopback.
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, cuts) = (watch::Sender::new(Mode::Pass), watch::Sender::new(0));
        let relay = Arc::new(Relay {
            target,
            mode: mode.subscribe(),
            cuts: cuts.subscribe(),
        });
        let task = tokio::spawn(relay.run(listener, address)).abort_handle();
        Self {
            address,
            mode,
            cuts,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Closes the existing connections.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Relay {
    target: SocketAddr,
    mode: watch::Receiver<Mode>,
    cuts: watch::Receiver<u64>,
}

impl Relay {
    async fn run(self: Arc<Self>, listener: TcpListener, address: SocketAddr) {
        let mut mode = self.mode.clone();
        let mut listener = Some(listener);
        let mut connections = JoinSet::new();
        loop {
            // A port refuses connections while nobody listens on it.
            if *mode.borrow_and_update() == Mode::Refuse {
                listener = None;
            } else if listener.is_none() {
                listener = Some(TcpListener::bind(address).await.unwrap());
            }
            let accept = async {
                match &listener {
                    Some(listener) => listener.accept().await.unwrap().0,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                near = accept => drop(connections.spawn(Arc::clone(&self).connection(near))),
                changed = mode.changed() => changed.unwrap(),
            }
        }
    }

    async fn connection(self: Arc<Self>, near: TcpStream) {
        let mut cuts = self.cuts.clone();
        cuts.mark_unchanged();
        let relay = async {
            let far = TcpStream::connect(self.target).await?;
            near.set_nodelay(true)?;
            far.set_nodelay(true)?;
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::try_join!(
                self.pump(near_read, far_write, false),
                self.pump(far_read, near_write, true)
            )
        };
        tokio::select! {
            // The end of either side ends both.
            _ = relay => {}
            _ = cuts.changed() => {}
        }
    }

    async fn pump(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        is_back: bool,
    ) -> io::Result<()> {
        let mut mode = self.mode.clone();
        let mut buffer = vec![0; 64 << 10];
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            mode.wait_for(|mode| !mode.holds(is_back))
                .await
                .map_err(gone)?;
            let now = *mode.borrow();
            if let Mode::Delay(time) = now {
                sleep(time).await;
            }
            to.write_all(&buffer[..read]).await?;
        }
    }
}
