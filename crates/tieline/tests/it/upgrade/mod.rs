//! How clients connect: the listener, TLS, an axum router, and the application's decision.

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "tls")]
mod certificates;
mod descriptors;
mod failures;
mod farewells;
mod proxies;
mod requests;
#[cfg(feature = "axum")]
mod socket;
#[cfg(feature = "tls")]
mod tls;
mod unix;
