//! What the environment may do in a world.

use crate::{
    action::Action as A,
    setup::Setup,
    world::{Conn, Emit, Health, Id, Known, Own, Pid, Slot, World},
};

impl Setup {
    pub(crate) fn faults(&self, w: &World, out: &mut Vec<A>) {
        for p in self.pids() {
            for id in 0..self.clients {
                self.faults_of_connection(w, p, id, out);
                Self::faults_of_request(w, p, id, out);
            }
            self.faults_of_process(w, p, out);
        }
        self.faults_of_registry(w, out);
    }

    fn faults_of_connection(&self, w: &World, p: Pid, id: Id, out: &mut Vec<A>) {
        let mut may = may(out);
        let (left, slot) = (&w.left, &w.processes[p].slots[id]);
        let health = w.processes[p].health;
        let running = matches!(health, Health::Up | Health::Cut);
        let own = w.registry.own[id];
        let settled = w.orders == 0 || own.is_some_and(|own| self.serves(w, own, id));
        let allowed = settled || left.patient == 0;
        let waits = slot.arrived.is_some();
        let accepts = running || health == Health::Paused && slot.conn.is_none();
        may(
            left.connect,
            accepts && allowed && !waits,
            A::Connect(p, id),
        );
        let early = left.early.min(left.connect);
        may(early, running && allowed && !waits, A::Arrive(p, id));
        // A node's own clock is monotone, so the wrong one is that of another node.
        let is_second = |own: Own| own.addr != self.addr(p) && own.stamp == 2 * w.orders;
        let no_late = w.late.iter().all(|late| late.0 != self.addr(p));
        let is_unused = *slot == Slot::default() && no_late;
        let skews = health == Health::Up && is_unused && own.is_some_and(is_second);
        may(left.skew, skews, A::ConnectSkewed(p, id));
        let present = slot.conn.is_some() || waits;
        may(1, present && running, A::Disconnect(p, id));
    }

    fn faults_of_request(w: &World, p: Pid, id: Id, out: &mut Vec<A>) {
        let mut may = may(out);
        let (left, slot) = (&w.left, &w.processes[p].slots[id]);
        let asked = slot.op.is_some_and(|op| op.answer.is_none());
        let answered = slot.op.is_some_and(|op| op.answer.is_some());
        may(left.lose, asked, A::LoseRequest(p, id));
        may(left.lose, asked, A::DelayRequest(p, id));
        may(left.lose, answered, A::LoseAnswer(p, id));
        may(left.copy, asked, A::CopyRequest(p, id));
        let is_mine = |conn: Conn| slot.known == Known::Mine(conn.granted);
        let held = slot.op.is_none() && slot.conn.is_some_and(is_mine);
        let up = w.processes[p].health == Health::Up;
        may(left.idle_audit, up && held, A::IdleAudit(p, id));
    }

    fn faults_of_process(&self, w: &World, p: Pid, out: &mut Vec<A>) {
        let mut may = may(out);
        let (left, health) = (&w.left, w.processes[p].health);
        let up = health == Health::Up;
        may(left.crash, up, A::Crash(p));
        may(left.restart, health == Health::Down, A::Restart(p));
        may(left.pause, up, A::Pause(p));
        may(left.cut, up, A::Cut(p));
        let by_route = A::EmitStart(Some(self.addr(p)));
        may(left.emit, w.emit == Emit::Idle, by_route);
    }

    fn faults_of_registry(&self, w: &World, out: &mut Vec<A>) {
        let mut may = may(out);
        let left = &w.left;
        may(left.emit, w.emit == Emit::Idle, A::EmitStart(None));
        for &(addr, id, stamp) in &w.evicts {
            may(left.lose_evict, true, A::LoseEvict(addr, id, stamp));
        }
        let failover = if w.snapshot.is_none() {
            A::Snapshot
        } else {
            A::Failover
        };
        may(left.failover, true, failover);
        may(left.wipe, true, A::Wipe);
        may(left.stall, true, A::Stall);
        for id in 0..self.clients {
            may(left.foreign, !w.foreign[id], A::ForeignConnect(id));
            may(1, w.foreign[id], A::ForeignDisconnect(id));
        }
    }
}

/// Adds an action if there is a budget for it, and its condition holds.
fn may(out: &mut Vec<A>) -> impl FnMut(u8, bool, A) {
    |budget, when, action| {
        if budget > 0 && when {
            out.push(action);
        }
    }
}
