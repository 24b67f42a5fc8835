//! The limits of a node.
//!
//! Must not check them: the library does, for every user of its configuration. Invariant: every limit of
//! the library has an option.

use std::time::Duration;

use tieline::{Config, Deflate, Excess, Inbound, SlowConsumer};

use super::times::Times;
use crate::config::{
    section::section,
    types::{Size, choices},
};

section! {
    /// What clients can make the node hold.
    pub(crate) struct Limits in "limits" {
        max_message: Size<usize> = Size(library().message_size),
            "Maximum size of a message from a client.",
            "While a message is unfinished, its client holds what has arrived of it. A longer one closes the \
             connection with 1009.",
            flag: "max-message", library: "message_size";
        max_fragments: u32 = library().fragments,
            "Maximum number of fragments of a message.",
            "More close the connection with 1009.",
            flag: "max-fragments", library: "fragments";
        max_connections: Option<usize> = None,
            "Maximum number of connections.",
            "Each costs a file descriptor, and about 900 bytes while it is idle. Further clients get 503.",
            flag: "max-connections", without: "90% of the descriptor limit";
        max_groups: usize = library().groups_per_connection,
            "Maximum number of groups of a client.",
            "Each costs about 100 bytes and its name. Further joins fail.",
            flag: "max-groups", library: "groups_per_connection";
        max_outbox: Size<usize> = Size(library().outbox_bytes),
            "Maximum number of bytes queued for a client.",
            "That much memory for a client that does not read; beyond it, `limits.slow_consumer` applies. Must exceed \
             `limits.max_message`.",
            flag: "max-outbox", library: "outbox_bytes";
        max_outbox_memory: Option<Size<usize>> = None,
            "Maximum number of bytes queued for all clients together.",
            "Beyond it, the clients for whom most is queued are closed with 1013. At least `limits.max_outbox`.",
            flag: "max-outbox-memory", without: "a quarter of the memory of the control group or the machine";
        max_outbox_frames: usize = library().outbox_frames,
            "Maximum number of messages queued for a client.",
            "8 bytes each, besides the message; beyond it, `limits.slow_consumer` applies.",
            flag: "max-outbox-frames", library: "outbox_frames";
        slow_consumer: SlowConsumerPolicy = SlowConsumerPolicy::Disconnect,
            "What happens if a client falls further behind.",
            "\"disconnect\" closes it with 1013, \"drop-newest\" refuses new messages to it, \"drop-oldest\" discards \
             those that wait longest.",
            flag: "slow-consumer", metavar: "POLICY";
        max_broadcast_queue: Option<Size<usize>> = None,
            "Maximum number of bytes of messages to many that wait in a shard.",
            "That much memory for each shard; messages beyond it are refused.",
            flag: "max-broadcast-queue", library: "broadcast_queue_bytes",
            without: "16 MiB, or `limits.max_outbox` if that is more";
        max_broadcast_queue_frames: usize = library().broadcast_queue_frames,
            "Maximum number of messages to many that wait in a shard.",
            "About 250 bytes each, besides the message; those beyond it are refused.",
            flag: "max-broadcast-queue-frames", library: "broadcast_queue_frames";
        shards: Option<usize> = None,
            "Number of shards of the node.",
            "Two tasks each.",
            flag: "shards", library: "shards", without: "one per processor";
        compress: bool = false,
            "Compress messages for clients that support it (permessage-deflate).",
            "Costs about twenty times the CPU of a small send.",
            flag: "compress";
        max_message_rate: Option<u32> = None,
            "Maximum number of messages per second from a client.",
            "About 450 bytes per connection; beyond it, `limits.rate_excess` applies.",
            flag: "max-message-rate", library: "inbound.messages", without: "no maximum", live: true;
        max_byte_rate: Option<Size<u32>> = None,
            "Maximum number of bytes per second from a client.",
            "About 450 bytes per connection; beyond it, `limits.rate_excess` applies.",
            flag: "max-byte-rate", library: "inbound.bytes", without: "no maximum", live: true;
        rate_burst: Duration = Inbound::default().burst,
            "The time whose messages and bytes may come at once.",
            "Longer times let a client send more in a moment.",
            flag: "rate-burst", library: "inbound.burst", live: true;
        rate_excess: ExcessPolicy = ExcessPolicy::SlowDown,
            "What happens if a client, or those who share a limit, send more.",
            "\"slow-down\" does not read from the client until its turn has come, \"refuse\" drops the message and says so \
             in its ack, \"close\" closes the client with 1008.",
            flag: "rate-excess", metavar: "POLICY", live: true;
        max_message_rate_per_address: Option<u32> = None,
            "Maximum number of messages per second from the clients of one address.",
            "As `limits.max_connections_per_address`; beyond it, `limits.rate_excess` applies.",
            flag: "max-message-rate-per-address", without: "no maximum", live: true;
        max_byte_rate_per_address: Option<Size<u32>> = None,
            "Maximum number of bytes per second from the clients of one address.",
            "As `limits.max_connections_per_address`; beyond it, `limits.rate_excess` applies.",
            flag: "max-byte-rate-per-address", without: "no maximum", live: true;
        max_connections_per_address: Option<usize> = None,
            "Maximum number of clients from one address.",
            "Further clients get 429. An IPv6 network of /64 is one address. Behind a proxy all clients may have one, and \
             many people share one behind a NAT.",
            flag: "max-connections-per-address", without: "no maximum", live: true;
        max_connect_rate_per_address: Option<u32> = None,
            "Maximum number of clients per second that connect from one address.",
            "As `limits.max_connections_per_address`; beyond it, `limits.connect_excess` applies.",
            flag: "max-connect-rate-per-address", without: "no maximum", live: true;
        connect_burst: Duration = Duration::from_secs(10),
            "The time whose connects may come at once.",
            "After a restart, all clients of an address come at once.",
            flag: "connect-burst", live: true;
        connect_excess: ConnectExcess = ConnectExcess::Refuse,
            "What happens if more clients connect than a rate allows.",
            "\"refuse\" answers 429 with Retry-After, \"slow-down\" lets a client wait for its turn if that comes within 5 s.",
            flag: "connect-excess", metavar: "POLICY", live: true;
        max_unauthorized_request_rate_per_address: Option<u32> = None,
            "Maximum number of requests per second from one address with a wrong token or signature, or with none.",
            "Beyond it, every request of a backend from there gets 429, before anything of it is checked. As \
             `limits.max_connections_per_address`; ten seconds' worth may come at once (`limits.connect_burst`).",
            flag: "max-unauthorized-request-rate-per-address", without: "no maximum", live: true;
        max_header: Size<usize> = Size(library().header_size),
            "Maximum size of the head of a request.",
            "Memory until the upgrade, at least 8 KiB; a longer one gets 431.",
            flag: "max-header", library: "header_size";
        max_header_fields: usize = library().header_fields,
            "Maximum number of header fields of a request.",
            "A request with more gets 431.",
            flag: "max-header-fields", library: "header_fields";
        max_handshakes: Option<usize> = None,
            "Maximum number of connections before the upgrade.",
            "A file descriptor each. If there are more, those that have been silent for longest are closed.",
            flag: "max-handshakes", without: "5% of the descriptor limit, at least 64";
        max_handshakes_per_address: Option<usize> = None,
            "Maximum number of connections before the upgrade from one address.",
            "Behind a proxy it needs `proxy_protocol.from`, or all clients have the proxy's address.",
            flag: "max-handshakes-per-address", without: "no maximum";
    }
}

choices! {
    /// What happens to a client whose outbox is full.
    pub(crate) enum SlowConsumerPolicy {
        Disconnect = "disconnect",
        DropNewest = "drop-newest",
        DropOldest = "drop-oldest",
    }
}

choices! {
    /// What happens to a client that sends too much.
    pub(crate) enum ExcessPolicy {
        SlowDown = "slow-down",
        Refuse = "refuse",
        Close = "close",
    }
}

choices! {
    /// What happens to a client that connects when too many do.
    pub(crate) enum ConnectExcess {
        Refuse = "refuse",
        SlowDown = "slow-down",
    }
}

fn library() -> Config {
    Config::default()
}

impl Limits {
    /// The configuration of a node with these limits.
    pub(crate) fn config(&self, times: &Times) -> Config {
        let default = library();
        let broadcast_queue = default.broadcast_queue_bytes.max(self.max_outbox.0);
        Config {
            message_size: self.max_message.0,
            fragments: self.max_fragments,
            message_timeout: times.message_timeout,
            header_size: self.max_header.0,
            header_fields: self.max_header_fields,
            handshake_timeout: times.handshake_timeout,
            decision_timeout: times.decision_timeout,
            http_idle_timeout: times.http_idle_timeout,
            max_handshakes: self.max_handshakes,
            max_handshakes_per_address: self.max_handshakes_per_address,
            outbox_bytes: self.max_outbox.0,
            max_outbox_memory: self.max_outbox_memory.map(|size| size.0),
            outbox_frames: self.max_outbox_frames,
            slow_consumer: self.slow_consumer.into(),
            broadcast_queue_bytes: self
                .max_broadcast_queue
                .map_or(broadcast_queue, |size| size.0),
            broadcast_queue_frames: self.max_broadcast_queue_frames,
            ping_interval: times.ping_interval,
            ping_timeout: times.ping_timeout,
            close_timeout: times.close_timeout,
            drain_window: times.drain_window,
            drain_timeout: times.drain_timeout,
            max_connections: self.max_connections,
            groups_per_connection: self.max_groups,
            inbound: self.inbound(),
            compression: self.compress.then(Deflate::default),
            shards: self.shards,
            ..default
        }
    }

    /// Whether a rate lets nobody in.
    pub(crate) fn has_zero_rate(&self) -> bool {
        let bytes = self.max_byte_rate_per_address.map(|size| size.0);
        let rates = [
            self.max_message_rate_per_address,
            bytes,
            self.max_connect_rate_per_address,
            self.max_unauthorized_request_rate_per_address,
        ];
        rates.contains(&Some(0))
    }

    fn inbound(&self) -> Inbound {
        Inbound {
            messages: self.max_message_rate,
            bytes: self.max_byte_rate.map(|size| size.0),
            burst: self.rate_burst,
            excess: match self.rate_excess {
                ExcessPolicy::SlowDown => Excess::SlowDown,
                ExcessPolicy::Refuse => Excess::Ask,
                ExcessPolicy::Close => Excess::Close,
            },
        }
    }
}

impl From<SlowConsumerPolicy> for SlowConsumer {
    fn from(policy: SlowConsumerPolicy) -> Self {
        match policy {
            SlowConsumerPolicy::Disconnect => Self::Disconnect,
            SlowConsumerPolicy::DropNewest => Self::DropNewest,
            SlowConsumerPolicy::DropOldest => Self::DropOldest,
        }
    }
}
