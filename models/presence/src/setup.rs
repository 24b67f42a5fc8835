//! What one search explores: the processes, the store, the rules of the protocol and the faults.
//!
//! Owns the line format of the experiments. Must not know what a rule or a fault does.

use std::ops::Range;

use tieline_model_search::named;

use crate::world::{Mask, Pid, bit};

named! {
    /// The rules of the protocol.
    Rules: bool {
        /// The script appends the transition to the journal. Off: it answers it, and the caller tells the
        /// followers.
        journal,
        /// Without a journal: what a follower is told names the transition before it, and a gap makes it ask
        /// again.
        chain,
        /// A put is executed only if its number is higher than that of all before it in its term.
        number,
        /// Whoever lost its term takes a new one. Off: the same again.
        fresh,
        /// A term is ended for good before the first of its entries is removed. Off: each chunk checks the
        /// lease.
        bury,
        /// After the registry stood still or lost everything, nobody is buried until all had time to beat.
        hold,
        /// And nobody goes: the last entry of a user stays until all had time to enter theirs.
        keep,
        /// A beat tells the number of the last put that stands; lower than acknowledged: writes were lost.
        loss,
        /// And so does the next put, which is not carried out then.
        loss_put,
        /// All is entered under the new term before the old one is ended.
        claim_first,
        /// Beats renew the old term too, until it is ended.
        both,
        /// A read begins at the entry that was read last, and checks that it is there. Off: after its
        /// position.
        lineage,
        /// What a new snapshot lacks after a break is not announced as gone until all had time to enter it
        /// again.
        settle,
        /// And then only right after a read that reached the end of the journal.
        settle_read,
        /// While settling, a removal that the journal tells waits too.
        settle_wait,
        /// A snapshot in pages is brought up to date by the journal from before its first page.
        replay,
        /// The reader must have met the end of the journal as it was at each page. Off: at the last page.
        tails,
        /// A roster that is followed later is shown once the node's one reader has met its snapshot's position.
        meet,
        /// The dispatcher posts, then moves its position. Off: the reverse.
        post_first,
        /// Who says nothing of a user leaves what others have said.
        silence,
        /// Who is entered again says it, if nobody has. Off: only who has come.
        fill,
    }
}

named! {
    /// How often each fault may happen. All other steps are the protocol's, or the passage of time.
    Faults: u8 {
        /// A user comes, and may go at any time. Not a fault, but bounded.
        connect,
        /// A user comes by a connection that says nothing of the user; another one may, at any time.
        silent,
        crash, restart,
        /// The registry loses all data.
        wipe,
        /// A process is stopped, or the registry is out of its reach. It recovers in time.
        pause, cut,
        /// A put times out: its request or answer is lost, or its request executes at any later time.
        lose,
        /// The registry falls back to any earlier state.
        failover,
        /// The registry is down until all leases have run out, and keeps its data.
        stall,
        /// The journal drops everything but its last entry.
        trim,
        /// The opening of a term that its node has forgotten executes.
        late_open,
        /// A node closes its connections and ends its term with a grace: it goes when its lease would.
        drain,
    }
}

named! {
    /// What the processes use, besides the protocol that all have.
    Kind: bool {
        redis, etcd,
        /// Rosters are read in pages, one for each cell.
        pages,
        /// There is a dispatcher.
        hook,
        /// All cells but the first are followed later, by the same reader.
        later,
        /// A put has one entry.
        single,
    }
}

/// One search.
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) nodes: u8,
    pub(crate) followers: u8,
    pub(crate) cells: u8,
    pub(crate) kind: Kind,
    pub(crate) rules: Rules,
    pub(crate) faults: Faults,
    /// The codes of the violations that must be found.
    pub(crate) expected: Vec<String>,
}

impl Setup {
    /// Parses a line: "name | all or -rule,-rule | nodes,followers,cells | redis or etcd, and what else |
    /// faults | expected violations".
    pub(crate) fn of_line(line: &str) -> Self {
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        let [name, switches, sizes, kinds, budget, expected] =
            columns.try_into().expect("an experiment has six columns");
        let (mut rules, mut faults) = (Rules::default(), Faults::default());
        let mut kind = Kind::default();
        for rule in Rules::NAMES {
            rules.set(rule, true);
        }
        for rule in switches
            .split(',')
            .filter_map(|rule| rule.strip_prefix('-'))
        {
            rules.set(rule, false);
        }
        for name in kinds.split_whitespace() {
            kind.set(name, true);
        }
        for fault in budget.split_whitespace() {
            let (fault, count) = fault.split_once('=').unwrap_or((fault, "1"));
            faults.set(fault, count.parse().expect("a fault has a number"));
        }
        let sizes = sizes.split(',').map(|size| size.parse().expect("a number"));
        let [nodes, followers, cells] = sizes.collect::<Vec<u8>>()[..] else {
            panic!("three sizes: nodes, followers, cells");
        };
        Self {
            name: name.to_owned(),
            nodes,
            followers,
            cells,
            kind,
            rules,
            faults,
            expected: expected.split_whitespace().map(str::to_owned).collect(),
        }
    }

    pub(crate) fn pids(&self) -> Range<Pid> {
        0..self.nodes
    }

    /// The cells of a mask.
    pub(crate) fn cells_of(&self, mask: Mask) -> impl Iterator<Item = u8> + use<> {
        (0..self.cells).filter(move |&cell| mask & bit(cell) != 0)
    }

    pub(crate) fn all_cells(&self) -> Mask {
        bit(self.cells) - 1
    }
}
