//! Merges the outcomes of all workers.
//!
//! Counts are added up; of times, the longest is taken. Processes of the server are measured only by the
//! pool, so its readings are used as they are.

use crate::{
    outcome::{Faults, Latency, Opening, Outcome, ProcessUse},
    plan::Plan,
};

/// The outcome of all workers together.
pub(super) fn merge(
    plan: &Plan,
    parts: impl Iterator<Item = Box<Outcome>>,
    processes: Vec<ProcessUse>,
    faults: Faults,
) -> Outcome {
    let mut whole = Outcome {
        plan: plan.clone(),
        elapsed: std::time::Duration::ZERO,
        sent: 0,
        arrived: 0,
        latency: Latency::new(),
        broadcast: None,
        opening: Opening::default(),
        faults,
        processes,
        load_cpu: 0.0,
    };
    for part in parts {
        whole.elapsed = whole.elapsed.max(part.elapsed);
        whole.sent += part.sent;
        whole.arrived += part.arrived;
        add(&mut whole.latency, &part.latency);
        match (&mut whole.broadcast, part.broadcast) {
            (Some(whole), Some(part)) => {
                whole.sent += part.sent;
                whole.arrived += part.arrived;
                add(&mut whole.latency, &part.latency);
            }
            (whole, part) => *whole = part.or(whole.take()),
        }
        whole.opening.connections += part.opening.connections;
        whole.opening.elapsed = whole.opening.elapsed.max(part.opening.elapsed);
        whole.faults.add(part.faults);
        whole.load_cpu += part.load_cpu;
    }
    whole
}

fn add(whole: &mut Latency, part: &Latency) {
    let added = whole.0.add(&part.0);
    added.expect("all histograms have the same bounds");
}
