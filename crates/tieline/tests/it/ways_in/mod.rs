//! How clients come in: the listener, TLS, an axum router, and what the application decides.

#[cfg(feature = "axum")]
mod axum;
mod descriptors;
mod requests;
#[cfg(feature = "tls")]
mod tls;
