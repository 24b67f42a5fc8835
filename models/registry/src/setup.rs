//! What one search explores: the processes, the store, the rules of the protocol and the faults.
//!
//! Owns the line format of the experiments. Must not know what a rule or a fault does.

use std::ops::Range;

use tieline_model_search::named;

use crate::world::{Addr, Pid};

named! {
    /// The rules of the protocol. With all of them off, it is the first draft; with all on, what nodes do.
    Rules: bool {
        /// Claims and releases go by the arrival of the connection. Off: by a counter, and a new claim always wins.
        stamps,
        /// The stamp is the arrival of the request, also if a pause delayed the accept.
        arrival,
        /// A release names the stamp of its own entry. Off: the time at which it is sent.
        own_stamp,
        /// An evict makes its receiver ask the registry. Off: it closes what has a lower stamp.
        evict_asks,
        /// Nodes claim again what they hold, to find what is missing.
        audit,
        /// Nodes release what the registry lists for them and they do not hold.
        sweep,
        /// The shadow (stamp, address) outlives the deletion of an entry by another program.
        shadow,
        /// A join takes its address from a live process only if the address leads to the joiner.
        guard,
        /// A join leaves the entries of its address to the sweep. Off: it removes them.
        keep_on_join,
        /// Each part of the reaper's work checks the lease again.
        reap_checks,
        /// The reaper acts only on a lease that was expired one round earlier.
        sight_twice,
        /// Claims and releases need a lease that has not expired.
        lease_to_write,
        /// An emit follows a client as long as its entry changes.
        chase,
        /// An expired lease alone does not make an emit answer `Offline`.
        try_link,
        /// Absence is unknown until every live node has refilled. Off: it means that the client is offline.
        epoch,
        /// A connection is reachable once its claim is granted. Off: as soon as it is accepted.
        granted_first,
    }
}

named! {
    /// How often each fault may happen. All other steps are the protocol's, or the passage of time.
    Faults: u8 {
        /// A client connects. Not a fault, but bounded.
        connect,
        /// Of these connections, so many have their stamp before they are accepted.
        early,
        crash, restart,
        /// The registry loses all data.
        wipe,
        /// An evict is lost.
        lose_evict,
        /// A message is sent to the first client.
        emit,
        /// A client connects again only once it is registered, if this is not 0.
        patient,
        /// A connection whose stamp lies one unit below the previous one's: clocks that disagree.
        skew,
        /// A process is stopped, or the registry is out of its reach. It recovers in time.
        pause, cut,
        /// A request times out: it or its reply is lost, or it is executed at any later time.
        lose,
        /// A request is delivered a second time, at any later time.
        copy,
        /// The registry falls back to any earlier state.
        failover,
        /// The registry is down until all leases have expired, and keeps its data.
        stall,
        /// A client connects to a legacy node, which later deletes the entry, whosever it is.
        foreign,
        /// An audit that finds nothing wrong when it starts.
        idle_audit,
    }
}

/// One search.
pub(crate) struct Setup {
    pub(crate) name: String,
    /// The address that each process advertises. Address `a` leads to process `a`.
    pub(crate) addresses: Vec<Addr>,
    pub(crate) clients: u8,
    pub(crate) is_etcd: bool,
    pub(crate) rules: Rules,
    pub(crate) faults: Faults,
    /// The codes of the violations that must be found.
    pub(crate) expected: Vec<String>,
}

impl Setup {
    /// Parses a line: "name | draft, all or -rule,-rule | address of each process | clients | redis or
    /// etcd | faults | expected violations".
    pub(crate) fn of_line(line: &str) -> Self {
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        let [name, switches, addresses, clients, store, budget, expected] =
            columns.try_into().expect("an experiment has seven columns");
        let (mut rules, mut faults) = (Rules::default(), Faults::default());
        for rule in Rules::NAMES {
            rules.set(rule, switches != "draft");
        }
        for rule in switches
            .split(',')
            .filter_map(|rule| rule.strip_prefix('-'))
        {
            rules.set(rule, false);
        }
        for fault in budget.split_whitespace() {
            let (fault, count) = fault.split_once('=').unwrap_or((fault, "1"));
            faults.set(fault, count.parse().expect("a fault has a number"));
        }
        let addresses = addresses.split(',');
        Self {
            name: name.to_owned(),
            addresses: addresses
                .map(|addr| addr.parse().expect("an address is a number"))
                .collect(),
            clients: clients.parse().expect("the number of clients"),
            is_etcd: store == "etcd",
            rules,
            faults,
            expected: expected.split_whitespace().map(str::to_owned).collect(),
        }
    }

    pub(crate) fn addr(&self, p: Pid) -> Addr {
        self.addresses[usize::from(p)]
    }

    pub(crate) fn pids(&self) -> Range<Pid> {
        0..u8::try_from(self.addresses.len()).expect("there are at most three processes")
    }

    /// Whether a search follows who has refilled: only messages depend on it.
    pub(crate) fn follows_refills(&self) -> bool {
        self.faults.emit > 0
    }
}
