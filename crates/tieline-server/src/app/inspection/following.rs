//! Following a client on all nodes, from one of them.
//!
//! Owns which nodes are asked, when again, and when it is over. Must not know how an operator is told. Invariants: what
//! is not taken is not asked for, so that nothing piles up here; everything ends when this is dropped.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tieline::AskError;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::{
    asking::{Question, ask_node},
    inspector::Inspector,
};
use crate::app::follow::{
    CONNECTION_HAS_ENDED, FollowEvent, FollowPart, FollowQuery, FollowTarget, What,
};

/// How often it looks for nodes that are new, and asks again those that did not answer.
const INTERVAL: Duration = Duration::from_secs(1);

/// Events that wait for an operator, beside those that wait at the nodes.
const MAX_WAITING: usize = 64;

/// A client that is followed on all nodes.
pub(crate) struct Following {
    events: mpsc::Receiver<FollowEvent>,
    _tasks: JoinSet<()>,
    /// If one connection is followed: then it is over with it.
    single: Option<Single>,
}

/// What is known of the one connection that is followed.
struct Single {
    /// Nodes whose first answer is awaited.
    awaited: usize,
    is_present: bool,
    was_present: bool,
}

impl Following {
    /// Begins. Must be called in a runtime.
    pub(crate) fn start(inspector: &Arc<Inspector>, query: FollowQuery) -> Self {
        let (sender, events) = mpsc::channel(MAX_WAITING);
        let single = matches!(query.target, FollowTarget::Connection(_));
        let single = single.then(|| Single {
            awaited: addresses(inspector).len(),
            is_present: false,
            was_present: false,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(follow_all(Arc::clone(inspector), query, sender));
        Self {
            events,
            _tasks: tasks,
            single,
        }
    }

    /// The next event. Without one, it is over. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<FollowEvent> {
        if let Some(why) = self.single.as_ref().and_then(Single::over) {
            self.events.close();
            self.single = None;
            let message = why.to_owned();
            return Some(FollowEvent::of_node("", What::Ended { message }));
        }
        let event = self.events.recv().await?;
        if let Some(single) = &mut self.single {
            single.see(&event.what);
        }
        Some(event)
    }
}

impl Single {
    fn see(&mut self, what: &What) {
        match what {
            What::Present(_) | What::Connected(_) => {
                self.is_present = true;
                self.was_present = true;
            }
            What::Closed { .. } => self.is_present = false,
            What::Following { connections } => {
                self.awaited = self.awaited.saturating_sub(1);
                // It is told of next.
                if *connections > 0 {
                    self.is_present = true;
                    self.was_present = true;
                }
            }
            What::NodeMissed { .. } => self.awaited = self.awaited.saturating_sub(1),
            _ => {}
        }
    }

    fn over(&self) -> Option<&'static str> {
        match self {
            Self {
                is_present: true, ..
            } => None,
            Self {
                was_present: true, ..
            } => Some(CONNECTION_HAS_ENDED),
            Self { awaited: 0, .. } => Some("no node has this connection"),
            _ => None,
        }
    }
}

/// Asks each node, also those that come.
async fn follow_all(
    inspector: Arc<Inspector>,
    query: FollowQuery,
    events: mpsc::Sender<FollowEvent>,
) {
    let mut nodes = JoinSet::new();
    let mut asked = HashSet::new();
    loop {
        for address in addresses(&inspector) {
            if asked.insert(address.clone()) {
                let node = Node {
                    inspector: Arc::clone(&inspector),
                    address,
                    query: query.clone(),
                    events: events.clone(),
                };
                nodes.spawn(node.follow());
            }
        }
        sleep(INTERVAL).await;
    }
}

/// This node, and its peers.
fn addresses(inspector: &Inspector) -> Vec<String> {
    let peers = inspector.cluster().stats().peers;
    let peers = peers.iter().filter(|peer| !peer.legacy);
    let peers = peers.map(|peer| peer.address.to_string());
    std::iter::once(inspector.address().to_owned())
        .chain(peers)
        .collect()
}

/// A node that is asked what happens there.
struct Node {
    inspector: Arc<Inspector>,
    address: String,
    query: FollowQuery,
    events: mpsc::Sender<FollowEvent>,
}

impl Node {
    /// Asks until nobody wants to know any more. A node that is gone may come back.
    async fn follow(self) {
        // Events of its that have come here; `None` before the first answer, and after one that is missing.
        let mut known = None;
        let mut is_missed = false;
        loop {
            let told = match self.ask().await {
                Ok(FollowPart::Events {
                    before,
                    connections,
                    events,
                }) => {
                    is_missed = false;
                    self.tell_part(&mut known, before, connections, events)
                        .await
                }
                Ok(FollowPart::Full { most }) => {
                    let message = format!("the node is followed by {most} others, as many as may");
                    self.tell_missed(&mut is_missed, message).await
                }
                Err(AskError::Offline) => {
                    let message = "the node is gone".to_owned();
                    self.tell_missed(&mut is_missed, message).await
                }
                Err(AskError::Unsupported) => {
                    let message = "the node runs an older version, which tells nothing".to_owned();
                    self.tell_missed(&mut is_missed, message).await
                }
                Err(error) => {
                    let message = format!("the node does not answer ({error})");
                    self.tell_missed(&mut is_missed, message).await
                }
            };
            if !told {
                return;
            }
        }
    }

    async fn ask(&self) -> Result<FollowPart, AskError> {
        if self.address == self.inspector.address() {
            let part = self.inspector.follow(self.query.clone());
            return Ok(part.await);
        }
        let question = Question::Follow(self.query.clone());
        ask_node(self.inspector.cluster(), &self.address, &question).await
    }

    /// False if nobody wants to know any more.
    async fn tell_part(
        &self,
        known: &mut Option<u64>,
        before: u64,
        connections: u64,
        events: Vec<FollowEvent>,
    ) -> bool {
        let count = before.saturating_sub(known.unwrap_or(before));
        if count > 0 && !self.tell(What::Missed { count }).await {
            return false;
        }
        // Another process, or a follow that has ended meanwhile, begins anew.
        let begins = known.is_none_or(|known| before < known);
        *known = Some(before + events.len() as u64);
        if begins && !self.tell(What::Following { connections }).await {
            return false;
        }
        for mut event in events {
            event.node.clone_from(&self.address);
            if self.events.send(event).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Once, until it answers again. Waits before it is asked again.
    async fn tell_missed(&self, is_missed: &mut bool, message: String) -> bool {
        if !std::mem::replace(is_missed, true) && !self.tell(What::NodeMissed { message }).await {
            return false;
        }
        sleep(INTERVAL).await;
        true
    }

    async fn tell(&self, what: What) -> bool {
        let event = FollowEvent::of_node(&self.address, what);
        self.events.send(event).await.is_ok()
    }
}
