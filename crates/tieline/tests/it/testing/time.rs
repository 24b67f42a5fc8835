//! Paused time: minutes of the hub's rules in no time.

use std::time::{Duration, Instant};

use tieline::{
    CloseReason, Config, Inbound, SlowConsumer,
    testing::{TestClient, eventually},
};
use tokio::time::{Instant as TokioInstant, sleep};

use super::echo;

/// Real time that tests with paused time may take, on the slowest machine.
const NO_TIME: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn a_client_that_ignores_pings_is_closed_after_45_seconds() {
    let began = Instant::now();
    let config = Config::default();
    let silence = config.ping_interval + config.ping_timeout;
    assert_eq!(silence, Duration::from_secs(45));
    let (node, service) = echo(config);
    let mut client = TestClient::connect(&service, "/").await;
    let mut alive = TestClient::connect(&service, "/").await;
    client.ignore_pings().await;
    sleep(Duration::from_secs(43)).await;
    assert_eq!(node.hub().group_len("lobby"), 2, "closed too early");
    sleep(Duration::from_secs(5)).await;
    assert_eq!(client.expect_close().await.code.as_u16(), 1011);
    assert!(matches!(
        node.handler().ends.lock()[..],
        [CloseReason::Silent]
    ));
    alive.send("still here").await;
    alive.expect_text("still here").await;
    assert!(began.elapsed() < NO_TIME, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_stays_for_hours() {
    let (_node, service) = echo(Config::default());
    let mut client = TestClient::connect(&service, "/").await;
    sleep(Duration::from_hours(2)).await;
    client.expect_nothing().await;
    client.send("hello").await;
    client.expect_text("hello").await;
}

#[tokio::test(start_paused = true)]
async fn nothing_passes_only_when_all_tasks_wait() {
    let (node, service) = echo(Config::default());
    let mut client = TestClient::connect(&service, "/").await;
    let hub = node.hub().clone();
    let began = TokioInstant::now();
    tokio::spawn(async move {
        // As many steps as a slow application might need: none of them takes time.
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        hub.broadcast("late");
    });
    client.expect_text("late").await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    client.expect_nothing().await;
    assert!(began.elapsed() >= Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_meets_the_slow_consumer_policy() {
    let config = Config {
        outbox_bytes: 2 * 1024 * 1024,
        slow_consumer: SlowConsumer::Disconnect,
        ..Config::default()
    };
    let (node, service) = echo(config);
    let mut client = TestClient::connect(&service, "/").await;
    client.send("a").await;
    client.expect_text("a").await;
    client.stop_reading().await;
    let flood = "x".repeat(10_000);
    let connection = node.hub().members("lobby").pop().unwrap();
    eventually(async || {
        connection.emit(flood.clone());
        !connection.is_open()
    })
    .await;
    assert_eq!(connection.closed().await, CloseReason::SlowConsumer);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_again_gets_what_waited() {
    let (node, service) = echo(Config::default());
    let mut client = TestClient::connect(&service, "/").await;
    client.stop_reading().await;
    // The task obeys in order, so it has stopped once it has taken the next command.
    client.send("hello").await;
    client.expect_nothing().await;
    node.hub().broadcast("more");
    client.resume_reading().await;
    client.expect_text("hello").await;
    client.expect_text("more").await;
}

#[tokio::test(start_paused = true)]
async fn limits_per_second_follow_the_paused_clock() {
    let config = Config {
        inbound: Inbound {
            messages: Some(10),
            ..Inbound::default()
        },
        ..Config::default()
    };
    let (_node, service) = echo(config);
    let mut client = TestClient::connect(&service, "/").await;
    let began = TokioInstant::now();
    for n in 0..100 {
        client.send(n.to_string()).await;
    }
    for n in 0..100 {
        client.expect_text(n.to_string()).await;
    }
    let passed = began.elapsed();
    assert!(passed > Duration::from_secs(5), "{passed:?}");
}
