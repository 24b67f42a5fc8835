//! Traces of the model of the registry protocol (`models/registry`): for each rule of the protocol, the shortest
//! orders of events that break an invariant without it.
//!
//! The model writes the traces. Here they are played on real nodes and a real registry, step by step. A step that
//! these do not need, such as a request that they would not send, does nothing.

use tieline_registry::{Epoch, Stamp, claim_table::ClaimRequest};

use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult, Skipped},
    simulation::{Emit, EmitOutcome, ID, NODE_A, Simulation},
};

const TRACES: &str = include_str!("model_traces.txt");

/// Every trace in which no lease expires. The nodes must converge after each, and no invariant may break.
pub(crate) async fn traces_of_the_model_converge(harness: &dyn RegistryHarness) -> ScenarioResult {
    play_all(harness, |trace| !expires(trace)).await
}

/// Every trace in which leases expire, or a process dies.
pub(crate) async fn traces_with_expired_leases_converge(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    play_all(harness, expires).await
}

fn expires(trace: &str) -> bool {
    ["Expire", "Stall", "Crash"]
        .iter()
        .any(|step| trace.contains(step))
}

async fn play_all(
    harness: &dyn RegistryHarness,
    is_played: impl Fn(&str) -> bool,
) -> ScenarioResult {
    for line in TRACES.lines() {
        let columns: Vec<_> = line.split(" | ").collect();
        let [_, violation, trace] = columns[..] else {
            panic!("a trace has a name, a violation and steps: {line}");
        };
        if is_played(trace) {
            // A harness that cannot wipe or restore its store skips the traces that need it.
            let _ = play(harness, violation, trace).await;
        }
    }
    Ok(())
}

async fn play(harness: &dyn RegistryHarness, violation: &str, trace: &str) -> Result<(), Skipped> {
    let sim = Simulation::for_trace(harness, trace.contains(" C"), expires(trace)).await;
    if trace.contains("Wipe") && sim.epoch(NODE_A) == Epoch::default() {
        // A registry without an epoch does not say that it has lost data.
        return Ok(());
    }
    let mut player = Player {
        sim,
        late: Vec::new(),
        waiting: Vec::new(),
        emit: None,
        number: 0,
    };
    for step in trace.split(", ") {
        let words: Vec<_> = step.split(' ').collect();
        let outcome = player.step(words[0], &words[1..]).await?;
        assert!(
            violation != "I6" || outcome != Some(EmitOutcome::Offline),
            "I6: the client was connected all the time, in this order of events: {trace}"
        );
    }
    player.finish().await;
    Ok(())
}

/// A trace that is being played.
struct Player<'a> {
    sim: Simulation<'a>,
    /// Requests whose sender has given up or gone on.
    late: Vec<ClaimRequest>,
    /// Connections that have arrived and wait to be accepted: node, number, client and stamp.
    waiting: Vec<(usize, u32, String, Stamp)>,
    emit: Option<Emit>,
    number: u32,
}

impl Player<'_> {
    /// Plays a step: its name, then a node, then a client. The outcome of the emit, if it ends.
    async fn step(&mut self, name: &str, args: &[&str]) -> Result<Option<EmitOutcome>, Skipped> {
        let node = args.first().map_or(0, |node| node_named(node));
        let client = match args.last().copied() {
            Some("x") | None => ID,
            Some(other) => other,
        };
        match name {
            "Connect" | "Arrive" | "Accept" | "Disconnect" => self.connection(name, node, client),
            "Crash" | "Restart" | "Pause" | "Recover" => self.process(name, node),
            "Wipe" => self.sim.wipe().await?,
            "Snapshot" => self.sim.snapshot().await?,
            "Failover" => self.sim.restore().await?,
            "EmitStart" if args.is_empty() => self.emit = Some(Emit::default()),
            "EmitStart" => self.emit = Some(Emit::by_route(self.sim.address(node))),
            "EmitStep" => return Ok(self.emit_step().await),
            "Send" | "Execute" | "Answer" | "LoseRequest" | "LoseAnswer" | "DelayRequest"
            | "CopyRequest" | "ExecuteLate" => self.request(name, node, client).await,
            _ => self.passage_of_time(name, node).await,
        }
        Ok(None)
    }

    fn connection(&mut self, name: &str, node: usize, client: &str) {
        let sim = &mut self.sim;
        match name {
            "Connect" | "Arrive" => {
                self.number += 1;
                let stamp = sim.arrive(self.number, client);
                let waiting = (node, self.number, client.to_owned(), stamp);
                self.waiting.push(waiting);
                if name == "Connect" && sim.is_running(node) {
                    self.accept_waiting(node);
                }
            }
            "Accept" => self.accept_waiting(node),
            _ if sim.is_connected(node, client) => sim.disconnect_as(node, client),
            _ => self.waiting.retain(|waiting| waiting.0 != node),
        }
    }

    fn accept_waiting(&mut self, node: usize) {
        let (accepted, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| waiting.0 == node);
        self.waiting = left;
        for (node, number, client, stamp) in accepted {
            self.sim.accept(node, number, &client, stamp);
        }
    }

    fn process(&mut self, name: &str, node: usize) {
        match name {
            "Crash" => self.late.extend(self.sim.crash(node)),
            "Restart" => self.sim.restart(node),
            "Pause" => self.sim.pause(node),
            _ => {
                self.sim.wake_up(node);
                self.accept_waiting(node);
            }
        }
    }

    async fn request(&mut self, name: &str, node: usize, client: &str) {
        let sim = &mut self.sim;
        let pending = sim.has_pending_request(node);
        match name {
            "Send" if sim.is_joined(node) => sim.send(node).await,
            "Execute" => drop(sim.execute_next(node).await),
            "Answer" => drop(sim.deliver_reply(node)),
            "LoseRequest" | "LoseAnswer" if pending => drop(sim.time_out(node)),
            "DelayRequest" if pending => self.late.push(sim.time_out(node)),
            "CopyRequest" if pending => self.late.push(sim.copy_of_request(node)),
            "ExecuteLate" => {
                let at: usize = client.parse().expect("the number of a late request");
                if at < self.late.len() {
                    let request = self.late.remove(at);
                    sim.execute(&request).await;
                }
            }
            _ => {}
        }
    }

    async fn passage_of_time(&mut self, name: &str, node: usize) {
        let sim = &mut self.sim;
        match name {
            "Renew" if sim.is_running(node) => sim.renew(node).await,
            "Evict" => sim.deliver_evicts(),
            "LoseEvict" => sim.drop_evicts(),
            "IdleAudit" if sim.is_joined(node) => sim.audit(node).await,
            "Expire" => sim.expire_leases(&[node]).await,
            "Stall" => {
                sim.expire_leases(&[0, 1]).await;
                // Where entries go with their lease, the client is not registered any more.
                let located = expect_reply(sim.registry.locate(ID, true).await);
                self.emit.take_if(|_| located.entry().is_none());
            }
            "Sight" | "ReapEntry" | "ReapNode" => sim.reap_round().await,
            "ForeignConnect" => {
                self.number += 1;
                sim.connect_to_legacy_node(self.number).await;
            }
            "ForeignDisconnect" => sim.disconnect_from_legacy_node().await,
            _ => {}
        }
    }

    async fn emit_step(&mut self) -> Option<EmitOutcome> {
        let emit = self.emit.as_mut()?;
        let outcome = self.sim.emit_step(emit).await;
        if outcome.is_some() {
            self.emit = None;
        }
        outcome
    }

    /// Everything that is on its way arrives, and the nodes converge.
    async fn finish(mut self) {
        for node in self.sim.paused_nodes() {
            self.sim.wake_up(node);
        }
        for node in [0, 1, 2] {
            self.accept_waiting(node);
        }
        for request in std::mem::take(&mut self.late) {
            self.sim.execute(&request).await;
        }
        self.sim.converge_with_audits().await;
    }
}

/// The nodes of the model are A and B, and C with the address of A.
fn node_named(name: &str) -> usize {
    match name {
        "B" => 1,
        "C" => 2,
        _ => 0,
    }
}
