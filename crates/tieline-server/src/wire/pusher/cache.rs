//! The last event of a cache channel.
//!
//! Owns how it is kept: in the registry, so that all nodes have the same, and that it outlives the subscribers. Must
//! not know who publishes or subscribes. Invariant: whoever subscribes after an event was sent finds it, or a later
//! one, because it is kept before it is sent.

use std::{sync::Arc, time::Duration};

use tieline::{Cluster, ValuesError};
use tokio::time::timeout;

use super::patience::Patience;

/// An event that is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CachedEvent {
    pub(super) name: String,
    pub(super) data: String,
}

/// Keeps an event of a channel, in place of the one before.
pub(super) async fn keep(
    cluster: &Cluster,
    channel: &str,
    (name, data): (&str, &str),
    ttl: Duration,
) -> Result<(), ValuesError> {
    let value = encode(name, data);
    cluster.values()?.put(channel, value, ttl).await
}

/// The event that is kept of a channel, and for how long it still is.
pub(super) async fn last(
    cluster: &Cluster,
    channel: &str,
) -> Result<Option<(CachedEvent, Duration)>, ValuesError> {
    let stored = cluster.values()?.get(channel).await?;
    // What another version has kept in another form is not there.
    Ok(stored.and_then(|stored| Some((decode(&stored.bytes)?, stored.ttl))))
}

/// The same, unless the registry does not answer: then `None`, after a time that does not add up while it hangs.
pub(super) async fn last_within(
    cluster: &Cluster,
    channel: &str,
    patience: &Arc<Patience>,
) -> Option<Option<(CachedEvent, Duration)>> {
    let limit = patience.limit();
    let (cluster, name) = (cluster.clone(), channel.to_owned());
    let asking = Arc::clone(patience);
    // On a task, so that an answer which nobody waits for any more is heard.
    let asked = tokio::spawn(async move {
        let last = last(&cluster, &name).await;
        if last.is_ok() {
            asking.answered();
        }
        last
    });
    match timeout(limit, asked).await {
        Ok(Ok(Ok(last))) => return Some(last),
        Ok(Ok(Err(error))) => {
            tracing::debug!(%error, channel, "subscribed without the event that is kept");
        }
        // It has taken too long, or the process ends.
        Ok(Err(_)) | Err(_) => {
            tracing::debug!(channel, "subscribed before the event that is kept was read");
        }
    }
    patience.runs_out();
    None
}

/// The length of the name in two bytes, the name, the data.
fn encode(name: &str, data: &str) -> Vec<u8> {
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let mut value = Vec::with_capacity(2 + name.len() + data.len());
    value.extend(length.to_be_bytes());
    value.extend(name.as_bytes());
    value.extend(data.as_bytes());
    value
}

fn decode(value: &[u8]) -> Option<CachedEvent> {
    let (length, rest) = value.split_first_chunk()?;
    let text = str::from_utf8(rest).ok()?;
    let (name, data) = text.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some(CachedEvent {
        name: name.to_owned(),
        data: data.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_the_same_after_it_was_kept() {
        for (name, data) in [("e", "{\"a\":1}"), ("ü\0", ""), ("", "x"), ("e", "\0ü")] {
            let kept = decode(&encode(name, data)).unwrap();
            assert_eq!((&*kept.name, &*kept.data), (name, data));
        }
        for other in [&b""[..], b"\0", b"\0\x02a", b"\0\x01\xc3\xbc", b"\0\0\xff"] {
            assert_eq!(decode(other), None);
        }
    }
}
