//! One simulated node: a process with its claim table, connections and pending requests.
//!
//! Owns plain state. Must not know the registry or other nodes.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tieline_registry::{
    ClientId, NodeSession, Stamp,
    claim_table::{ClaimReply, ClaimTable, Request},
};
use uuid::Uuid;

pub(super) struct Node {
    pub(super) address: Arc<str>,
    pub(super) process: Uuid,
    pub(super) process_state: ProcessState,
    pub(super) session: Option<NodeSession>,
    /// Nothing is sent: the session is lost, or an answer is missing.
    pub(super) stopped: Option<Stopped>,
    /// Another process has the address.
    pub(super) address_taken: bool,
    pub(super) table: ClaimTable<u32>,
    pub(super) live: HashMap<ClientId, Connection>,
    pub(super) pending: VecDeque<PendingRequest>,
    /// Beats in a row after which the registry had another number of entries.
    pub(super) odd: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessState {
    Up,
    Paused,
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    Lost,
    NoReply,
}

/// A connection: the number that the scenario gave it, and its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) number: u32,
    pub(super) stamp: Stamp,
}

pub(super) struct PendingRequest {
    pub(super) request: Request,
    pub(super) answer: Option<ClaimReply>,
}

impl Node {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: address.into(),
            process: Uuid::now_v7(),
            process_state: ProcessState::Up,
            session: None,
            stopped: None,
            address_taken: false,
            table: ClaimTable::default(),
            live: HashMap::new(),
            pending: VecDeque::new(),
            odd: 0,
        }
    }
}
