//! Carries out one action.

use crate::{
    action::Action as A,
    setup::Setup,
    world::{Health, Lease, Mask, Op, Pid, Process, Registry, World, bit},
};

impl Setup {
    pub(crate) fn apply(&self, w: &mut World, action: A) {
        match action {
            A::Connect(p, cell) => {
                w.left.connect -= 1;
                w.of(p).users |= bit(cell);
                self.say(w, p, cell);
            }
            A::ConnectSilent(p, cell) => {
                w.left.silent -= 1;
                w.of(p).users |= bit(cell);
            }
            A::Say(p, cell) => self.say(w, p, cell),
            A::Disconnect(p, cell) => {
                w.of(p).users &= !bit(cell);
                w.of(p).says &= !bit(cell);
                w.of(p).steady &= !bit(cell);
            }
            A::Crash(p) | A::Drain(p) | A::Restart(p) | A::Pause(p) | A::Cut(p) | A::Recover(p) => {
                Self::apply_to_process(w, p, action);
            }
            A::LoseRequest(..)
            | A::DelayRequest(..)
            | A::LoseAnswer(..)
            | A::Send(..)
            | A::SendOne(..)
            | A::Execute(..)
            | A::Answer(..)
            | A::ExecuteLate(..) => self.apply_to_put(w, action),
            A::Open(p) => self.open(w, p),
            A::End(p) => self.end_old(w, p),
            A::Beat(p) => *w = self.beat(w, p).expect("the beat changes something"),
            A::Sync(p) => self.sync(w, p),
            A::Follow(p, cell) => self.follow(w, p, cell),
            A::Page(p, cell) => self.page(w, p, cell),
            A::Read(p) => self.read(w, p),
            A::Settle(p) => self.settle(w, p),
            A::Deliver(p, entry, before) => self.deliver(w, p, entry, before),
            A::Take(p) => Self::take_hook(w, p),
            A::Post(p) => self.post(w, p),
            A::Move(p) => self.move_hook(w, p),
            A::Reset(p) => Self::reset_hook(w, p),
            _ => self.apply_to_registry(w, action),
        }
    }

    /// A connection says something of its user. If an entry stands, it is put again: if all say something, they say the
    /// same, and it is not.
    fn say(&self, w: &mut World, p: Pid, cell: u8) {
        let process = w.of(p);
        process.says |= bit(cell);
        if self.faults.silent > 0 {
            process.maybe |= process.mine & bit(cell);
            process.mine &= !bit(cell);
            process.steady &= !bit(cell);
        }
    }

    fn apply_to_process(w: &mut World, p: Pid, action: A) {
        match action {
            A::Crash(_) => {
                w.left.crash -= 1;
                let late = Self::forget(w, p);
                w.late.extend(late);
                Self::go_down(w, p);
            }
            A::Drain(_) => {
                // The term is left to its lease.
                w.left.drain -= 1;
                Self::go_down(w, p);
            }
            A::Restart(_) => {
                w.left.restart -= 1;
                *w.of(p) = Process::new(Health::Up);
            }
            A::Pause(_) => {
                w.left.pause -= 1;
                w.of(p).health = Health::Paused;
            }
            A::Cut(_) => {
                w.left.cut -= 1;
                let late = Self::forget(w, p);
                w.late.extend(late);
                w.of(p).health = Health::Cut;
            }
            A::Recover(_) => w.of(p).health = Health::Up,
            _ => unreachable!("it concerns a process"),
        }
    }

    fn go_down(w: &mut World, p: Pid) {
        w.messages.retain(|message| message.0 != p);
        *w.of(p) = Process::new(Health::Down);
    }

    fn apply_to_put(&self, w: &mut World, action: A) {
        match action {
            A::LoseRequest(p) | A::LoseAnswer(p) | A::DelayRequest(p) => {
                w.left.lose -= 1;
                let put = Self::forget(w, p);
                if let A::DelayRequest(_) = action {
                    w.late.extend(put);
                }
            }
            A::Send(p) => self.send(w, p, Mask::MAX),
            A::SendOne(p, cell) => self.send(w, p, bit(cell)),
            A::Execute(p) => {
                let put = w.at(p).op.as_ref().expect("a put is sent").put;
                let (answer, kept, told) = self.execute(w, put);
                let told = if self.rules.journal { vec![] } else { told };
                w.of(p).op = Some(Op {
                    put,
                    answer: Some(answer),
                    kept,
                    told,
                });
            }
            A::Answer(p) => self.answer(w, p),
            A::ExecuteLate(put) => {
                w.late.remove(&put);
                self.execute(w, put);
            }
            _ => unreachable!("it concerns a put"),
        }
    }

    fn apply_to_registry(&self, w: &mut World, action: A) {
        let registry = &mut w.registry;
        match action {
            A::Wipe => {
                w.left.wipe -= 1;
                *registry = Registry {
                    hold: self.rules.hold && !self.kind.etcd,
                    ..Registry::EMPTY
                };
            }
            A::Snapshot => w.snapshot = Some(Box::new(registry.clone())),
            A::Failover => {
                w.left.failover -= 1;
                *registry = *w.snapshot.take().expect("there is a snapshot");
            }
            A::Stall => {
                w.left.stall -= 1;
                for term in registry.terms.iter_mut().flatten() {
                    if term.lease == Lease::Live {
                        term.lease = Lease::Expired;
                    }
                }
                registry.hold = self.rules.hold;
            }
            A::Trim => {
                w.left.trim -= 1;
                let last = registry.journal.len() - 1;
                registry.journal.drain(..last);
            }
            A::LateOpen(p) => {
                w.left.late_open -= 1;
                let id = w.at(p).last.expect("there was a term");
                let term = *w.registry.term(id);
                if term.is_none_or(|term| term.lease != Lease::Buried) {
                    Self::begin(w, p, id);
                }
            }
            A::Expire(id) if !self.kind.etcd => {
                let term = registry.term(id).as_mut().expect("there is a term");
                term.lease = Lease::Expired;
            }
            A::Expire(id) | A::Bury(id) => self.end(w, id),
            A::Reap(id, cell) => self.reap(w, id, cell),
            A::HoldEnds => registry.hold = false,
            _ => unreachable!("it concerns the registry"),
        }
    }
}
