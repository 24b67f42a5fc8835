//! Programs that share the layout and know no stamps, and emits that follow what they do.

use crate::{
    Played, RegistryHarness,
    simulation::{A, B, Emit, Emitted, ID, Simulation, done},
};

/// A late deletion by a foreign node: our emits find the client all the same, and an audit repairs.
pub(in super::super) async fn foreign_hdel(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect_foreign(1).await;
    w.connect(A, 2);
    w.register(A).await;
    w.disconnect_foreign().await;
    assert_eq!(w.emit().await, Emitted::Delivered, "I6: the shadow answers");
    w.settle_by_audit().await;
    w.assert_left(&[(A, 2)]);
    Ok(())
}

/// c1A registered, then a foreign node writes; A never hears of it.
pub(in super::super) async fn client_moved_to_go(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    w.connect_foreign(2).await;
    w.settle_by_audit().await;
    w.assert_left(&[]);
    w.disconnect_foreign().await;
    w.settle().await;

    w.connect_foreign(3).await;
    w.connect(B, 4);
    w.register(B).await;
    w.foreign_is_displaced();
    w.settle().await;
    w.assert_left(&[(B, 4)]);
    Ok(())
}

/// The same, and dA before A hears of it: nothing of A's stays behind the foreign entry.
pub(in super::super) async fn generation_leak(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    w.connect_foreign(2).await;
    w.disconnect(A);
    w.settle().await;
    w.disconnect_foreign().await;
    assert_eq!(
        done(w.registry.locate(ID, true).await),
        None,
        "I2: a shadow stays"
    );
    w.settle().await;
    w.assert_left(&[]);
    Ok(())
}

/// An emit tries B by an old route; meanwhile c2B; the registry names B, and it is not the same B.
pub(in super::super) async fn emit_follows_moves(harness: &dyn RegistryHarness) -> Played {
    let mut w = Simulation::steady(harness).await;
    w.connect(A, 1);
    w.register(A).await;
    let mut emit = Emit::by_route(w.address(B));
    assert_eq!(
        w.emit_step(&mut emit).await,
        None,
        "B does not have the client"
    );
    w.connect(B, 2);
    w.register(B).await;
    assert_eq!(w.finish(emit).await, Emitted::Delivered, "I6");

    // Once more, when the registry itself named the place that is left.
    let mut emit = Emit::default();
    assert_eq!(w.emit_step(&mut emit).await, None, "it goes to B");
    w.connect(A, 3);
    w.register(A).await;
    w.deliver_evicts();
    w.flush(B).await;
    assert_eq!(w.emit_step(&mut emit).await, None, "B has it no more");
    w.connect(B, 4);
    w.register(B).await;
    assert_eq!(w.finish(emit).await, Emitted::Delivered, "I6");
    w.settle().await;
    w.assert_left(&[(B, 4)]);
    Ok(())
}
