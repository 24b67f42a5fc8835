//! Namespaces: the same names in several of them, which never meet.

mod accept;
#[cfg(feature = "cluster")]
mod cluster;
mod hub;
#[cfg(feature = "cluster")]
mod interest;
mod limits;
mod nobody;
#[cfg(feature = "cluster")]
mod operations;
#[cfg(feature = "cluster")]
mod wire;

use std::net::SocketAddr;

use crate::kit::Client;

/// The default namespace, and two others.
const PLACES: [&str; 3] = ["", "chat", "game"];

/// The clients of one namespace: `ada` and `bob` are the user `u` and in the group `g`, `cas` is the user `v`;
/// `ada` is in a group that is named after the namespace, too.
struct Crowd {
    ada: Client,
    bob: Client,
    cas: Client,
}

impl Crowd {
    /// Connects `ada` to the first address, the others to the second.
    async fn connect(place: &str, first: SocketAddr, second: SocketAddr) -> Self {
        let own = if place.is_empty() { "default" } else { place };
        let query = |id: &str, rest: &str| format!("ns={place}&id={id}&quiet&{rest}");
        let ada = query("ada", &format!("user=u&groups=g,{own}"));
        Self {
            ada: Client::connect(first, &ada).await,
            bob: Client::connect(second, &query("bob", "user=u&groups=g")).await,
            cas: Client::connect(second, &query("cas", "user=v")).await,
        }
    }

    /// The texts of each that came before the text `end`. One that was repeated, because a busy machine left no time
    /// for its outcome, counts once.
    async fn texts(&mut self) -> [Vec<String>; 3] {
        [
            until_end(&mut self.ada).await,
            until_end(&mut self.bob).await,
            until_end(&mut self.cas).await,
        ]
    }
}

async fn until_end(client: &mut Client) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match client.text().await {
            text if text == "end" => break,
            text => texts.push(text),
        }
    }
    texts.dedup();
    texts
}

/// The texts of what is sent to all three of them, to `ada` and `bob`, and so on; marked with their namespace.
fn marked(texts: &[&str], mark: &str) -> Vec<String> {
    texts.iter().map(|text| format!("{text} {mark}")).collect()
}
