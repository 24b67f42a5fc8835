//! The admin port of the process.
//!
//! Owns where it listens. Must not know its routes. Invariant: it outlives the drain, so that operators see how far
//! that is.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::Router;
use tieline::{Listener, Tls};
use tokio::runtime::Handle;

use super::listen::{ListenError, bind};
use crate::{
    admin::{self, AdminAccess, Api, Exposition, Guard, token::LiveAdminToken},
    app::inspection::Inspector,
};

/// Where it listens unless told otherwise: the port by which exporters of OpenTelemetry are scraped.
const DEFAULT: SocketAddr = at_loopback(9464);

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
    listener: Listener,
    guard: Guard,
    access: AdminAccess,
}

/// The port with its routes.
pub(super) struct ReadyAdminPort {
    pub(super) listener: Listener,
    pub(super) router: Router,
}

impl AdminPort {
    /// `tls` is that of the clients' port.
    pub(super) async fn bind(
        settings: AdminPortSettings,
        tls: Option<&Tls>,
    ) -> Result<Self, ListenError> {
        let listen = settings.listen;
        let mut listener = match listen {
            Some(address) => bind(address).await?,
            None => match bind(DEFAULT).await {
                Ok(listener) => listener,
                Err(_) => bind(FREE).await?,
            },
        };
        if let Some(tls) = tls.filter(|_| settings.tls) {
            listener = listener.tls(tls.clone());
        }
        let is_local = listen.is_none_or(|address| address.ip().is_loopback());
        let guard = Guard::new(settings.token, is_local);
        Ok(Self {
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
            listener,
            guard,
            access,
        } = self;
        let address = listener.local_addr()?;
        tracing::info!(%address, "serving the admin port");
        let exposition = Exposition::new(inspector, Handle::current());
        let api = Api::new(Arc::clone(inspector), access);
        let router = admin::routes(exposition, api, guard, health)?;
        Ok(ReadyAdminPort { listener, router })
    }
}
