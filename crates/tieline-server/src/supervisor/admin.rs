//! The admin port of the process.
//!
//! Owns where it listens, and that its requests never wait for those of clients. Must not know its routes.
//! Invariant: it outlives the drain, so that operators see how far that is.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::Context;
use axum::Router;
use tieline::{Listener, Tls};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    admin_thread::AdminThread,
    listen::{ListenError, bind},
};
use crate::{
    admin::{self, AdminAccess, Api, Exposition, Guard, token::LiveAdminToken},
    app::inspection::Inspector,
};

/// Where it listens unless told otherwise: the port by which exporters of OpenTelemetry are scraped.
pub(crate) const DEFAULT: SocketAddr = at_loopback(9464);

/// For the second node of a machine, whose operator has not said anything either.
const FREE: SocketAddr = at_loopback(0);

const fn at_loopback(port: u16) -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// The settings of the admin port.
pub(crate) struct AdminPortSettings {
    /// `None` for the default, or a free port of loopback.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) token: LiveAdminToken,
    /// With the certificates of the clients' port.
    pub(crate) tls: bool,
    /// What its users may do.
    pub(crate) access: AdminAccess,
}

/// The port, which listens and is not served yet.
pub(super) struct AdminPort {
    thread: AdminThread,
    listener: Listener,
    guard: Guard,
    access: AdminAccess,
}

/// The port with its routes.
pub(super) struct ReadyAdminPort {
    thread: AdminThread,
    listener: Listener,
    router: Router,
    /// Ends answers that would go on.
    ended: CancellationToken,
}

impl AdminPort {
    /// `tls` asks nobody for a certificate.
    pub(super) async fn bind(
        settings: AdminPortSettings,
        tls: Option<&Tls>,
    ) -> anyhow::Result<Self> {
        let listen = settings.listen;
        let thread = AdminThread::start().context("cannot start the thread of the admin port")?;
        // There, because a socket wakes the runtime that it was made on.
        let mut listener = thread.spawn(bind_or_default(listen)).await??;
        if let Some(tls) = tls.filter(|_| settings.tls) {
            listener = listener.tls(tls.clone());
        }
        let is_local = listen.is_none_or(|address| address.ip().is_loopback());
        let guard = Guard::new(settings.token, is_local);
        Ok(Self {
            thread,
            listener,
            guard,
            access: settings.access,
        })
    }

    /// Adds its routes. `health` answers whether the node is ready.
    pub(super) fn ready(
        self,
        inspector: &Arc<Inspector>,
        health: Router,
    ) -> anyhow::Result<ReadyAdminPort> {
        let Self {
            thread,
            listener,
            guard,
            access,
        } = self;
        let address = listener.local_addr()?;
        tracing::info!(%address, "serving the admin port");
        let exposition = Exposition::new(inspector, Handle::current());
        let ended = CancellationToken::new();
        let api = Api::new(Arc::clone(inspector), access, ended.clone());
        let router = admin::routes(exposition, api, guard, health)?;
        Ok(ReadyAdminPort {
            thread,
            listener,
            router,
            ended,
        })
    }
}

impl ReadyAdminPort {
    /// Begins to serve at once, until the token is cancelled.
    pub(super) fn serve(self, ended: CancellationToken) -> impl Future<Output = ()> {
        let Self {
            thread,
            listener,
            router,
            ended: answers,
        } = self;
        let shutdown = async move {
            ended.cancelled_owned().await;
            answers.cancel();
        };
        let served = thread.spawn(listener.serve(router, shutdown));
        async move {
            let _ = served.await;
            drop(thread);
        }
    }
}

async fn bind_or_default(listen: Option<SocketAddr>) -> Result<Listener, ListenError> {
    match listen {
        Some(address) => bind(address).await,
        None => match bind(DEFAULT).await {
            Ok(listener) => Ok(listener),
            Err(_) => bind(FREE).await,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpStream,
        time::Duration,
    };

    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn operators_are_answered_while_no_worker_is_free() {
        let thread = AdminThread::start().unwrap();
        let listener = thread.spawn(bind(FREE)).await.unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/readyz", get(|| async { "ready\n" }));
        let port = ReadyAdminPort {
            thread,
            listener,
            router,
            ended: CancellationToken::new(),
        };
        let ended = CancellationToken::new();
        let served = port.serve(ended.clone());
        // This runtime has one thread, which waits here.
        let mut client = TcpStream::connect(address).unwrap();
        let deadline = Some(Duration::from_secs(30));
        client.set_read_timeout(deadline).unwrap();
        let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        ended.cancel();
        served.await;
    }
}
