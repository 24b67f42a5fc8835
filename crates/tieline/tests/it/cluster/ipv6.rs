//! Nodes on a machine without IPv4, in a network of their own.

use std::{
    env,
    process::{Command, Output},
};

use tieline::{ClusterConfig, Config, Delivery};

use crate::kit::{TestNode, memory_registry, run, test_config};

/// Set in the process that runs in the network without IPv4.
const INSIDE: &str = "TIELINE_TEST_IPV6";
const TEST: &str = "cluster::ipv6::nodes_without_ipv4_find_and_reach_each_other";
/// The network could not be made.
const NO_NETWORK: i32 = 77;

/// Gives the namespace an address, and runs this test in it.
const SCRIPT: &str =
    "{ ip link set lo up && ip -6 address add fd00::5/64 dev lo nodad; } || exit 77
exec \"$0\" --exact \"$1\" --nocapture";

fn in_namespace(options: &[&str]) -> Option<Output> {
    let mut command = Command::new("unshare");
    command.args(options).args(["sh", "-c", SCRIPT]);
    command.arg(env::current_exe().unwrap()).arg(TEST);
    let output = command.env(INSIDE, "1").output().ok()?;
    // 1 is also how `unshare` reports that it may not.
    let started = String::from_utf8_lossy(&output.stdout).contains("running 1 test");
    let is_made = started && output.status.code() != Some(NO_NETWORK);
    is_made.then_some(output)
}

#[test]
fn nodes_without_ipv4_find_and_reach_each_other() {
    if env::var_os(INSIDE).is_some() {
        return run(link_over_ipv6());
    }
    let ways: [&[&str]; 2] = [&["--net"], &["--map-root-user", "--net"]];
    let Some(output) = ways.into_iter().find_map(in_namespace) else {
        eprintln!("skipped: this machine permits no network namespaces with IPv6");
        return;
    };
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn link_over_ipv6() {
    let registry = memory_registry();
    let start = || {
        let mut config = ClusterConfig {
            listen: "[::]:0".parse().unwrap(),
            ..test_config()
        };
        config.security.plaintext = true;
        TestNode::start_with(&registry, Config::default(), config)
    };
    let (a, b) = (start().await, start().await);
    assert!(
        a.peer_address().starts_with("[fd00::5]:"),
        "{}",
        a.peer_address()
    );
    a.wait_for_links(1).await;
    b.wait_for_links(1).await;
    let mut client = b.client("id=client").await;
    assert_eq!(
        a.cluster.emit("client", "by IPv6").await,
        Delivery::Delivered
    );
    assert_eq!(client.text().await, "by IPv6");
}
