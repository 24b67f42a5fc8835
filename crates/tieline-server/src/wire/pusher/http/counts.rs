//! How many connections are subscribed to a channel, on all nodes.
//!
//! Owns how often the other nodes are asked: once a second for each channel, whoever wants to know. What is on this
//! node is never old. Must not know requests. Invariants: memory is bounded; of several that ask at once, one is sent.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::OnceCell, time::Instant};

use crate::{app::hubs::HubHandle, wire::outcome::MissedLog};

/// How long an answer of the other nodes counts.
const AGE: Duration = Duration::from_secs(1);

/// Most answers that are kept: of further channels, every request asks.
const MAX_ANSWERS: usize = 10_000;

/// Clones share what is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    answers: Arc<Mutex<Answers>>,
    log: MissedLog,
}

#[derive(Debug, Default)]
struct Answers {
    /// By hub and channel.
    kept: HashMap<(String, String), Answer>,
    cleared: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Answer {
    asked: Instant,
    elsewhere: Arc<OnceCell<Subscribers>>,
}

/// Those of a channel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Subscribers {
    pub(super) count: u64,
    /// Nodes that did not answer, whose subscribers are left out.
    pub(super) missed: u64,
}

impl Answer {
    fn new() -> Self {
        Self {
            asked: Instant::now(),
            elsewhere: Arc::default(),
        }
    }
}

impl Counts {
    pub(super) fn new(log: MissedLog) -> Self {
        Self {
            answers: Arc::default(),
            log,
        }
    }

    /// The subscribers of a channel. Those of a node that does not answer are left out, and the log says so.
    pub(super) async fn subscribers(&self, hub: &HubHandle, channel: &str) -> Subscribers {
        let answer = self.answers.lock().find(hub.name().as_str(), channel);
        let elsewhere = answer.elsewhere.get_or_init(|| self.ask(hub, channel));
        let Subscribers { count, missed } = *elsewhere.await;
        let here = hub.cluster().hub().group_len(channel) as u64;
        let count = count + here;
        Subscribers { count, missed }
    }

    async fn ask(&self, hub: &HubHandle, channel: &str) -> Subscribers {
        let cluster = hub.cluster();
        let counted = cluster.group_len(channel).await;
        let mut missed = 0;
        for (node, why) in counted.missed() {
            self.log.missed(node, why);
            missed += 1;
        }
        let others = counted.nodes.iter();
        let others = others.filter(|part| part.node.as_deref() != cluster.address());
        let count = others.filter_map(|part| part.count.as_ref().ok().copied());
        Subscribers {
            count: count.sum(),
            missed,
        }
    }
}

impl Answers {
    /// The answer that counts, or the place for the next one.
    fn find(&mut self, hub: &str, channel: &str) -> Answer {
        let key = (hub.to_owned(), channel.to_owned());
        if let Some(answer) = self.kept.get(&key)
            && answer.asked.elapsed() < AGE
        {
            return answer.clone();
        }
        let answer = Answer::new();
        if self.kept.len() >= MAX_ANSWERS && self.cleared.is_none_or(|last| last.elapsed() >= AGE) {
            self.cleared = Some(Instant::now());
            self.kept.retain(|_, kept| kept.asked.elapsed() < AGE);
        }
        if self.kept.len() < MAX_ANSWERS || self.kept.contains_key(&key) {
            self.kept.insert(key, answer.clone());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn others_are_asked_once_a_second_for_each_channel() {
        let mut answers = Answers::default();
        let first = answers.find("h", "a");
        let is_first = |answer: Answer| Arc::ptr_eq(&answer.elsewhere, &first.elsewhere);
        assert!(is_first(answers.find("h", "a")));
        assert!(!is_first(answers.find("h", "b")) && !is_first(answers.find("i", "a")));
        tokio::time::advance(AGE).await;
        assert!(!is_first(answers.find("h", "a")));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded() {
        let mut answers = Answers::default();
        for channel in 0..2 * MAX_ANSWERS {
            answers.find("h", &channel.to_string());
        }
        assert_eq!(answers.kept.len(), MAX_ANSWERS);
        tokio::time::advance(AGE).await;
        let late = answers.find("h", "late");
        assert_eq!(answers.kept.len(), 1);
        assert!(Arc::ptr_eq(
            &late.elsewhere,
            &answers.find("h", "late").elsewhere
        ));
    }
}
