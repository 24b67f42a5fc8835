//! What can happen, and how it is written in a trace.

use crate::world::{Addr, Id, Pid, Stamp};

/// One step of the world.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    // What the environment may do:
    Connect(Pid, Id),
    ConnectSkewed(Pid, Id),
    Arrive(Pid, Id),
    Disconnect(Pid, Id),
    Crash(Pid),
    Restart(Pid),
    Pause(Pid),
    Cut(Pid),
    LoseRequest(Pid, Id),
    DelayRequest(Pid, Id),
    CopyRequest(Pid, Id),
    LoseAnswer(Pid, Id),
    LoseEvict(Addr, Id, Stamp),
    Wipe,
    Snapshot,
    Failover,
    Stall,
    ForeignConnect(Id),
    ForeignDisconnect(Id),
    IdleAudit(Pid, Id),
    EmitStart(Option<Addr>),
    // What the protocol does, and the passage of time:
    Accept(Pid, Id),
    Send(Pid, Id),
    Execute(Pid, Id),
    Answer(Pid, Id),
    ExecuteLate(usize),
    Evict(Addr, Id, Stamp),
    Renew(Pid),
    Recover(Pid),
    Expire(Pid, u8),
    Settle,
    Sight(Addr),
    ReapEntry(Addr, Id),
    ReapNode(Addr),
    EmitStep,
}

impl Action {
    /// `Connect(0, 1)` as "Connect A y".
    pub(crate) fn words(self) -> String {
        let text = format!("{self:?}").replace("Some(", "").replace(')', "");
        let (name, args) = text.split_once('(').unwrap_or((&text, ""));
        match name {
            "ExecuteLate" => return format!("{name} {args}"),
            "ForeignConnect" | "ForeignDisconnect" => {
                return format!("{name} {}", ["x", "y"][usize::from(args == "1")]);
            }
            _ => {}
        }
        let names = [["A", "B", "C"], ["x", "y", "z"]];
        let names = names.into_iter().take(if name == "Expire" { 1 } else { 2 });
        let words = args.split(", ").zip(names);
        let words = words.filter_map(|(n, names)| Some(names[n.parse::<usize>().ok()?]));
        words.fold(name.to_owned(), |text, word| text + " " + word)
    }
}
