//! Requests that are repeated.

use std::thread;

use serde_json::json;

use super::{JsonClient, request, serve};

#[test]
fn a_repeated_request_is_sent_once_and_answered_alike() {
    let server = serve(&[]);
    let mut ada = JsonClient::connect(&server, json!({"sub": "ada"}));
    let send = |id: &str, text: &str| {
        let headers = format!("Repeatability-Request-ID: {id}\r\nContent-Type: text/plain\r\n");
        request(
            &server,
            "POST",
            "/users/ada/:send",
            &headers,
            text.as_bytes(),
        )
    };
    thread::scope(|scope| {
        let at_once = [(); 8].map(|()| scope.spawn(|| send("one", "x")));
        for answer in at_once {
            let answer = answer.join().unwrap();
            assert_eq!((answer.status, answer.reach()), (202, ["1", "0", "0"]));
            assert_eq!(answer.header("repeatability-result"), Some("accepted"));
        }
    });
    assert_eq!(send("one", "x").reach(), ["1", "0", "0"]);
    assert_eq!(send("two", "y").reach(), ["1", "0", "0"]);
    assert_eq!((ada.data(), ada.data()), (json!("x"), json!("y")));
    // What was refused was not carried out, and can be asked again.
    let headers = "Repeatability-Request-ID: three\r\nContent-Type: application/json\r\n";
    let path = "/users/ada/:send";
    let bad = request(&server, "POST", path, headers, b"{");
    bad.is_error(400, "Error.BadRequest");
    assert_eq!(request(&server, "POST", path, headers, b"3").status, 202);
    assert_eq!(ada.data(), json!(3));
    for id in ["", &"x".repeat(129)] {
        send(id, "x").is_error(400, "Error.BadRequest");
    }
}
