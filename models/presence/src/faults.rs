//! What the environment may do in a world.

use crate::{
    action::Action as A,
    setup::Setup,
    world::{Health, Pid, World, bit},
};

impl Setup {
    pub(crate) fn faults(&self, w: &World, out: &mut Vec<A>) {
        for p in self.pids() {
            self.faults_of_process(w, p, out);
        }
        let left = &w.left;
        if left.wipe > 0 && !w.registry.journal.is_empty() {
            out.push(A::Wipe);
        }
        if left.failover > 0 {
            let kept = w.snapshot.is_some();
            out.push(if kept { A::Failover } else { A::Snapshot });
        }
        if left.stall > 0 && !self.kind.etcd {
            out.push(A::Stall);
        }
        if left.trim > 0 && w.registry.journal.len() > 1 {
            out.push(A::Trim);
        }
    }

    fn faults_of_process(&self, w: &World, p: Pid, out: &mut Vec<A>) {
        let (left, process) = (&w.left, w.at(p));
        let up = process.health == Health::Up;
        if process.health == Health::Down {
            if left.restart > 0 {
                out.push(A::Restart(p));
            }
            return;
        }
        if up && left.pause > 0 {
            out.push(A::Pause(p));
        }
        if up && left.cut > 0 {
            out.push(A::Cut(p));
        }
        let is_idle = process.op.is_none() && process.old.is_none() && process.term.is_some();
        if up && left.drain > 0 && is_idle {
            out.push(A::Drain(p));
        }
        for cell in (0..self.cells).filter(|_| process.health != Health::Paused) {
            if process.users & bit(cell) != 0 {
                out.push(A::Disconnect(p, cell));
                if process.says & bit(cell) == 0 && process.op.is_none() {
                    out.push(A::Say(p, cell));
                }
                continue;
            }
            if left.connect > 0 {
                out.push(A::Connect(p, cell));
            }
            if left.silent > 0 {
                out.push(A::ConnectSilent(p, cell));
            }
        }
        if left.crash > 0 {
            out.push(A::Crash(p));
        }
        let forgotten = process.last.is_some_and(|last| process.term != Some(last));
        if left.late_open > 0 && forgotten {
            out.push(A::LateOpen(p));
        }
        if let Some(op) = process.op.as_ref().filter(|_| up && left.lose > 0) {
            match op.answer {
                None => out.extend([A::LoseRequest(p), A::DelayRequest(p)]),
                Some(_) => out.push(A::LoseAnswer(p)),
            }
        }
    }
}
