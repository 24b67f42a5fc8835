//! How tests fail: with what was expected, what came instead, and the line.

use std::time::Duration;

use tieline::{
    CloseCode, CloseFrame, Config, Refusal, StatusCode,
    testing::{TestClient, TestRequest, eventually},
};

use super::echo;

/// What a test reports that fails.
async fn failure(test: impl Future<Output = ()> + Send + 'static) -> String {
    let panic = tokio::spawn(test).await.unwrap_err().into_panic();
    let message = *panic.downcast::<String>().unwrap();
    let (message, place) = message.split_once("\n  at ").unwrap();
    assert!(place.contains("testing/failures.rs:"), "{place}");
    message.into()
}

async fn connect() -> TestClient {
    let (_node, service) = echo(Config::default());
    TestClient::connect(&service, "/").await
}

#[tokio::test(start_paused = true)]
async fn nothing_came() {
    let mut client = connect().await;
    let failed = failure(async move { drop(client.recv().await) }).await;
    assert_eq!(failed, "expected a message, but nothing came within 5s");
    let (_node, service) = echo(Config::default());
    let request = TestRequest::new("/").deadline(Duration::from_mins(1));
    let mut patient = request.connect(&service).await;
    let failed = failure(async move { patient.expect_text("a \"b\"").await }).await;
    assert_eq!(
        failed,
        r#"expected the text "a \"b\"", but nothing came within 60s"#
    );
}

#[tokio::test(start_paused = true)]
async fn something_else_came() {
    let mut client = connect().await;
    client.send("x".repeat(300)).await;
    let failed = failure(async move { client.expect_text("y").await }).await;
    let shown = "x".repeat(200);
    assert_eq!(
        failed,
        format!(r#"expected the text "y", but got the text "{shown}"…"#)
    );
    let mut client = connect().await;
    client.send(&b"\0\0\0"[..]).await;
    let failed = failure(async move { client.expect_nothing().await }).await;
    assert_eq!(failed, "expected nothing, but got 3 bytes of binary");
    let mut client = connect().await;
    client.send("early").await;
    let failed = failure(async move { drop(client.expect_close().await) }).await;
    assert_eq!(failed, r#"expected a close, but got the text "early""#);
}

#[tokio::test(start_paused = true)]
async fn the_connection_closed_instead() {
    let (node, service) = echo(Config::default());
    let mut client = TestClient::connect(&service, "/").await;
    let bye = CloseFrame::new(CloseCode::GOING_AWAY, "bye");
    node.hub().members("lobby").pop().unwrap().close(bye);
    let failed = failure(async move {
        // The first is seen, the second finds the end.
        assert_eq!(client.expect_close().await.reason, "bye");
        drop(client.recv().await);
    });
    assert_eq!(
        failed.await,
        "expected a message, but the connection has ended"
    );
    let mut client = TestClient::connect(&service, "/").await;
    let bye = CloseFrame::new(CloseCode::GOING_AWAY, "bye");
    node.hub().members("lobby").pop().unwrap().close(bye);
    let failed = failure(async move { drop(client.recv().await) });
    let expected = r#"expected a message, but the server closed with code 1001: "bye""#;
    assert_eq!(failed.await, expected);
    let (node, service) = echo(Config::default());
    let client = TestClient::connect(&service, "/").await;
    node.hub()
        .members("lobby")
        .pop()
        .unwrap()
        .close(CloseFrame::new(CloseCode::NORMAL, ""));
    let failed = failure(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.send("late").await;
    });
    assert_eq!(failed.await, "cannot send: the connection has ended");
}

#[tokio::test(start_paused = true)]
async fn the_upgrade_went_otherwise() {
    let (node, service) = echo(Config::default());
    let failed = failure(async move {
        TestRequest::new("/").expect_refusal(&service).await;
    });
    assert_eq!(
        failed.await,
        "expected a refusal, but the upgrade was accepted"
    );
    let strict = node.service(|_| async { Err(Refusal::new(StatusCode::FORBIDDEN, "no\n")) });
    let failed = failure(async move { drop(TestClient::connect(&strict, "/").await) });
    assert_eq!(failed.await, "refused with 403 Forbidden: no");
    let broken = node.service(|request| async move { panic!("{}", request.path()) });
    let failed = failure(async move { drop(TestClient::connect(&broken, "/").await) });
    let failed = failed.await;
    assert!(
        failed.starts_with("the server ended without a response, or panicked"),
        "{failed}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_condition_never_held() {
    let failed = failure(eventually(async || false)).await;
    assert_eq!(failed, "the condition did not hold within 5s");
    let failed = failure(eventually(std::future::pending)).await;
    assert_eq!(failed, "the condition did not hold within 5s");
}

#[tokio::test(start_paused = true)]
async fn the_test_is_malformed() {
    let (_node, service) = echo(Config::default());
    let malformed = service.clone();
    let failed = failure(async move { drop(TestClient::connect(&malformed, "no path").await) });
    assert_eq!(failed.await, "invalid target: no path");
    let failed = failure(async move {
        let request = TestRequest::new("/").header("a name", "value");
        drop(request.connect(&service).await);
    });
    assert_eq!(failed.await, "invalid header: a name: value");
}
