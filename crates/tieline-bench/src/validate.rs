//! What a plan must hold to be played.

use crate::{
    plan::{Pace, Plan, Scenario},
    stamp,
    template::{Place, Template},
    url::{Url, UrlError},
};

/// The longest payload.
const LONGEST: usize = 64 << 20;
/// Beyond this rate, messages would stand less than ten nanoseconds apart.
const FASTEST: f64 = 1e8;

/// Why a plan cannot be played.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There is no address.
    #[error("there is no address to connect to; give one, such as ws://127.0.0.1:9000/ws")]
    NoUrl,
    /// An address is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A number is zero that must not be.
    #[error("the number of {0} is 0; make it at least 1")]
    Zero(&'static str),
    /// Pairs need an even number of connections.
    #[error("{0} connections do not make pairs; make the number even")]
    Pairs(usize),
    /// A rate is no rate.
    #[error(
        "{0} per second cannot be kept as a rate; give a number above 0, of at most 100 million"
    )]
    Rate(f64),
    /// Nothing would be counted.
    #[error("the counted time is 0 seconds; make it longer")]
    NoTime,
    /// The connections need more processes than there can be.
    #[error(
        "the load would take {processes} processes, and there can be 254: each may have {each} \
         connections by its descriptor limit and the ports of one address; raise the limit \
         (ulimit -n), or ask for fewer connections or processes"
    )]
    Processes {
        /// How many it would take.
        processes: usize,
        /// How many connections one may have.
        each: usize,
    },
    /// The payload has no room for what is measured, or no server takes it.
    #[error("a payload cannot have {0} bytes; give {least} to {LONGEST}", least = stamp::LENGTH)]
    Size(usize),
    /// The message has no payload, or several.
    #[error("the message {0:?} must hold {{payload}} once; that is what is measured")]
    Payload(String),
    /// A payload stands where none is sent.
    #[error("{0:?} holds {{payload}}, which only the measured message has; take it out")]
    Misplaced(String),
    /// A field of the handshake is none.
    #[error("{0:?} is no field of a handshake; write it as `Name: value`")]
    Header(String),
    /// A subprotocol is none.
    #[error("{0:?} is no subprotocol; it is a name without spaces and commas")]
    Subprotocol(String),
}

impl Plan {
    /// Says whether this can be played.
    pub fn validate(&self) -> Result<(), PlanError> {
        self.validate_numbers()?;
        self.validate_addresses()?;
        self.validate_handshake()?;
        match self.scenario {
            Scenario::Echo | Scenario::Broadcast | Scenario::Direct => self.validate_message(),
            Scenario::Idle | Scenario::Storm | Scenario::Churn => Ok(()),
        }
    }

    fn validate_numbers(&self) -> Result<(), PlanError> {
        let rounds = match self.scenario {
            Scenario::Storm => self.rounds as usize,
            _ => 1,
        };
        let numbers = [
            ("connections", self.connections),
            ("handshakes at once", self.dialing),
            ("rounds", rounds),
        ];
        match (numbers.iter().find(|(_, number)| *number == 0), self.pace) {
            (Some((name, _)), _) => Err(PlanError::Zero(name)),
            (_, Pace::InFlight(0)) => Err(PlanError::Zero("messages in flight")),
            (_, Pace::PerSecond(rate)) if !(rate > 0.0 && rate <= FASTEST) => {
                Err(PlanError::Rate(rate))
            }
            _ if self.duration.is_zero() => Err(PlanError::NoTime),
            _ if self.scenario == Scenario::Direct && self.connections % 2 == 1 => {
                Err(PlanError::Pairs(self.connections))
            }
            _ => Ok(()),
        }
    }

    fn validate_addresses(&self) -> Result<(), PlanError> {
        if self.urls.is_empty() {
            return Err(PlanError::NoUrl);
        }
        for url in &self.urls {
            Url::parse(&Template::parse(url).text(0))?;
        }
        let mut fixed = self.urls.iter().chain(&self.hello);
        match fixed.find(|text| Template::parse(text).count(Place::Payload) > 0) {
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

    fn validate_message(&self) -> Result<(), PlanError> {
        if !(stamp::LENGTH..=LONGEST).contains(&self.size) {
            return Err(PlanError::Size(self.size));
        }
        match Template::parse(&self.send).count(Place::Payload) {
            1 => Ok(()),
            _ => Err(PlanError::Payload(self.send.clone())),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    pub(crate) fn plan() -> Plan {
        Plan {
            scenario: Scenario::Direct,
            urls: vec!["ws://127.0.0.1:9000/ws?id={id}".into()],
            connections: 2,
            pace: Pace::InFlight(1),
            send: "T:{to}:{payload}".into(),
            hello: vec![],
            size: 64,
            binary: false,
            subprotocol: Some("a.b".into()),
            headers: vec!["Authorization: Bearer x".into()],
            insecure: false,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(1),
            rounds: 0,
            dialing: 1,
            processes: 0,
            cpu: None,
            pids: vec![],
        }
    }

    fn refused(change: impl FnOnce(&mut Plan)) -> String {
        let mut plan = plan();
        change(&mut plan);
        plan.validate()
            .expect_err("it cannot be played")
            .to_string()
    }

    #[test]
    fn a_sound_plan_is_taken() {
        assert_eq!(plan().validate(), Ok(()));
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_advice() {
        assert!(refused(|p| p.urls.clear()).contains("give one"));
        assert!(refused(|p| p.urls[0] = "http://a".into()).contains("ws://host"));
        assert!(refused(|p| p.urls[0].push_str("{payload}")).contains("take it out"));
        assert!(refused(|p| p.hello.push("{payload}".into())).contains("take it out"));
        assert!(refused(|p| p.connections = 3).contains("even"));
        assert!(refused(|p| p.connections = 0).contains("connections is 0"));
        assert!(refused(|p| p.pace = Pace::PerSecond(f64::NAN)).contains("a rate"));
        assert!(refused(|p| p.pace = Pace::PerSecond(1.1e8)).contains("100 million"));
        assert!(refused(|p| p.pace = Pace::InFlight(0)).contains("in flight"));
        assert!(refused(|p| p.size = 33).contains("give 34 to"));
        assert!(refused(|p| p.send = "x".into()).contains("must hold {payload} once"));
        assert!(refused(|p| p.headers.push("a: b\r\nc: d".into())).contains("Name: value"));
        assert!(refused(|p| p.subprotocol = Some("a b".into())).contains("no subprotocol"));
        assert!(refused(|p| p.duration = Duration::ZERO).contains("seconds"));
        let storm = refused(|p| p.scenario = Scenario::Storm);
        assert!(storm.contains("rounds"));
    }
}
