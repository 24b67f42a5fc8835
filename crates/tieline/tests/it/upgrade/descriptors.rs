//! A node that runs out of file descriptors accepts again once some are free.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tieline::Config;

use crate::kit::{Client, Raw, Server, child, raw::request, run};

/// Descriptors of the child process, including those of the runtime.
const LIMIT: u64 = 40;

#[test]
fn the_accept_loop_survives_a_lack_of_descriptors() {
    if child::is_child() {
        return run(serve_with_few_descriptors());
    }
    run(async {
        let mut child =
            child::start("upgrade::descriptors::the_accept_loop_survives_a_lack_of_descriptors");
        let address = child.line().await.parse().unwrap();
        // A client that connected before is not affected.
        let mut early = Client::connect(address, "id=early").await;
        let mut crowd = Vec::new();
        for i in 0..60 {
            let mut raw = Raw::over(tokio::net::TcpStream::connect(address).await.unwrap());
            raw.write(request(&format!("/?id=c{i}"), "").as_bytes())
                .await;
            crowd.push(raw);
        }
        let mut answered = 0;
        let answering = async {
            for raw in &mut crowd {
                assert_eq!(raw.answer().await.status, 101);
                answered += 1;
            }
        };
        let stuck = tokio::time::timeout(Duration::from_secs(1), answering).await;
        assert!(stuck.is_err(), "there was no lack of descriptors");
        assert!((10..60).contains(&answered), "{answered} were answered");
        early.send("still here").await;
        assert_eq!(early.text().await, "still here");

        // Those that had to wait are served as soon as others leave.
        let waiting = crowd.split_off(answered + 1);
        drop(crowd);
        for mut raw in waiting {
            assert_eq!(raw.answer().await.status, 101);
            raw.send_text("at last").await;
            assert_eq!(raw.text().await, "at last");
        }
        let mut late = Client::connect(address, "id=late").await;
        late.send("well").await;
        assert_eq!(late.text().await, "well");
        early.send("still here").await;
        assert_eq!(early.text().await, "still here");
    });
}

async fn serve_with_few_descriptors() {
    let server = Server::start(Config {
        max_connections: Some(10_000),
        ..Config::default()
    })
    .await;
    let few = Rlimit {
        current: Some(LIMIT),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, few).unwrap();
    child::say(&server.address.to_string());
    child::until_parent_ends().await;
}
