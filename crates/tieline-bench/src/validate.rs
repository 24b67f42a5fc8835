//! Checks a plan before it runs.
//!
//! Owns the errors of a plan, and the limits that are the same on every machine; `run` checks those that
//! depend on descriptors and ports. Must not know flags, nor open or resolve anything.

use crate::{
    plan::{Pacing, Plan, Scenario, Wire},
    stamp,
    template::{Placeholder, Template},
    url::{Scheme, Url, UrlError},
    wire::{json, pusher},
};

/// The maximum length of a payload, in bytes.
const MAX_PAYLOAD: usize = 64 << 20;
/// The maximum rate: at higher ones, messages are less than ten nanoseconds apart.
const MAX_RATE: f64 = 1e8;
/// The maximum number of members of a room that send: the load remembers each for each receiver.
const MAX_SENDERS: usize = 1_000;

/// Why a plan is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There is no URL.
    #[error("no URL to connect to; give one, such as ws://127.0.0.1:9000/ws")]
    NoUrl,
    /// A URL is invalid.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A number is zero.
    #[error("the number of {0} is 0; use at least 1")]
    Zero(&'static str),
    /// Pairs need an even number of connections.
    #[error("{0} connections do not form pairs; use an even number")]
    Pairs(usize),
    /// Nobody broadcasts, or nobody sends beside the broadcasts.
    #[error(
        "mixed needs broadcasts, a pair that sends them and another pair; use at least 4 connections"
    )]
    Mixed,
    /// More members of a room send than it has, or than the load can follow.
    #[error(
        "{senders} senders in rooms of {room} connections; use at most {room}, and at most {MAX_SENDERS}"
    )]
    Senders {
        /// How many members of a room send.
        senders: usize,
        /// How many members a room has.
        room: usize,
    },
    /// A rate is out of range.
    #[error("{0} per second is out of range; use a rate above 0 and up to 100 million")]
    Rate(f64),
    /// There is no measurement time.
    #[error("the measurement time is 0 seconds; make it longer")]
    NoTime,
    /// The connections need too many processes.
    #[error(
        "the load needs {processes} processes, and the maximum is 254: descriptor limit and ports allow \
         {each} connections per process; raise the descriptor limit (ulimit -n), or use fewer \
         connections or processes"
    )]
    Processes {
        /// How many the load needs.
        processes: usize,
        /// How many connections each allows.
        each: usize,
    },
    /// The payload is too short for its stamp, or too long.
    #[error("a payload cannot have {0} bytes; use {min} to {MAX_PAYLOAD}", min = stamp::LENGTH)]
    Size(usize),
    /// The message has no payload, or several.
    #[error("the message {0:?} must contain {{payload}} exactly once")]
    Payload(String),
    /// A payload is in a template other than the message.
    #[error("{0:?} contains {{payload}}, which is for the measured message only; remove it")]
    Misplaced(String),
    /// A header is invalid.
    #[error("{0:?} is not a header; write it as `Name: value`")]
    Header(String),
    /// A subprotocol is invalid.
    #[error("{0:?} is not a subprotocol; use a name without spaces and commas")]
    Subprotocol(String),
    /// Requests and the scenario that sends them do not come together.
    #[error(
        "rest, and no other scenario, has a content type and an expected status, and no binary messages"
    )]
    Request,
    /// A message is not in the format of the wire.
    #[error("{message:?} is not a message of the JSON wire: {why}")]
    Json {
        /// The template of the message.
        message: String,
        /// What is wrong.
        why: String,
    },
    /// A message or a channel is not in the format of the wire.
    #[error("{text:?} does not suit the Pusher wire: {why}")]
    Pusher {
        /// The template of the message or the channel.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// Clients get no copies of their own messages, which the scenario waits for.
    #[error(
        "echo and mixed wait for copies of a client's own messages, which there are not in the Pusher wire; \
         use rooms, broadcast or direct"
    )]
    NoOwnCopies,
}

impl Plan {
    /// Checks the plan.
    pub fn validate(&self) -> Result<(), PlanError> {
        self.validate_numbers()?;
        self.validate_urls()?;
        self.validate_handshake()?;
        self.validate_format()?;
        match self.scenario {
            Scenario::Echo
            | Scenario::Broadcast
            | Scenario::Direct
            | Scenario::Rooms
            | Scenario::Mixed
            | Scenario::Rest => self.validate_messages(),
            Scenario::Idle | Scenario::Storm | Scenario::Churn => Ok(()),
        }
    }

    fn validate_numbers(&self) -> Result<(), PlanError> {
        let (rounds, room, senders) = match self.scenario {
            Scenario::Storm => (self.rounds as usize, 1, 1),
            Scenario::Rooms => (1, self.room, self.senders),
            _ => (1, 1, 1),
        };
        let numbers = [
            ("connections", self.connections),
            ("concurrent handshakes", self.dialing),
            ("rounds", rounds),
            ("connections in a room", room),
            ("senders in a room", senders),
        ];
        if let Some((name, _)) = numbers.iter().find(|(_, number)| *number == 0) {
            return Err(PlanError::Zero(name));
        }
        if senders > room.min(MAX_SENDERS) {
            return Err(PlanError::Senders { senders, room });
        }
        if self.duration.is_zero() {
            return Err(PlanError::NoTime);
        }
        validate_pace(self.pace)?;
        let broadcast = self.broadcast.as_ref().map(|flow| flow.pace);
        broadcast.map_or(Ok(()), validate_pace)?;
        match self.scenario {
            Scenario::Direct | Scenario::Mixed if self.connections % 2 == 1 => {
                Err(PlanError::Pairs(self.connections))
            }
            Scenario::Mixed if self.connections < 4 || broadcast.is_none() => Err(PlanError::Mixed),
            _ => Ok(()),
        }
    }

    fn validate_urls(&self) -> Result<(), PlanError> {
        if self.urls.is_empty() {
            return Err(PlanError::NoUrl);
        }
        for url in &self.urls {
            Url::parse(&Template::parse(url, self.room).text(0), self.scheme())?;
        }
        if let Some(url) = self.receiver_url() {
            Url::parse(&Template::parse(url, self.room).text(0), Scheme::WebSocket)?;
        }
        let urls = self.urls.iter().chain(self.receiver_url());
        let mut fixed = urls.chain(&self.on_open);
        match fixed.find(|text| payloads(text) > 0) {
            Some(text) => Err(PlanError::Misplaced(text.clone())),
            None => Ok(()),
        }
    }

    fn validate_handshake(&self) -> Result<(), PlanError> {
        let is_token = |text: &str| {
            let odd = |c: char| !c.is_ascii_graphic() || "()<>@,;:\\\"/[]?={}".contains(c);
            !text.is_empty() && !text.contains(odd)
        };
        let is_field = |text: &str| {
            let (name, value) = text.split_once(':').unwrap_or_default();
            is_token(name) && !value.contains(char::is_control)
        };
        if let Some(header) = self.headers.iter().find(|header| !is_field(header)) {
            return Err(PlanError::Header(header.clone()));
        }
        match &self.subprotocol {
            Some(name) if !is_token(name) => Err(PlanError::Subprotocol(name.clone())),
            _ => Ok(()),
        }
    }

    fn validate_format(&self) -> Result<(), PlanError> {
        let is_rest = self.scenario == Scenario::Rest;
        if is_rest != self.request.is_some() || is_rest && self.binary {
            return Err(PlanError::Request);
        }
        if let Some(request) = &self.request
            && request.content_type.contains(char::is_control)
        {
            return Err(PlanError::Header(request.content_type.clone()));
        }
        if self.wire == Wire::Bare {
            return Ok(());
        }
        let sends = !matches!(
            self.scenario,
            Scenario::Idle | Scenario::Storm | Scenario::Churn | Scenario::Rest
        );
        let broadcast = self.broadcast.as_ref().map(|flow| &flow.send);
        let sent = sends.then_some(&self.send).into_iter().chain(broadcast);
        if self.wire == Wire::Pusher {
            return self.validate_pusher();
        }
        let mut messages = sent.chain(&self.on_open);
        messages.try_for_each(|message| {
            json::check_template(message).map_err(|why| PlanError::Json {
                message: message.clone(),
                why,
            })
        })
    }

    fn validate_pusher(&self) -> Result<(), PlanError> {
        let published = self.scenario == Scenario::Rest;
        match self.scenario {
            Scenario::Echo | Scenario::Mixed => return Err(PlanError::NoOwnCopies),
            Scenario::Idle | Scenario::Storm | Scenario::Churn => {}
            _ => refuse(&self.send, pusher::check_message(&self.send, published))?,
        }
        let mut channels = self.on_open.iter();
        channels.try_for_each(|channel| refuse(channel, pusher::check_channel(channel)))
    }

    fn validate_messages(&self) -> Result<(), PlanError> {
        if !(stamp::LENGTH..=MAX_PAYLOAD).contains(&self.size) {
            return Err(PlanError::Size(self.size));
        }
        let broadcast = self.broadcast.as_ref().map(|flow| &flow.send);
        let mut messages = [&self.send].into_iter().chain(broadcast);
        match messages.find(|text| payloads(text) != 1) {
            Some(text) => Err(PlanError::Payload(text.clone())),
            None => Ok(()),
        }
    }
}

fn refuse(text: &str, checked: Result<(), String>) -> Result<(), PlanError> {
    checked.map_err(|why| PlanError::Pusher {
        text: text.to_owned(),
        why,
    })
}

fn validate_pace(pace: Pacing) -> Result<(), PlanError> {
    match pace {
        Pacing::InFlight(0) => Err(PlanError::Zero("messages in flight")),
        Pacing::PerSecond(rate) if !(rate > 0.0 && rate <= MAX_RATE) => Err(PlanError::Rate(rate)),
        _ => Ok(()),
    }
}

/// How many payloads a template has.
fn payloads(template: &str) -> usize {
    Template::parse(template, 1).count(Placeholder::Payload)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::RequestPlan;

    pub(crate) fn plan() -> Plan {
        Plan {
            scenario: Scenario::Direct,
            urls: vec!["ws://127.0.0.1:9000/ws?id={id}".into()],
            connections: 2,
            pace: Pacing::InFlight(1),
            send: "T:{to}:{payload}".into(),
            on_open: vec![],
            size: 64,
            binary: false,
            wire: Wire::Bare,
            token_key: None,
            request: None,
            subprotocol: Some("a.b".into()),
            headers: vec!["Authorization: Bearer x".into()],
            insecure: false,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(1),
            rounds: 0,
            room: 10,
            senders: 10,
            broadcast: None,
            dialing: 1,
            processes: 0,
            cpu: None,
            pids: vec![],
        }
    }

    fn refused(change: impl FnOnce(&mut Plan)) -> String {
        let mut plan = plan();
        change(&mut plan);
        plan.validate().expect_err("it is invalid").to_string()
    }

    #[test]
    fn a_valid_plan_is_accepted() {
        assert_eq!(plan().validate(), Ok(()));
    }

    #[test]
    fn an_invalid_plan_is_refused_with_advice() {
        assert!(refused(|p| p.urls.clear()).contains("give one"));
        assert!(refused(|p| p.urls[0] = "http://a".into()).contains("ws://host"));
        assert!(refused(|p| p.urls[0].push_str("{payload}")).contains("remove it"));
        assert!(refused(|p| p.on_open.push("{payload}".into())).contains("remove it"));
        assert!(refused(|p| p.connections = 3).contains("even"));
        assert!(refused(|p| p.connections = 0).contains("connections is 0"));
        assert!(refused(|p| p.pace = Pacing::PerSecond(f64::NAN)).contains("out of range"));
        assert!(refused(|p| p.pace = Pacing::PerSecond(1.1e8)).contains("100 million"));
        assert!(refused(|p| p.pace = Pacing::InFlight(0)).contains("in flight"));
        assert!(refused(|p| p.size = 33).contains("use 34 to"));
        assert!(refused(|p| p.send = "x".into()).contains("must contain {payload} exactly once"));
        assert!(refused(|p| p.headers.push("a: b\r\nc: d".into())).contains("Name: value"));
        assert!(refused(|p| p.subprotocol = Some("a b".into())).contains("not a subprotocol"));
        assert!(refused(|p| p.duration = Duration::ZERO).contains("seconds"));
        let storm = refused(|p| p.scenario = Scenario::Storm);
        assert!(storm.contains("rounds"));
        let rooms = |room, senders| {
            refused(|p| (p.scenario, p.room, p.senders) = (Scenario::Rooms, room, senders))
        };
        assert!(rooms(0, 1).contains("connections in a room is 0"));
        assert!(rooms(2, 3).contains("at most 2"));
        let mixed = refused(|p| p.scenario = Scenario::Mixed);
        assert!(mixed.contains("at least 4"));
        assert!(rooms(5_000, 5_000).contains("at most 1000"));
    }

    #[test]
    fn messages_must_be_in_the_format_of_the_wire() {
        let json = |send: &str| {
            let mut plan = plan();
            (plan.wire, plan.send) = (Wire::Json, send.to_owned());
            plan.validate()
        };
        let send = r#"{"type":"sendToGroup","group":"{to}","data":"{payload}"}"#;
        assert_eq!(json(send), Ok(()));
        let why = json("T:{to}:{payload}").unwrap_err().to_string();
        assert!(why.contains("not a message of the JSON wire"), "{why}");
        let why = refused(|p| (p.wire, p.on_open) = (Wire::Json, vec!["J:a".into()]));
        assert!(why.contains("JSON wire"), "{why}");
    }

    #[test]
    fn requests_have_urls_of_their_own() {
        let rest = |url: &str, content_type: &str| {
            let mut plan = plan();
            (plan.scenario, plan.urls) = (Scenario::Rest, vec![url.to_owned()]);
            plan.request = Some(RequestPlan {
                content_type: content_type.to_owned(),
                status: 202,
                receiver_url: Some("ws://h:1/?id={id}".into()),
            });
            plan.validate()
        };
        assert_eq!(rest("http://h:1/api", "text/plain"), Ok(()));
        assert!(rest("ws://h:1/api", "text/plain").is_err());
        assert!(rest("http://h:1/api", "text/plain\r\nX: y").is_err());
        assert!(refused(|p| p.scenario = Scenario::Rest).contains("rest"));
    }
}
