//! The demo's two nodes.

use std::{io::Read, net::TcpListener};

use super::kit::{Server, run};

#[test]
fn each_node_has_a_page_and_the_pages_know_each_other() {
    let mut demo = Server::demo(&["--listen", "127.0.0.1:0"]);
    let all = demo.addresses.join(" ");
    for node in 0..2 {
        let own = &demo.addresses[node];
        let page = demo.get(node, "/");
        assert!(page.contains(&format!(r#"name="tieline-node" content="{own}""#)));
        assert!(page.contains(&format!(r#"name="tieline-nodes" content="{all}""#)));
        assert!(demo.get(node, "/readyz").ends_with("ready\n"));
    }
    demo.signal("INT");
    assert_eq!(demo.exit_code(), Some(0));
}

#[test]
fn the_second_node_takes_the_next_port_or_a_free_one() {
    let (first, next) = neighbours();
    let port = first.local_addr().unwrap().port();
    let listen = first.local_addr().unwrap().to_string();
    drop(first);
    let demo = Server::demo(&["--listen", &listen]);
    let second = &demo.addresses[1];
    assert_ne!(*second, format!("127.0.0.1:{}", port + 1), "it is taken");
    drop((demo, next));
    let demo = Server::demo(&["--listen", &listen]);
    assert_eq!(demo.addresses[1], format!("127.0.0.1:{}", port + 1));
}

/// Two ports beside each other.
fn neighbours() -> (TcpListener, TcpListener) {
    let bind = |port| TcpListener::bind(("127.0.0.1", port));
    // Below those that the system gives out by itself.
    let free = (15_000..20_000).step_by(2).find_map(|port| {
        let both = (bind(port).ok()?, bind(port + 1).ok()?);
        Some(both)
    });
    free.expect("two free ports beside each other")
}

#[test]
fn a_second_address_is_held_to_the_rules_of_the_first() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let first = ["demo", "--listen", "127.0.0.1:0", "--second"];
    let (code, said) = run(&[&first[..], &[&address]].concat());
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&address) && said.contains("--second"),
        "{said}"
    );
    let (code, said) = run(&[&first[..], &["0.0.0.0:0"]].concat());
    assert_eq!(code, Some(2));
    assert!(said.contains("--anonymous"), "{said}");
}

#[test]
fn one_signal_drains_both_nodes_and_a_second_ends_at_once() {
    let mut demo = Server::demo(&["--listen", "127.0.0.1:0"]);
    // They never answer the close, so that the drain waits for them.
    let mut clients = [demo.connect(0), demo.connect(1)];
    demo.signal("TERM");
    for client in &mut clients {
        let mut byte = [0];
        while byte[0] != 0x88 {
            client.read_exact(&mut byte).unwrap();
        }
    }
    demo.signal("TERM");
    assert_eq!(demo.exit_code(), Some(1));
}
