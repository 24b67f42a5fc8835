//! Simulated nodes that enter users and follow a roster.
//!
//! Each runs the real [`RosterTable`] and [`RosterView`], so the suite tests a registry against what real nodes do.
//! Invariant: nothing happens between two steps of a scenario, except what time does to leases.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tieline_registry::{
    BeatReply, OpenReply, Position, Put, PutReply, Registry, RosterKind, RosterName, Rosters, Term,
    roster_table::RosterTable, roster_view::RosterView,
};

use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, Skipped},
};

pub(super) const NODE_A: usize = 0;
pub(super) const NODE_B: usize = 1;

/// The rounds in which nodes must come to rest: some twenty leases.
pub(super) const ROUNDS: usize = 60;

/// The nodes and the registry.
pub(super) struct Stage<'a> {
    pub(super) harness: &'a dyn RegistryHarness,
    pub(super) registry: Arc<dyn Registry>,
    pub(super) lease: Duration,
    /// The time after which a lease has certainly run out.
    pub(super) expiry: Duration,
    /// The nodes' clock.
    pub(super) now: Duration,
    pub(super) nodes: Vec<Node>,
    /// How many members a node asks for at once.
    pub(super) most: usize,
    pub(super) auditor: Auditor,
    /// Followers read so soon that what they are told is not history yet.
    pub(super) is_prompt: bool,
}

pub(super) struct Node {
    pub(super) table: RosterTable,
    pub(super) view: RosterView,
    /// Whether it takes steps.
    pub(super) is_up: bool,
    pub(super) is_gone: bool,
    /// A put that was sent, with the reply if it is executed.
    pub(super) put: Option<(Request, Option<PutReply>)>,
    /// Users who are here.
    pub(super) users: BTreeSet<Arc<str>>,
    /// Of these, who has been here since the registry acknowledged it.
    pub(super) steady: BTreeSet<Arc<str>>,
    /// What a subscriber was told to be in the roster.
    pub(super) told: BTreeMap<Arc<str>, Arc<str>>,
    /// What it was told, in order: `+ada`, `-ada`.
    pub(super) heard: Vec<String>,
    pub(super) follows: bool,
}

/// A put on its way.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) term: Term,
    pub(super) put: Put,
}

/// Reads the whole journal, and replays it.
#[derive(Default)]
pub(super) struct Auditor {
    pub(super) at: Option<Position>,
    pub(super) members: BTreeSet<Arc<str>>,
}

/// The one roster of most scenarios.
pub(super) fn lobby() -> RosterName {
    RosterName::new(RosterKind::Members, "lobby")
}

impl<'a> Stage<'a> {
    /// Two nodes, each with a term, on a registry that holds nobody any more.
    pub(super) async fn new(harness: &'a dyn RegistryHarness) -> Result<Stage<'a>, Skipped> {
        Self::with_long_leases(harness, 2).await
    }

    /// With leases that are so many times as long as those of the harness. A registry that nobody has beaten for half
    /// a lease seems to have stood still: on a busy machine, steps that take long need long ones.
    pub(super) async fn with_long_leases(
        harness: &'a dyn RegistryHarness,
        times: u32,
    ) -> Result<Stage<'a>, Skipped> {
        let registry = harness.registry().await;
        if registry.rosters().is_none() {
            return Err(Skipped::new("the registry has no rosters"));
        }
        let lease = harness.lease() * times;
        let mut stage = Stage {
            harness,
            registry,
            lease,
            expiry: harness.expiry() * times,
            now: Duration::ZERO,
            nodes: vec![Node::new(lease), Node::new(lease)],
            most: 512,
            auditor: Auditor::default(),
            is_prompt: true,
        };
        stage.open(NODE_A).await;
        stage.open(NODE_B).await;
        stage.wait_until_nothing_holds().await;
        Ok(stage)
    }

    pub(super) fn rosters(&self) -> &dyn Rosters {
        self.registry
            .rosters()
            .expect("it was checked at the start")
    }

    /// Lets time pass, for the nodes and the store.
    pub(super) async fn pass(&mut self, time: Duration) {
        self.now += time;
        self.harness.pass(time).await;
    }

    /// Beats until the registry holds nobody.
    pub(super) async fn wait_until_nothing_holds(&mut self) {
        for _ in 0..ROUNDS {
            let mut holds = false;
            for node in [NODE_A, NODE_B] {
                if let Some(term) = self.nodes[node].table.term().cloned() {
                    let reply = expect_reply(self.rosters().beat(&term).await);
                    holds |= matches!(&reply, BeatReply::Renewed(p) if !p.hold.is_zero());
                    let now = self.now;
                    self.nodes[node].table.on_beat(&reply, now);
                }
            }
            if !holds {
                return;
            }
            self.pass(self.lease / 6).await;
        }
        panic!("the registry holds for longer than twenty leases");
    }

    /// A term of a node begins.
    pub(super) async fn open(&mut self, node: usize) {
        let term = Term::new(self.lease, Duration::ZERO);
        match expect_reply(self.rosters().open(&term).await) {
            OpenReply::Opened { stands, .. } => self.nodes[node].table.on_opened(term, stands),
            OpenReply::Lost => panic!("a term with a new name is over before it begins"),
        }
    }
}

impl Node {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            table: RosterTable::new(None),
            view: RosterView::new(lease),
            is_up: true,
            is_gone: false,
            put: None,
            users: BTreeSet::new(),
            steady: BTreeSet::new(),
            told: BTreeMap::new(),
            heard: Vec::new(),
            follows: false,
        }
    }
}
