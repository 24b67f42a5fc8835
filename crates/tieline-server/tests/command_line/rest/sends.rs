//! Messages of a backend.

use serde_json::json;

use super::{
    Client, JsonClient, Nodes, bearer, client_path, eventually, post, raw, request, serve,
};

const TEXT: &str = "text/plain; charset=utf-8";

#[test]
fn a_message_reaches_those_on_another_node_in_its_form() {
    let nodes = Nodes::start();
    let mut ada = nodes.client(json!({"sub": "ada", "webpubsub.group": ["g"]}));
    let here = json!({"sub": "bob", "webpubsub.group": ["g"]});
    let mut bob = JsonClient::connect(&nodes.first, here);
    let delivered = |path: &str| {
        let sent = nodes.send(path, TEXT, "x");
        assert_eq!(sent.status, 202, "{path}: {sent:?}");
        sent.reach().map(str::to_owned)
    };
    // The first node learns of the group a moment after the client has.
    eventually("both are in the group", || {
        nodes
            .call("GET", "/groups/g/connections")
            .body
            .matches("connectionId")
            .count()
            == 2
    });
    let everyone =
        |data: &str| json!({"type": "message", "from": "server", "dataType": "text", "data": data});
    let group =
        json!({"type": "message", "from": "group", "group": "g", "dataType": "text", "data": "x"});
    let one = format!("/connections/{}/:send", ada.id);
    for (path, to_bob, expected) in [
        ("/:send", true, everyone("x")),
        ("/groups/g/:send?messageTtlSeconds=300", true, group),
        ("/users/ada/:send", false, everyone("x")),
        (&*one, false, everyone("x")),
    ] {
        let count = if to_bob { "2" } else { "1" };
        assert_eq!(delivered(path), [count, "0", "0"], "{path}");
        assert_eq!(ada.next(), expected, "{path}");
        if to_bob {
            assert_eq!(bob.next(), expected, "{path}");
        }
    }
    for nobody in [
        "/groups/none/:send",
        "/users/none/:send",
        "/connections/none/:send",
    ] {
        assert_eq!(delivered(nobody), ["0", "0", "0"], "{nobody}");
    }
}

#[test]
fn a_body_is_text_json_or_bytes() {
    let server = serve(&[]);
    let mut json_client = JsonClient::connect(&server, json!({}));
    let mut simple = Client::simple(&server.addresses[0], &client_path(json!({})));
    for (media_type, body, data_type, data, bare) in [
        ("application/json", "\"x\"", "json", json!("x"), "\"x\""),
        (
            "Application/JSON;charset=utf-8",
            " {\"a\": 1}",
            "json",
            json!({"a": 1}),
            "{\"a\": 1}",
        ),
        ("text/plain", "", "text", json!(""), ""),
        ("text/plain", "é\"", "text", json!("é\""), "é\""),
    ] {
        assert_eq!(
            post(&server, "/:send", media_type, body).status,
            202,
            "{body}"
        );
        let message = json_client.next();
        assert_eq!(
            (&message["dataType"], &message["data"]),
            (&json!(data_type), &data)
        );
        assert_eq!(simple.text(), bare);
    }
    for headers in ["", "Content-Type: application/octet-stream\r\n"] {
        assert_eq!(
            request(&server, "POST", "/:send", headers, b"\x00\xff").status,
            202
        );
        let message = json_client.next();
        assert_eq!(
            (&message["dataType"], &message["data"]),
            (&json!("binary"), &json!("AP8="))
        );
        assert_eq!(simple.binary(), [0, 0xff]);
    }
}

#[test]
fn a_body_that_clients_cannot_read_is_refused() {
    let server = serve(&[]);
    for (media_type, body) in [
        ("application/json", ""),
        ("application/json", "x"),
        ("application/json", "{}{}"),
        ("application/json", "null"),
        ("application/json", r#""\ud83d""#),
        ("application/json", &"[".repeat(100_000)),
    ] {
        let answer = post(&server, "/:send", media_type, body);
        answer.is_error(400, "Error.BadRequest");
    }
    let latin = request(
        &server,
        "POST",
        "/:send",
        "Content-Type: text/plain\r\n",
        b"\xe9",
    );
    latin.is_error(400, "Error.BadRequest");
    for media_type in ["text/html", "application/xml", "application/jsonp", "x"] {
        let answer = post(&server, "/:send", media_type, "{}");
        answer.is_error(415, "Error.UnsupportedMediaType");
    }
    let twice = "Content-Type: text/plain\r\nContent-Type: text/plain\r\n";
    let answer = request(&server, "POST", "/:send", twice, b"x");
    answer.is_error(415, "Error.UnsupportedMediaType");
}

#[test]
fn a_body_has_a_limit_however_it_is_sent() {
    let server = serve(&[]);
    let most = vec![b'x'; 1024 * 1024];
    assert_eq!(request(&server, "POST", "/:send", "", &most).status, 202);
    let more = [&*most, b"x"].concat();
    let answer = request(&server, "POST", "/:send", "", &more);
    answer.is_error(413, "Error.PayloadTooLarge");
    // Beyond the limit it is read on, so that whoever sends it gets to the response.
    let long = vec![b'x'; 4 << 20];
    let answer = request(&server, "POST", "/:send", "", &long);
    answer.is_error(413, "Error.PayloadTooLarge");
    let bearer = bearer(&server, "/:send");
    // Before it is sent.
    let announced = format!("{bearer}Content-Length: 99999999999\r\nExpect: 100-continue\r\n");
    let path = "/api/hubs/chat/:send";
    raw(&server, "POST", path, &announced, b"").is_error(413, "Error.PayloadTooLarge");
    let mut chunked = b"100001\r\n".to_vec();
    chunked.extend(&more);
    chunked.extend(b"\r\n0\r\n\r\n");
    let headers = format!("{bearer}Transfer-Encoding: chunked\r\n");
    raw(&server, "POST", path, &headers, &chunked).is_error(413, "Error.PayloadTooLarge");
}

#[test]
fn a_filter_and_exclusions_hold_on_every_node() {
    let nodes = Nodes::start();
    let member = |user: &str| json!({"sub": user, "webpubsub.group": ["g"]});
    let (mut ada, mut eve) = (nodes.client(member("ada")), nodes.client(member("eve")));
    let mut bob = JsonClient::connect(&nodes.first, member("bob"));
    eventually("all are in the group", || {
        nodes
            .call("GET", "/groups/g/connections")
            .body
            .matches("connectionId")
            .count()
            == 3
    });
    let excluded = format!("excluded={}&excluded={}", eve.id, bob.id);
    for (n, path) in [
        "/:send?filter=userId%20eq%20%27ada%27".to_owned(),
        "/groups/g/:send?filter=startswith(userId,'a')%20and%20'g'%20in%20groups".to_owned(),
        "/users/ada/:send?filter=protocol+ne+null".to_owned(),
        format!("/:send?{excluded}"),
        format!("/groups/g/:send?{excluded}"),
        format!("/groups/g/:send?{excluded}&filter=userId%20in%20('ada','eve')"),
    ]
    .iter()
    .enumerate()
    {
        let sent = nodes.send(path, TEXT, &n.to_string());
        assert_eq!(sent.reach(), ["1", "0", "0"], "{path}: {sent:?}");
        assert_eq!(ada.data(), n.to_string());
    }
    // The others got nothing before this.
    nodes.send("/:send", TEXT, "last");
    for client in [&mut ada, &mut eve, &mut bob] {
        assert_eq!(client.data(), "last");
    }
    for filter in [
        "userId%20eq",
        "x%20eq%201",
        "%27a",
        "not%20length(userId)%20gt%205",
    ] {
        let answer = nodes.send(&format!("/:send?filter={filter}"), TEXT, "x");
        let message = answer.is_error(400, "Error.BadRequest");
        assert!(message.contains("filter"), "{message}");
    }
}

#[test]
fn metadata_is_in_the_frames_of_clients_that_know_it() {
    let nodes = Nodes::start();
    let mut ada = nodes.client(json!({"sub": "ada"}));
    let mut simple = Client::simple(
        &nodes.second.addresses[0],
        &client_path(json!({"sub": "ada"})),
    );
    eventually("both are there", || {
        nodes.send("/users/ada/:send", TEXT, "0").reach()[0] == "2"
    });
    while ada.data() != "0" {}
    let send = |headers: &str| {
        let headers = format!("Content-Type: text/plain\r\n{headers}");
        request(&nodes.first, "POST", "/users/ada/:send", &headers, b"x")
    };
    let answer = send("X-WebPubSub-Metadata-Trace: a \"b\"\r\nX-WebPubSub-Metadata-n: 1\r\n");
    assert_eq!(answer.status, 202, "{answer:?}");
    let expected = json!({
        "type": "message", "from": "server", "dataType": "text", "data": "x",
        "metadata": {"trace": "a \"b\"", "n": "1"}
    });
    let mut message = ada.next();
    while message["data"] == "0" {
        message = ada.next();
    }
    assert_eq!(message, expected);
    let mut bare = simple.text();
    while bare == "0" {
        bare = simple.text();
    }
    assert_eq!(bare, "x");
    let many: Vec<_> = (0..9)
        .map(|n| format!("X-WebPubSub-Metadata-{n}: {}\r\n", "v".repeat(1000)))
        .collect();
    for headers in [
        format!("X-WebPubSub-Metadata-{}: v\r\n", "n".repeat(257)),
        format!("X-WebPubSub-Metadata-n: {}\r\n", "v".repeat(1025)),
        "X-WebPubSub-Metadata-: v\r\n".to_owned(),
        "X-WebPubSub-Metadata-n: \u{e9}\r\n".to_owned(),
        "X-WebPubSub-Metadata-n: v\r\nX-WebPubSub-Metadata-N: w\r\n".to_owned(),
        many.concat(),
    ] {
        send(&headers).is_error(400, "Error.BadRequest");
    }
}

#[test]
fn a_node_that_does_not_answer_is_missed_and_said_so() {
    let nodes = Nodes::with_lease("60");
    let _ada = nodes.client(json!({"sub": "ada", "webpubsub.group": ["g"]}));
    eventually("the group is known", || {
        nodes.call("HEAD", "/groups/g").status == 200
    });
    let ada = nodes.client(json!({"sub": "ada"}));
    nodes.second.pause();
    for path in ["/:send", "/groups/g/:send", "/users/ada/:send"] {
        let sent = nodes.send(path, TEXT, "x");
        assert_eq!(
            (sent.status, sent.reach()),
            (202, ["0", "0", "1"]),
            "{path}"
        );
    }
    let one = nodes.send(&format!("/connections/{}/:send", ada.id), TEXT, "x");
    assert_eq!((one.status, one.reach()), (202, ["0", "0", "1"]));
    let closed = nodes.call("POST", "/:closeConnections");
    assert_eq!(
        (closed.status, closed.header("tieline-missed")),
        (204, Some("1"))
    );
    // Whether there is one cannot be known.
    let exists = nodes.call("HEAD", &format!("/connections/{}", ada.id));
    exists.is_error(503, "Error.ServiceUnavailable");
    assert_eq!(exists.header("retry-after"), Some("1"));
    nodes.second.signal("CONT");
}
