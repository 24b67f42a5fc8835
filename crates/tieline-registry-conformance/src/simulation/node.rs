//! One simulated node: a process with its claim table, connections and pending requests.
//!
//! Owns plain state. Must not know the registry or other nodes.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tieline_registry::{
    ClientId, Epoch, NodeSession, Stamp,
    claim_table::{ClaimReply, ClaimRequest, ClaimTable, StopReason},
};
use uuid::Uuid;

pub(super) struct Node {
    pub(super) address: Arc<str>,
    pub(super) process: Uuid,
    pub(super) process_state: ProcessState,
    pub(super) session: Option<NodeSession>,
    /// The registry's epoch, as of the last join or renewal.
    pub(super) epoch: Epoch,
    /// Why nothing is sent until the node joins or gets a new fencing token.
    pub(super) stopped: Option<StopReason>,
    /// Another process holds the address, so this one must not serve.
    pub(super) address_taken: bool,
    pub(super) table: ClaimTable<u32>,
    pub(super) connections: HashMap<ClientId, Connection>,
    pub(super) pending: VecDeque<PendingRequest>,
    /// Renewals in a row at which the registry reported another number of entries than the table
    /// has.
    pub(super) count_mismatches: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessState {
    Running,
    Paused,
    Dead,
}

/// A connection: a number given by the scenario, and the stamp of its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) number: u32,
    pub(super) stamp: Stamp,
    /// Whether its claim was granted, so that it can be reached.
    pub(super) granted: bool,
}

pub(super) struct PendingRequest {
    pub(super) request: ClaimRequest,
    pub(super) reply: Option<ClaimReply>,
}

impl Node {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: address.into(),
            process: Uuid::now_v7(),
            process_state: ProcessState::Running,
            session: None,
            epoch: Epoch::default(),
            stopped: None,
            address_taken: false,
            table: ClaimTable::default(),
            connections: HashMap::new(),
            pending: VecDeque::new(),
            count_mismatches: 0,
        }
    }
}
