//! What the commands do: a node, its routes, its life.

use std::{io::Write, time::Duration};

use anyhow::Context;
use axum::{Router, http::StatusCode, routing::get};
use tieline::{Hub, Listener, Node, Tls};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    Usage,
    cli::{Clients, Common, Demo, Serve, TlsFiles},
    demo::Chat,
    page,
    webpubsub::{self, Events, NoEvents, WebPubSub},
};

/// `tieline demo`.
pub(crate) async fn demo(options: Demo) -> anyhow::Result<()> {
    let listener = bind(&options.common).await?;
    let address = listener.local_addr()?;
    let hub = Hub::new(options.config()).map_err(|e| Usage(e.to_string()))?;
    let node = Node::new(
        hub.clone(),
        WebPubSub {
            events: Chat::start(hub),
        },
    );
    let router =
        routes(&node, &options.common.clients).merge(page::routes(&options.common.clients.hub));

    let mut out = std::io::stdout();
    writeln!(out, "\n  Tieline demo\n")?;
    writeln!(
        out,
        "  Open  http://{address}/  in two tabs: each is a person."
    )?;
    writeln!(out, "  Ctrl+C ends it.\n")?;
    serve_until_told(listener, &node, router, Duration::ZERO).await
}

/// `tieline serve`.
pub(crate) async fn serve(options: Serve) -> anyhow::Result<()> {
    let config = options.config();
    config
        .validate()
        .map_err(|e| Usage(flags(&e.to_string())))?;
    let listener = bind(&options.common).await?;
    let listener = with_tls(listener, &options.tls)?;
    let hub = Hub::new(config)?;
    let node = Node::new(hub, WebPubSub { events: NoEvents });
    let router = routes(&node, &options.common.clients);
    tracing::info!(address = %listener.local_addr()?, hub = %options.common.clients.hub, "listening");
    let delay = Duration::from_secs(options.limits.drain_delay);
    serve_until_told(listener, &node, router, delay).await
}

async fn bind(common: &Common) -> anyhow::Result<Listener> {
    let address = common.listen;
    if let Some(objection) = common.clients.objection(address) {
        return Err(Usage(objection).into());
    }
    raise_descriptor_limit();
    let listener = Listener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}; choose another with --listen"))
}

fn with_tls(listener: Listener, files: &TlsFiles) -> anyhow::Result<Listener> {
    let (Some(cert), Some(key)) = (&files.tls_cert, &files.tls_key) else {
        return Ok(listener);
    };
    let read = |path: &std::path::Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(listener.tls(Tls::from_pem(&read(cert)?, &read(key)?)?))
}

fn routes<E: Events>(node: &Node<WebPubSub<E>>, clients: &Clients) -> Router {
    let ready = node.clone();
    let readiness = move || async move {
        if ready.is_ready() {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        }
    };
    let hub = clients.hub.clone();
    let nothing = format!("nothing is here; clients connect to /client/hubs/{hub}\n");
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .merge(webpubsub::routes(node.clone(), hub, clients.access()))
        .fallback(move || async move { (StatusCode::NOT_FOUND, nothing) })
}

async fn serve_until_told<E: Events>(
    listener: Listener,
    node: &Node<WebPubSub<E>>,
    router: Router,
    delay: Duration,
) -> anyhow::Result<()> {
    let (mut first, mut second) = (Signals::new()?, Signals::new()?);
    let end = async {
        first.next().await;
        node.set_ready(false);
        tracing::info!(
            connections = node.hub().len(),
            "draining; a second signal ends at once"
        );
        tokio::time::sleep(delay).await;
    };
    let impatience = async {
        second.next().await;
        second.next().await;
    };
    tokio::select! {
        drained = node.serve_service(listener, router, end) => {
            anyhow::ensure!(drained.left == 0, "{} connections did not end in time", drained.left);
            Ok(())
        }
        () = impatience => anyhow::bail!("ended by a second signal"),
    }
}

/// SIGTERM and Ctrl+C.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self {
            terminate,
            interrupt,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
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
fn flags(error: &str) -> String {
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
