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
use tieline::Tls;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    admin_thread::AdminThread,
    listen::{ListenError, Port, bind, bind_unix},
};
use crate::{
    admin::{self, AdminAccess, Api, Exposition, Guard, token::LiveAdminToken},
    app::{handshakes::ListenerFailures, inspection::Inspector},
    config::sections::admin::AdminPlace,
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
    pub(crate) listen: Option<AdminPlace>,
    pub(crate) token: LiveAdminToken,
    /// With the certificates of the clients' port.
    pub(crate) tls: bool,
    /// What its users may do.
    pub(crate) access: AdminAccess,
}

/// The port, which listens and is not served yet.
pub(super) struct AdminPort {
    thread: AdminThread,
    port: Port,
    guard: Guard,
    access: AdminAccess,
}

/// The port with its routes.
pub(super) struct ReadyAdminPort {
    thread: AdminThread,
    port: Port,
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
        let is_local = settings.listen.as_ref().is_none_or(AdminPlace::is_local);
        let thread = AdminThread::start().context("cannot start the thread of the admin port")?;
        // There, because a socket wakes the runtime that it was made on.
        let mut port = thread.spawn(bind_or_default(settings.listen)).await??;
        if let Some(tls) = tls.filter(|_| settings.tls) {
            port.listener = port.listener.tls(tls.clone());
        }
        let guard = Guard::new(settings.token, is_local);
        Ok(Self {
            thread,
            port,
            guard,
            access: settings.access,
        })
    }

    /// Adds its routes. `listeners` are those of the clients, and `health` answers whether the node is ready.
    pub(super) fn ready(
        self,
        inspector: &Arc<Inspector>,
        listeners: Vec<ListenerFailures>,
        health: Router,
    ) -> anyhow::Result<ReadyAdminPort> {
        let Self {
            thread,
            port,
            guard,
            access,
        } = self;
        tracing::info!(address = %port.place, "serving the admin port");
        let exposition = Exposition::new(inspector, listeners, Handle::current());
        let ended = CancellationToken::new();
        let api = Api::new(Arc::clone(inspector), access, ended.clone());
        let router = admin::routes(exposition, api, guard, health)?;
        Ok(ReadyAdminPort {
            thread,
            port,
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
            port: Port { listener, file, .. },
            router,
            ended: answers,
        } = self;
        let close = CancellationToken::new();
        let closed = close.clone();
        let shutdown = async move {
            closed.cancelled_owned().await;
            answers.cancel();
        };
        let served = thread.spawn(listener.serve(router, shutdown));
        async move {
            // Not on the thread, which nobody waits for if the process ends at once.
            ended.cancelled_owned().await;
            drop(file);
            close.cancel();
            let _ = served.await;
            drop(thread);
        }
    }
}

async fn bind_or_default(listen: Option<AdminPlace>) -> Result<Port, ListenError> {
    match listen {
        Some(AdminPlace::Address(address)) => bind(address).await,
        Some(AdminPlace::Unix(socket)) => bind_unix(&socket),
        None => match bind(DEFAULT).await {
            Ok(port) => Ok(port),
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
        let port = thread.spawn(bind(FREE)).await.unwrap().unwrap();
        let address = port.listener.local_addr().unwrap();
        let router = Router::new().route("/readyz", get(|| async { "ready\n" }));
        let port = ReadyAdminPort {
            thread,
            port,
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
