//! What can happen, and how it is written in a trace.

use crate::world::{Entry, Pid, Position, Put, TermId};

const NODES: [&str; 3] = ["A", "B", "C"];

/// One step of the world.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    // What the environment may do:
    Connect(Pid, u8),
    ConnectSilent(Pid, u8),
    Say(Pid, u8),
    Disconnect(Pid, u8),
    Crash(Pid),
    Restart(Pid),
    Pause(Pid),
    Cut(Pid),
    Drain(Pid),
    LoseRequest(Pid),
    DelayRequest(Pid),
    LoseAnswer(Pid),
    Wipe,
    Snapshot,
    Failover,
    Stall,
    Trim,
    LateOpen(Pid),
    // What the protocol does, and the passage of time:
    Open(Pid),
    Send(Pid),
    SendOne(Pid, u8),
    Execute(Pid),
    Answer(Pid),
    ExecuteLate(Put),
    Beat(Pid),
    Recover(Pid),
    End(Pid),
    Expire(TermId),
    Bury(TermId),
    Reap(TermId, u8),
    HoldEnds,
    Sync(Pid),
    Follow(Pid, u8),
    Page(Pid, u8),
    Read(Pid),
    Settle(Pid),
    Deliver(Pid, Entry, Position),
    Take(Pid),
    Post(Pid),
    Move(Pid),
    Reset(Pid),
}

impl Action {
    /// `Connect(0, 1)` as "Connect A 1".
    pub(crate) fn words(self) -> String {
        match self {
            Self::ExecuteLate(put) => format!("ExecuteLate s{} #{}", put.term, put.number),
            Self::Deliver(p, entry, _) => {
                let sign = if entry.add { '+' } else { '-' };
                let cell = entry.cell.unwrap_or_default();
                format!("Deliver {} {sign}{cell}", NODES[usize::from(p)])
            }
            Self::Expire(id) => format!("Expire s{id}"),
            Self::Bury(id) => format!("Bury s{id}"),
            Self::Reap(id, cell) => format!("Reap s{id} {cell}"),
            _ => self.words_of_node(),
        }
    }

    /// The first number is a process.
    fn words_of_node(self) -> String {
        let text = format!("{self:?}").replace(')', "");
        let (name, args) = text.split_once('(').unwrap_or((&text, ""));
        let mut args = args.split(", ");
        let node = args.next().and_then(|node| node.parse::<usize>().ok());
        let words = [Some(name), node.map(|node| NODES[node]), args.next()];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}
