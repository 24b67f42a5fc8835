//! Certificates of nodes that are replaced while the nodes run.

use tieline::{Cluster, PeerSecurity, PeerTls, SecurityError};
use tieline_test_servers::Authority;

use super::peer_security::{assert_nodes_work, pair};
use crate::kit::{TestNode, run};

/// A certificate of `own`, and the authorities that are accepted.
fn tls(own: &Authority, accepted: &[&Authority]) -> PeerTls {
    let (certificate, key) = own.issue();
    let authorities: String = accepted.iter().map(|authority| authority.pem()).collect();
    PeerTls {
        certificate: certificate.into(),
        key: key.into(),
        authorities: authorities.into(),
        name: None,
    }
}

fn security(tls: PeerTls) -> PeerSecurity {
    let mut security = PeerSecurity::default();
    security.tls = Some(tls);
    security
}

/// Lets a third node into the cluster and waits until both others reach it: the dials of links in both directions.
async fn a_third_joins(nodes: &[TestNode; 2], tls: PeerTls) -> TestNode {
    let config = super::peer_security::config_with(security(tls));
    let registry = nodes[0].cluster.registry();
    let third = TestNode::start_with(registry, tieline::Config::default(), config).await;
    third.wait_for_links(2).await;
    for node in nodes {
        node.wait_for_links(2).await;
    }
    third
}

#[test]
fn an_authority_is_replaced_without_a_link_going_down() {
    run(async {
        let (old, new) = (Authority::new(), Authority::new());
        let nodes = pair([(); 2].map(|()| security(tls(&old, &[&old])))).await;
        let links_before = nodes[0].cluster.peers();
        let replace = |tls: &dyn Fn() -> PeerTls| {
            let replaced = nodes
                .iter()
                .map(|node| node.cluster.replace_peer_tls(&tls()));
            replaced.for_each(|replaced| replaced.unwrap());
        };
        replace(&|| tls(&old, &[&old, &new]));
        replace(&|| tls(&new, &[&old, &new]));
        replace(&|| tls(&new, &[&new]));
        assert_nodes_work(&nodes).await;
        assert_eq!(nodes[0].cluster.peers(), links_before);
        // Only the new one counts for links that are made now, on both sides of them.
        let third = a_third_joins(&nodes, tls(&new, &[&new])).await;
        let mut ada = third.client("id=ada").await;
        let delivered = nodes[0].cluster.emit("ada", "by the new one").await;
        assert!(delivered.is_delivered());
        assert_eq!(ada.text().await, "by the new one");
    });
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    run(async {
        let authority = Authority::new();
        let nodes = pair([(); 2].map(|()| security(tls(&authority, &[&authority])))).await;
        let mut broken = tls(&authority, &[&authority]);
        broken.key = tls(&authority, &[]).key;
        let error = nodes[0].cluster.replace_peer_tls(&broken).unwrap_err();
        assert!(matches!(error, SecurityError::Tls { .. }), "{error:?}");
        let _third = a_third_joins(&nodes, tls(&authority, &[&authority])).await;
        assert_nodes_work(&nodes).await;
        let hub = tieline::Hub::new(tieline::Config::default()).unwrap();
        let plain = Cluster::single_node(hub);
        let replaced = plain.replace_peer_tls(&tls(&authority, &[&authority]));
        assert_eq!(replaced, Err(SecurityError::NoTls));
    });
}
