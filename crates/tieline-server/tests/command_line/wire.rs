//! The JSON subprotocol at its edges: what is refused, what closes the connection, and what is accepted.

use super::kit::{Client, Server};

fn serve(flags: &[&str]) -> Server {
    Server::serve(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat())
}

fn joined(server: &Server) -> Client {
    let mut client = Client::connect(server, "/client/hubs/chat?user=ada", Client::JSON);
    assert!(client.text().contains(r#""event":"connected""#));
    client.send(r#"{"type":"joinGroup","group":"g","ackId":1}"#);
    assert_eq!(client.text(), r#"{"type":"ack","ackId":1,"success":true}"#);
    client
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn what_cannot_be_passed_on_gets_a_failed_ack_or_silence() {
    let server = serve(&[]);
    let mut client = joined(&server);
    let mut id = 10;
    for (why, frame) in [
        (
            "surrogate",
            r#""type":"sendToGroup","group":"g","dataType":"text","data":"\ud83d""#.to_owned(),
        ),
        (
            "surrogate",
            r#""type":"sendToGroup","group":"g","dataType":"text","data":"\ude00\ud83d""#
                .to_owned(),
        ),
        (
            "surrogate",
            r#""type":"sendToGroup","group":"g","data":{"a":["\ud83dx"]}"#.to_owned(),
        ),
        (
            "surrogate",
            r#""type":"sendToGroup","group":"\ud83d","data":1"#.to_owned(),
        ),
        (
            "surrogate",
            r#""type":"joinGroup","group":"\ud83d""#.to_owned(),
        ),
        ("surrogate", r#""type":"event","event":"\ud83d""#.to_owned()),
        (
            "nested",
            format!(r#""type":"sendToGroup","group":"g","data":{}"#, nested(64)),
        ),
        (
            "nested",
            format!(
                r#""type":"sendToGroup","group":"g","data":{}"#,
                nested(5000)
            ),
        ),
        (
            "nested",
            format!(r#""type":"event","event":"e","data":{}"#, nested(64)),
        ),
    ] {
        client.send(&format!("{{{frame}}}"));
        id += 1;
        client.send(&format!(r#"{{"ackId":{id},{frame}}}"#));
        let ack = client.text();
        let failed = format!(r#"{{"type":"ack","ackId":{id},"success":false,"#);
        assert!(ack.starts_with(&failed), "{frame}: {ack}");
        assert!(
            ack.contains("BadRequest") && ack.contains(why),
            "{frame}: {ack}"
        );
    }
}

#[test]
fn a_group_that_there_cannot_be_is_refused_whatever_is_to_happen_with_it() {
    let server = serve(&[]);
    let mut client = joined(&server);
    let mut id = 1;
    for group in ["", " ", r"\u0000chat", &"x".repeat(1025)] {
        for frame in ["joinGroup", "leaveGroup", r#"sendToGroup","data":"1"#] {
            id += 1;
            client.send(&format!(
                r#"{{"ackId":{id},"group":"{group}","type":"{frame}"}}"#
            ));
            let failed = format!(
                r#"{{"type":"ack","ackId":{id},"success":false,"error":{{"name":"BadRequest","#
            );
            let ack = client.text();
            assert!(ack.starts_with(&failed), "{frame} {group:?}: {ack}");
        }
    }
}

#[test]
fn what_can_be_passed_on_arrives_as_it_was_sent() {
    let server = serve(&[]);
    let mut client = joined(&server);
    for data in [
        r#""\ud83d\ude00""#,
        r#""\\ud83d""#,
        r#"{"a":1,"a":1e999,"b":"[[[\"[[["}"#,
        &nested(63),
    ] {
        client.send(&format!(
            r#"{{"type":"sendToGroup","group":"g","data":{data}}}"#
        ));
        let message = format!(
            r#"{{"type":"message","from":"group","group":"g","fromUserId":"ada","dataType":"json","data":{data}}}"#
        );
        assert_eq!(client.text(), message);
    }
}

#[test]
fn metadata_of_a_client_goes_with_its_message_to_the_group() {
    let server = serve(&[]);
    let mut client = joined(&server);
    for (sent, received) in [
        (
            r#""data":1,"metadata":{"Kind":"a \"b\"","n":""}"#,
            r#""dataType":"json","data":1,"metadata":{"Kind":"a \"b\"","n":""}"#,
        ),
        (
            r#""metadata":{"kind":"typing"}"#,
            r#""dataType":"text","data":"","metadata":{"kind":"typing"}"#,
        ),
        (r#""data":1,"metadata":{}"#, r#""dataType":"json","data":1"#),
        (
            r#""data":1,"metadata":null"#,
            r#""dataType":"json","data":1"#,
        ),
    ] {
        client.send(&format!(r#"{{"type":"sendToGroup","group":"g",{sent}}}"#));
        let message = format!(
            r#"{{"type":"message","from":"group","group":"g","fromUserId":"ada",{received}}}"#
        );
        assert_eq!(client.text(), message);
    }
    for (id, metadata) in [(2, "[]"), (3, r#"{"n":1}"#), (4, r#"{"n":"\u00e9"}"#)] {
        client.send(&format!(
            r#"{{"type":"sendToGroup","group":"g","ackId":{id},"data":1,"metadata":{metadata}}}"#
        ));
        let failed = format!(r#"{{"type":"ack","ackId":{id},"success":false,"#);
        let ack = client.text();
        assert!(
            ack.starts_with(&failed) && ack.contains("metadata"),
            "{ack}"
        );
    }
}

#[test]
fn the_last_of_duplicate_properties_counts() {
    let server = serve(&[]);
    let mut client = joined(&server);
    client.send(
        r#"{"type":1,"ackId":"x","data":"early","group":7,"\ud83d":0,"group":"g","type":"sendToGroup","d\u0061ta":"late","ackId":2}"#,
    );
    assert!(client.text().ends_with(r#""data":"late"}"#));
    assert_eq!(client.text(), r#"{"type":"ack","ackId":2,"success":true}"#);
}

#[test]
fn an_ack_id_is_any_spelling_of_a_whole_number() {
    let server = serve(&[]);
    let mut client = joined(&server);
    for (spelled, id) in [
        ("2.0", "2"),
        ("3e0", "3"),
        ("0.4E+1", "4"),
        ("50000e-4", "5"),
        ("0.0", "0"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551614.0", "18446744073709551614"),
    ] {
        client.send(&format!(
            r#"{{"type":"leaveGroup","group":"g","ackId":{spelled}}}"#
        ));
        let ack = format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#);
        assert_eq!(client.text(), ack, "{spelled}");
    }
}

#[test]
fn what_is_no_frame_closes_with_1007_and_binary_with_1003() {
    let server = serve(&[]);
    for bad in [
        "",
        "not json",
        "[]",
        r#"{"type":"joinGroup","group":"g"#,
        r#"{"type":"joinGroup"}"#,
        r#"{"type":"joinGroup","group":5}"#,
        r#"{"type":"\ud83d","ackId":2}"#,
        r#"{"type":"joinGroup","group":"g","ackId":1.5}"#,
        r#"{"type":"joinGroup","group":"g","ackId":-1}"#,
        r#"{"type":"joinGroup","group":"g","ackId":18446744073709551616}"#,
        r#"{"type":"sendToGroup","group":"g","dataType":"text","data":1}"#,
        r#"{"type":"sendToGroup","group":"g","dataType":"binary","data":"?"}"#,
    ] {
        let mut client = joined(&server);
        client.send(bad);
        assert_eq!(client.close_code(), 1007, "{bad}");
    }
    let mut client = joined(&server);
    client.send_binary(b"{}");
    assert_eq!(client.close_code(), 1003);
}

#[test]
fn the_subprotocol_in_any_case_and_a_trailing_slash_are_accepted() {
    let server = serve(&[]);
    for path in [
        "/client/hubs/chat",
        "/client/hubs/chat/",
        "/client/hubs/Chat/",
    ] {
        for subprotocol in [Client::JSON, "JSON.WebPubSub.Azure.V1"] {
            // The client compares the reply with its offer, letter by letter: the kit does too.
            let mut client = Client::connect(&server, path, subprotocol);
            assert!(client.text().contains(r#""event":"connected""#));
        }
    }
}

#[test]
fn the_most_groups_of_a_client_are_a_flag() {
    let server = serve(&["--max-groups", "130"]);
    let mut client = joined(&server);
    for n in 2..=131 {
        client.send(&format!(
            r#"{{"type":"joinGroup","group":"g{n}","ackId":{n}}}"#
        ));
        let success = n <= 130;
        let ack = format!(r#"{{"type":"ack","ackId":{n},"success":{success}"#);
        let answer = client.text();
        assert!(answer.starts_with(&ack), "{answer}");
    }
}

#[test]
fn the_query_of_a_simple_client_has_no_case_and_its_last_value_counts() {
    let server = serve(&[]);
    let mut member = joined(&server);
    let path = |query: &str| format!("/client/hubs/chat?{query}");
    for query in [
        "webpubsub_mode=SENDTOGROUP&group=other&group=g",
        "webpubsub_mode=sendEvent&webpubsub_mode=sendToGroup&group=g&noEcho=x&noEcho=False",
    ] {
        let mut simple = Client::simple(&server.addresses[0], &path(query));
        simple.send(query);
        let message = member.text();
        assert!(message.contains(query), "{message}");
    }
    let json = format!("Sec-WebSocket-Protocol: {}\r\n", Client::JSON);
    for query in [
        "webpubsub_mode=nope",
        "webpubsub_mode=sendToGroup",
        "webpubsub_mode=sendToGroup&group=g&group=",
        "webpubsub_mode=sendToGroup&group=g&noEcho=yes",
        "webpubsub_mode=sendToGroup&group=%00g",
    ] {
        for headers in ["", &json] {
            let refused = server.refused_upgrade(&path(query), headers);
            assert!(refused.starts_with("HTTP/1.1 400"), "{query}: {refused}");
        }
    }
}
