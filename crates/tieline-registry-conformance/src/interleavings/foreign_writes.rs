//! Writes of legacy nodes, which know no stamps, and emits that follow a client that moves.
//!
//! Proves that both kinds of node can share a registry: the last one that a client connected to
//! owns the id, and what the other writes late is repaired.

use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult},
    simulation::{Emit, EmitOutcome, ID, NODE_A, NODE_B, Simulation},
};

/// A client moves from a legacy node to A, then the legacy node deletes the entry. An emit must
/// still find the client by the shadow, and an audit must write the entry again.
pub(crate) async fn foreign_delete_of_newer_entry(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect_to_legacy_node(1).await;
    sim.connect(NODE_A, 2);
    sim.round_trip(NODE_A).await;
    sim.disconnect_from_legacy_node().await;
    assert_eq!(
        sim.emit().await,
        EmitOutcome::Delivered,
        "I6: the client is connected and registered; `locate` must answer from the shadow"
    );
    sim.converge_with_audits().await;
    sim.assert_connections(&[(NODE_A, 2)]);
    Ok(())
}

/// A client moves from A to a legacy node, which does not notify A. The next audit must close the
/// connection at A. When the client moves on to B, the entry must name B.
pub(crate) async fn client_moves_to_legacy_node(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.connect_to_legacy_node(2).await;
    sim.converge_with_audits().await;
    sim.assert_connections(&[]);
    sim.disconnect_from_legacy_node().await;
    sim.converge().await;

    sim.connect_to_legacy_node(3).await;
    sim.connect(NODE_B, 4);
    sim.round_trip(NODE_B).await;
    sim.forget_legacy_connection();
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 4)]);
    Ok(())
}

/// A client moves from A to a legacy node, and its connection to A ends before A learns of it. When
/// the legacy node deletes its entry, nothing of A's may be left behind it.
pub(crate) async fn disconnect_after_foreign_write(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    sim.connect_to_legacy_node(2).await;
    sim.disconnect(NODE_A);
    sim.converge().await;
    sim.disconnect_from_legacy_node().await;
    assert_eq!(
        expect_reply(sim.registry.locate(ID, true).await).entry(),
        None,
        "I2: the shadow of a connection that ended must not outlive the foreign entry"
    );
    sim.converge().await;
    sim.assert_connections(&[]);
    Ok(())
}

/// An emit follows a client that moves while the emit is on its way: first with an outdated route
/// to B, then with an answer of the registry that has become outdated. Both times the registry
/// names B again, but with a newer stamp, so the emit must try B again.
pub(crate) async fn emit_follows_moves(harness: &dyn RegistryHarness) -> ScenarioResult {
    let mut sim = Simulation::new(harness).await;
    sim.connect(NODE_A, 1);
    sim.round_trip(NODE_A).await;
    let mut emit = Emit::by_route(sim.address(NODE_B));
    assert_eq!(
        sim.emit_step(&mut emit).await,
        None,
        "B does not have the client"
    );
    sim.connect(NODE_B, 2);
    sim.round_trip(NODE_B).await;
    assert_eq!(
        sim.run_emit(emit).await,
        EmitOutcome::Delivered,
        "I6: the client was registered all the time"
    );

    // The same, when the outdated route came from the registry itself.
    let mut emit = Emit::default();
    assert_eq!(
        sim.emit_step(&mut emit).await,
        None,
        "the emit tries B next"
    );
    sim.connect(NODE_A, 3);
    sim.round_trip(NODE_A).await;
    sim.deliver_evicts();
    sim.flush(NODE_B).await;
    assert_eq!(
        sim.emit_step(&mut emit).await,
        None,
        "B no longer has the client"
    );
    sim.connect(NODE_B, 4);
    sim.round_trip(NODE_B).await;
    assert_eq!(
        sim.run_emit(emit).await,
        EmitOutcome::Delivered,
        "I6: the client was registered all the time"
    );
    sim.converge().await;
    sim.assert_connections(&[(NODE_B, 4)]);
    Ok(())
}
