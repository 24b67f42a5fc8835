mod messages;
mod simulation;

use std::collections::HashMap;

use proptest::prelude::*;

use self::simulation::{Arrival, CLIENTS, Simulation, Step, steps};

/// Each connection of a client received what a sender sent in the order of the calls; what was sent by
/// id came once at most, and never to an older connection than what was sent before.
fn verify(arrivals: &[Arrival]) -> Result<(), TestCaseError> {
    let mut last = HashMap::new();
    for arrival in arrivals {
        let key = (arrival.sender, arrival.connection);
        let before = last.insert(key, arrival.number).unwrap_or(0);
        prop_assert!(before < arrival.number, "{arrival:?} behind {before}");
    }
    let mut last = HashMap::new();
    for arrival in arrivals.iter().filter(|arrival| arrival.by_id) {
        let before = last.insert(arrival.sender, arrival.number).unwrap_or(0);
        prop_assert!(before < arrival.number, "{arrival:?} behind {before}");
    }
    Ok(())
}

fn play(steps: &[Step]) -> Result<(), TestCaseError> {
    let simulation = Simulation::new();
    for step in steps {
        simulation.play(step);
    }
    simulation.settle();
    prop_assert!(simulation.is_settled());
    for client in 0..CLIENTS {
        verify(&simulation.arrivals(client))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn order_is_kept_while_clients_move(steps in steps()) {
        play(&steps)?;
    }
}
