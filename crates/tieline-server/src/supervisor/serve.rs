//! What the commands do: nodes, their routes, their life.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use tieline::{Cluster, Hub, Listener, Node};

use super::{
    cluster,
    lifecycle::{Serving, Supervisor},
    routes,
};
use crate::{
    Usage,
    app::events::{Events, NoEvents},
    cli::{Clients, Serve},
    wire::webpubsub::handler::WebPubSub,
};

/// `tieline serve`.
pub(crate) async fn serve(options: Serve) -> anyhow::Result<()> {
    let config = options.config();
    config
        .validate()
        .map_err(|e| Usage(in_flags(&e.to_string())))?;
    let url = options.registry.url()?;
    let peers = options.peers.config(&config)?;
    let clients = &options.common.clients;
    let mut listener = bind(options.common.listen, clients, "--listen").await?;
    if let Some(tls) = options.tls.read()? {
        listener = listener.tls(tls);
    }
    let registry = match url {
        Some(url) => Some(cluster::connect(url, &options.registry).await?),
        None => None,
    };
    let cluster = cluster::start(Hub::new(config)?, registry, peers, url).await?;
    let (address, peers) = (listener.local_addr()?, cluster.address());
    tracing::info!(%address, hub = %clients.hub, peers, "listening");

    let node = node(cluster, NoEvents);
    let life = Supervisor::new();
    let router = routes::routes(&node, clients, life.phase());
    let delay = Duration::from_secs(options.limits.drain_delay);
    let serving = Serving {
        listener,
        node,
        router,
    };
    life.serve(vec![serving], delay).await
}

/// A node of Web PubSub clients.
pub(super) fn node<E: Events>(cluster: Cluster, events: E) -> Node<WebPubSub<E>> {
    let handler = WebPubSub::new(cluster.clone(), events);
    Node::in_cluster(cluster, handler)
}

/// Listens on an address that these clients may reach; `flag` is where it comes from.
pub(super) async fn bind(
    address: SocketAddr,
    clients: &Clients,
    flag: &str,
) -> anyhow::Result<Listener> {
    if let Some(bind_error) = clients.bind_error(address) {
        return Err(Usage(bind_error).into());
    }
    raise_descriptor_limit();
    let listener = Listener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}; choose another with {flag}"))
}

/// Takes as many descriptors as the system grants: each connection needs one.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is not granted, the limit on connections follows what there is.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    );
}

/// A setting's error in the words of the command line.
fn in_flags(error: &str) -> String {
    let names = [
        ("outbox_bytes", "--max-outbox"),
        ("message_size", "--max-message"),
        ("max_connections", "--max-connections"),
        ("drain_timeout", "--drain-timeout"),
        ("drain_window", "--drain-window"),
        ("close_timeout", "5 seconds"),
    ];
    names.iter().fold(error.to_owned(), |text, (name, flag)| {
        text.replace(name, flag)
    })
}
