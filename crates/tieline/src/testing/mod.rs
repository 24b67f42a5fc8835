//! Tests of your own handler: clients without sockets, clusters in one process, waits with deadlines.
//!
//! A [`TestClient`] goes through everything that a client of a [`Listener`](crate::Listener) goes through
//! except the socket: your routes, your decision about the upgrade, your handler or the task of a
//! [`Socket`](crate::Socket). A [`TestRequest`] tests the decision, a [`TestCluster`] what happens across
//! nodes, and [`eventually`] waits for what no client is told.
//!
//! ```toml
//! [dev-dependencies]
//! tieline = { version = "0.1", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! With the time paused, which needs tokio's feature `test-util`, minutes pass at once, as soon as every task
//! waits:
//!
//! ```rust,test_harness
//! use std::time::Duration;
//! use tieline::{Accept, Config, Hub, Node, testing::TestClient};
//!
//! #[tokio::test(start_paused = true)]
//! async fn a_client_whose_network_is_gone_is_closed() {
//!     let config = Config::default();
//!     let silence = config.ping_interval + config.ping_timeout;
//!     let node = Node::new(Hub::new(config).unwrap(), ());
//!     let service = node.service(|_| async { Ok(Accept::new(())) });
//!
//!     let mut client = TestClient::connect(&service, "/").await;
//!     client.ignore_pings().await;
//!     tokio::time::sleep(silence + Duration::from_secs(2)).await;
//!     assert_eq!(client.expect_close().await.code.as_u16(), 1011);
//! }
//! ```
//!
//! Let the time pass by `sleep`, not by `tokio::time::advance`: a jump looks to the hub as if the process had
//! been suspended, and such time does not count as a client's silence.

mod client;
#[cfg(feature = "cluster")]
mod cluster;
mod codec;
mod request;
mod task;
mod wait;

#[cfg(feature = "cluster")]
pub use self::cluster::TestCluster;
pub use self::{client::TestClient, request::TestRequest, wait::eventually};
