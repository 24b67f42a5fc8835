//! Authentication: a bearer token is checked at the upgrade, and names the user.
//!
//! Run it:
//!
//! ```sh
//! cargo run -p tieline --example auth
//! ```
//!
//! Try it with ada's token, in two terminals. What one sends, both receive:
//!
//! ```sh
//! npx wscat -c ws://127.0.0.1:8081 -H 'Authorization: Bearer 8f3b5a0e6c1d47f29ab0c5de71428396'
//! ```
//!
//! Browsers cannot set headers on a WebSocket, so `/?token=TOKEN` works too. Without a valid token the
//! response is 401, with a body that says what to send. Pages of other origins get 403 in any case.
//!
//! The tokens are in a table here. To verify signed tokens (JWT) or ask a database, replace `user_of`;
//! `authorize` is asynchronous. Use TLS where others can read the traffic. Header names come from the
//! crate `http`, and the comparison in constant time from `subtle`.
//!
//! To listen on another address, append it: `-- 127.0.0.1:9000`.
//!
//! Read next: `axum.rs` to put this into a router, `docs/limits.md` for origins, `docs/tls.md`.

use anyhow::Context;
use http::{HeaderValue, header};
use subtle::ConstantTimeEq;
use tieline::{
    Accept, Config, Connection, Handler, Hub, Listener, Message, Node, Refusal, StatusCode,
    UpgradeRequest,
};

/// Token and user. Make tokens of your own with `openssl rand -hex 16`, and keep them out of the source.
const TOKENS: [(&str, &str); 2] = [
    ("8f3b5a0e6c1d47f29ab0c5de71428396", "ada"),
    ("c24e9d7703ab4f6d8e15b06f92a7d3c8", "grace"),
];

struct Devices;

impl Handler for Devices {
    /// The user.
    type State = &'static str;

    async fn on_connect(&self, connection: &Connection, user: &mut &'static str) {
        connection.emit(format!("you are {user}"));
    }

    /// Sends to all connections of the same user.
    async fn on_message(&self, connection: &Connection, user: &mut &'static str, message: Message) {
        connection.hub().emit_user(user, message);
    }
}

async fn authorize(request: UpgradeRequest) -> Result<Accept<&'static str>, Refusal> {
    let bearer = request.header(header::AUTHORIZATION);
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let token = bearer.map(String::from).or_else(|| request.query("token"));
    let token = token.ok_or_else(|| {
        unauthorized(
            "missing token; send the header Authorization: Bearer TOKEN, or use /?token=TOKEN\n",
        )
    })?;
    let user = user_of(&token)
        .ok_or_else(|| unauthorized("invalid token; check it, or request a new one\n"))?;
    // From here on `emit_user` reaches this connection.
    Ok(Accept::new(user).user(user))
}

/// Compares with every token in constant time, so that response times do not reveal how many
/// characters of a guess were right.
fn user_of(token: &str) -> Option<&'static str> {
    TOKENS.iter().fold(None, |found, (known, user)| {
        let equal = bool::from(known.as_bytes().ct_eq(token.as_bytes()));
        if equal { Some(*user) } else { found }
    })
}

fn unauthorized(body: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, body)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8081".into());
    let listener = Listener::bind(&address).await.with_context(|| {
        format!("cannot listen on {address}; pass another address, such as 127.0.0.1:9000")
    })?;
    eprintln!("listening on ws://{}", listener.local_addr()?);

    let node = Node::new(Hub::new(Config::default())?, Devices);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    node.serve(listener, authorize, ctrl_c).await;
    Ok(())
}
