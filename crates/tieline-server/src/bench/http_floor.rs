//! `tieline bench http-floor`: what an HTTP server costs before it does anything.
//!
//! An axum handler that reads the body and answers 202, on one thread. It has no limits: never use it for
//! anything but measurements. Must not know Tieline.

use std::net::SocketAddr;

use anyhow::Context;
use axum::{Router, body::Bytes, extract::DefaultBodyLimit, http::StatusCode, routing::post};
use tokio::{net::TcpListener, runtime};

/// Serves until the process ends.
pub(crate) fn http_floor(address: SocketAddr) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        eprintln!("listening on {}", listener.local_addr()?);
        let router = Router::new()
            .route("/{*path}", post(accept))
            .layer(DefaultBodyLimit::disable());
        Ok(axum::serve(listener, router).await?)
    })
}

async fn accept(_body: Bytes) -> StatusCode {
    StatusCode::ACCEPTED
}
