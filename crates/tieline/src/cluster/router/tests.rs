use uuid::Uuid;

use super::*;
use crate::{
    cluster::{
        lifecycle,
        pending::{Membership, Peer},
    },
    config::Config,
    delivery::Delivery,
    hub::connect_as,
    link::{Link, LinkConfig, PeerSecurity},
};

/// A route to a node that does not exist.
fn route(tasks: &TaskTracker) -> Route {
    let config = LinkConfig::new(Uuid::nil(), "ws", &PeerSecurity::default());
    let config = Arc::new(config.expect("nothing is wrong with it"));
    let address: Arc<str> = "127.0.0.1:9".into();
    let link = Link::start(Arc::clone(&address), None, config, tasks);
    Route {
        peer: Arc::new(Peer::new(address, link, Membership::Known)),
        stamp: None,
    }
}

#[tokio::test]
async fn a_client_that_comes_here_as_something_is_sent_elsewhere_gets_it() {
    let hub = Hub::new(Config::default()).expect("the defaults are valid");
    let (router, _runtime) = lifecycle::single_node(hub.clone());
    let (sender, receipt) = Receipt::channel();
    let hash = router.routes.hash("client");
    let op = ClientOp::Join("group".into());
    let unicast = Unicast::new("client", hash, op, ResultSender::Delivery(sender));
    // It was decided where to send before the client came.
    let step = NextStep::Forward {
        route: route(&router.tasks),
        is_cached: false,
    };
    let _guard = connect_as(&hub, "client", None, &[]);
    router.execute(unicast, step);
    assert_eq!(receipt.await, Delivery::Delivered);
    assert!(router.ordering.is_idle());
}
