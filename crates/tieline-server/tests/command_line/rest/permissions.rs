//! Grants and revocations.

use serde_json::json;

use super::Nodes;

#[test]
fn a_permission_is_granted_checked_and_revoked_wherever_the_client_is() {
    let nodes = Nodes::start();
    let mut ada = nodes.client(json!({"role": "webpubsub.joinLeaveGroup"}));
    let path = |permission: &str, group: &str| {
        format!(
            "/permissions/{permission}/connections/{}?targetName={group}",
            ada.id
        )
    };
    let send = path("sendToGroup", "a%2Fb");
    let any_case = path("SENDTOGROUP", "a%2Fb");
    let check = |path: &str| nodes.call("HEAD", path).status;
    nodes
        .call("HEAD", &send)
        .is_error(404, "Info.Connection.NotExisted");
    assert_eq!(nodes.call("PUT", &send).status, 200);
    assert_eq!((check(&send), check(&any_case)), (200, 200));
    assert_eq!(
        check(&path("sendToGroup", "a")),
        404,
        "it is for the group alone"
    );
    // By its role, until that is overridden.
    let join = path("joinLeaveGroup", "x");
    assert_eq!(check(&join), 200);
    assert_eq!(nodes.call("DELETE", &join).status, 204);
    assert_eq!(
        (check(&join), check(&path("joinLeaveGroup", "y"))),
        (404, 200)
    );
    for (id, operation, success) in [
        (1, r#""type":"sendToGroup","group":"a/b","data":1"#, true),
        (2, r#""type":"sendToGroup","group":"b","data":1"#, false),
        (3, r#""type":"joinGroup","group":"x""#, false),
        (4, r#""type":"joinGroup","group":"y""#, true),
    ] {
        ada.client.send(&format!(r#"{{"ackId":{id},{operation}}}"#));
        let ack = ada.next();
        assert_eq!(
            (&ack["ackId"], &ack["success"]),
            (&json!(id), &json!(success))
        );
    }
}

#[test]
fn what_cannot_be_granted_says_why() {
    let nodes = Nodes::start();
    let ada = nodes.client(json!({}));
    for path in [
        format!("/permissions/sendToGroup/connections/{}", ada.id),
        format!(
            "/permissions/sendToGroup/connections/{}?targetName=",
            ada.id
        ),
        format!(
            "/permissions/sendToGroup/connections/{}?targetName=a&targetName=b",
            ada.id
        ),
        format!("/permissions/sendToAll/connections/{}?targetName=a", ada.id),
    ] {
        for method in ["PUT", "HEAD", "DELETE"] {
            nodes.call(method, &path).is_error(400, "Error.BadRequest");
        }
    }
    let nobody = "/permissions/sendToGroup/connections/none?targetName=g";
    for (method, status) in [("PUT", 404), ("HEAD", 404), ("DELETE", 204)] {
        assert_eq!(nodes.call(method, nobody).status, status, "{method}");
    }
    for n in 0..1000 {
        let path = format!(
            "/permissions/sendToGroup/connections/{}?targetName={n}",
            ada.id
        );
        assert_eq!(nodes.call("PUT", &path).status, 200, "{n}");
    }
    let more = format!(
        "/permissions/sendToGroup/connections/{}?targetName=more",
        ada.id
    );
    nodes
        .call("PUT", &more)
        .is_error(409, "Error.Connection.Conflict");
}
