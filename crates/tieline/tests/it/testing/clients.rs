//! Requests, messages and ends of a client.

use tieline::{
    Accept, CloseCode, CloseFrame, CloseReason, Config, Farewell, Frame, Hub, Message, Node,
    Refusal, StatusCode, UpgradeRequest,
    testing::{TestClient, TestRequest, eventually},
};

use super::echo;

#[tokio::test]
async fn the_application_sees_the_request_and_the_client_the_response() {
    async fn authorize(request: UpgradeRequest) -> Result<Accept<()>, Refusal> {
        assert_eq!(request.path(), "/rooms/1");
        assert_eq!(request.query("name").as_deref(), Some("ada l"));
        assert_eq!(request.headers()["cookie"], "session=7");
        assert_eq!(request.headers()["host"], "localhost");
        let address = request.remote_addr().unwrap();
        let accept = Accept::new(()).subprotocol("chat");
        Ok(accept.first_message(address.to_string()))
    }
    let node = Node::new(Hub::new(Config::default()).unwrap(), ());
    let request = TestRequest::new("/rooms/1?name=ada+l")
        .header("cookie", "session=7")
        .header("origin", "http://localhost")
        .header("sec-websocket-protocol", "other, chat")
        .remote_addr("192.0.2.1:4000".parse().unwrap());
    let mut client = request.connect(&node.service(authorize)).await;
    assert_eq!(client.response().status(), 101);
    assert_eq!(
        client.response().headers()["sec-websocket-protocol"],
        "chat"
    );
    client.expect_text("192.0.2.1:4000").await;
}

#[tokio::test]
async fn a_refusal_is_returned_whole() {
    let node = Node::new(Hub::new(Config::default()).unwrap(), ());
    let service = node.service(|_| async { Err(Refusal::new(StatusCode::GONE, "closed\n")) });
    let refusal = TestRequest::new("/").expect_refusal(&service).await;
    assert_eq!(
        (refusal.status(), refusal.body().as_str()),
        (StatusCode::GONE, "closed\n")
    );
    assert_eq!(
        refusal.headers()["content-type"],
        "text/plain; charset=utf-8"
    );
    let (_node, service) = echo(Config::default());
    let foreign = TestRequest::new("/").header("origin", "http://elsewhere.test");
    assert_eq!(foreign.expect_refusal(&service).await.status(), 403);
    let old = TestRequest::new("/").header("sec-websocket-version", "8");
    assert_eq!(old.expect_refusal(&service).await.status(), 426);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_the_upgrade_is_a_message_and_a_close() {
    let node = Node::new(Hub::new(Config::default()).unwrap(), ());
    let service = node.service(|_| async {
        let close = CloseFrame::new(CloseCode::new(4100).unwrap(), "closed");
        // More than fits between the two at once.
        let farewell = Farewell::new(close).message("ü".repeat(100_000));
        Err(Refusal::new(StatusCode::GONE, "closed\n").after_upgrade(farewell))
    });
    let mut client = TestClient::connect(&service, "/").await;
    client.expect_text("ü".repeat(100_000)).await;
    let close = client.expect_close().await;
    assert_eq!((close.code.as_u16(), &*close.reason), (4100, "closed"));
}

#[tokio::test(start_paused = true)]
async fn messages_of_any_size_go_both_ways() {
    let (_node, service) = echo(Config::default());
    let mut client = TestClient::connect(&service, "/").await;
    for size in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
        let bytes = vec![7_u8; size];
        client.send(&bytes[..]).await;
        assert_eq!(client.recv().await, Message::Binary(bytes));
        let text = "ü".repeat(size / 2);
        client.send(text.clone()).await;
        client.expect_text(text).await;
    }
    client.send(Frame::from_static("a frame")).await;
    client.expect_text("a frame").await;
    client.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_and_does_not_look_blocks_nobody() {
    let (_node, service) = echo(Config::default());
    let mut client = TestClient::connect(&service, "/").await;
    // More than fits between the two in either direction.
    for n in 0..300 {
        client.send(format!("{n:01000}")).await;
    }
    for n in 0..300 {
        client.expect_text(format!("{n:01000}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_closes_with_its_code() {
    let (node, service) = echo(Config::default());
    let client = TestClient::connect(&service, "/").await;
    assert_eq!(node.hub().group_len("lobby"), 1);
    let bye = CloseFrame::new(CloseCode::GOING_AWAY, "bye");
    client.close_with(bye.clone()).await;
    eventually(async || !node.handler().ends.lock().is_empty()).await;
    let ends = node.handler().ends.lock().clone();
    assert_eq!(ends, [CloseReason::Client(Some(bye))]);
    assert_eq!(node.hub().group_len("lobby"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_close_of_the_server_is_returned_and_confirmed() {
    let (node, service) = echo(Config::default());
    let mut client = TestClient::connect(&service, "/").await;
    let banned = CloseFrame::new(CloseCode::new(4001).unwrap(), "banned");
    for connection in node.hub().members("lobby") {
        connection.emit("last words");
        connection.close(banned.clone());
    }
    client.expect_text("last words").await;
    assert_eq!(client.expect_close().await, banned);
    eventually(async || node.handler().ends.lock().len() == 1).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_client_is_lost() {
    let (node, service) = echo(Config::default());
    drop(TestClient::connect(&service, "/").await);
    eventually(async || !node.handler().ends.lock().is_empty()).await;
    let ends = node.handler().ends.lock().clone();
    assert!(matches!(ends[..], [CloseReason::Lost(_)]), "{ends:?}");
}
