//! The JSON gateway of etcd: keys as another program reads and writes them, users, the leader.
//!
//! Must not use the etcd client under test: a mistake in it would hide itself.

use std::io;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The HTTP interface of one server.
pub struct Gateway {
    port: u16,
}

impl Gateway {
    pub(crate) fn new(port: u16) -> Self {
        Self { port }
    }

    /// Writes a key without a lease.
    pub async fn put(&self, key: &str, value: &str) {
        let body = json!({ "key": encode(key), "value": encode(value) });
        self.call("kv/put", &body).await;
    }

    /// The value of a key.
    pub async fn get(&self, key: &str) -> Option<String> {
        let response = self.call("kv/range", &json!({ "key": encode(key) })).await;
        let value = response["kvs"].get(0)?["value"]
            .as_str()
            .unwrap_or_default();
        Some(decode(value))
    }

    /// Deletes a key.
    pub async fn delete(&self, key: &str) {
        self.call("kv/deleterange", &json!({ "key": encode(key) }))
            .await;
    }

    /// Deletes everything.
    pub async fn delete_all(&self) {
        let all = json!({ "key": STANDARD.encode([0]), "range_end": STANDARD.encode([0]) });
        self.call("kv/deleterange", &all).await;
    }

    /// All keys with this prefix and their values, in order.
    pub async fn below(&self, prefix: &str) -> Vec<(String, String)> {
        let range = json!({ "key": encode(prefix), "range_end": encode(&end(prefix)) });
        let response = self.call("kv/range", &range).await;
        let text = |kv: &Value, part: &str| decode(kv[part].as_str().unwrap_or_default());
        let kvs = response["kvs"].as_array().cloned().unwrap_or_default();
        let pairs = kvs.iter().map(|kv| (text(kv, "key"), text(kv, "value")));
        pairs.collect()
    }

    /// Revokes all leases.
    pub async fn revoke_all(&self) {
        for lease in self.leases().await {
            self.revoke(&lease).await;
        }
    }

    /// Revokes a lease.
    pub async fn revoke(&self, lease: &str) {
        self.call("lease/revoke", &json!({ "ID": lease })).await;
    }

    /// All leases.
    pub async fn leases(&self) -> Vec<String> {
        let response = self.call("lease/leases", &json!({})).await;
        let leases = response["leases"].as_array().into_iter().flatten();
        let names = leases.filter_map(|lease| lease["ID"].as_str());
        names.map(str::to_owned).collect()
    }

    /// The number of leases.
    pub async fn lease_count(&self) -> usize {
        self.leases().await.len()
    }

    /// The keys that are bound to a lease.
    pub async fn keys_of_lease(&self, lease: &str) -> Vec<String> {
        let request = json!({ "ID": lease, "keys": true });
        let response = self.call("lease/timetolive", &request).await;
        let keys = response["keys"].as_array().into_iter().flatten();
        let keys = keys.filter_map(|key| key.as_str());
        keys.map(decode).collect()
    }

    /// The ids of the leader and of this server.
    pub(crate) async fn status(&self) -> (String, String) {
        let status = self.call("maintenance/status", &json!({})).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (
            text(&status["leader"]),
            text(&status["header"]["member_id"]),
        )
    }

    /// Forgets all revisions before the present one.
    pub async fn compact(&self) {
        let response = self.call("kv/range", &json!({ "key": encode("x") })).await;
        let revision = &response["header"]["revision"];
        self.call("kv/compaction", &json!({ "revision": revision }))
            .await;
    }

    /// Adds the users `root`, and `tieline` with read and write access below these prefixes, then
    /// enables authentication.
    pub async fn enable_users(&self, prefixes: &[&str]) {
        for (user, password) in [("root", "root"), ("tieline", "secret")] {
            let body = json!({ "name": user, "password": password });
            self.call("auth/user/add", &body).await;
            self.call("auth/role/add", &json!({ "name": user })).await;
            self.call("auth/user/grant", &json!({ "user": user, "role": user }))
                .await;
        }
        for prefix in prefixes {
            let perm = json!({
                "permType": "READWRITE",
                "key": encode(prefix),
                "range_end": encode(&end(prefix)),
            });
            let body = json!({ "name": "tieline", "perm": perm });
            self.call("auth/role/grant", &body).await;
        }
        self.call("auth/enable", &json!({})).await;
    }

    async fn call(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let request = format!(
            "POST /v3/{path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (head, body) = exchange(self.port, &request).await.unwrap();
        assert!(head.contains(" 200 "), "{path}: {head}\n{body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// Whether a server reports that it is healthy.
pub(crate) async fn healthy(port: u16) -> bool {
    let response = exchange(port, "GET /health HTTP/1.0\r\n\r\n").await;
    response.is_ok_and(|(head, _)| head.contains(" 200 "))
}

/// Sends an HTTP/1.0 request, so that the response ends with the connection.
async fn exchange(port: u16, request: &str) -> io::Result<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    Ok((head.to_owned(), body.to_owned()))
}

fn encode(text: &str) -> String {
    STANDARD.encode(text)
}

fn decode(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// The first key after all keys with this prefix.
fn end(prefix: &str) -> String {
    let mut end = prefix.as_bytes().to_vec();
    *end.last_mut().expect("a prefix") += 1;
    String::from_utf8(end).unwrap()
}
