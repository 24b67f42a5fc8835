use std::collections::BTreeSet;

use tieline_model_search::{Graph, Model as _, code, experiments, explore, text, violations};

use super::*;

#[test]
fn a_missing_rule_is_found_with_its_shortest_trace() {
    let line = "x | -number | 2,1,1 | redis | connect=1 lose | I1";
    let setup = Setup::parse(line);
    let violations = violations(&setup, &Graph::explore(&setup));
    let [(violation, trace)] = &violations[..] else {
        panic!("one violation: {violations:?}");
    };
    let trace = text::<Setup>(trace);
    assert_eq!(code(violation), "I1");
    assert!(trace.contains("Connect A 0"), "{trace}");
    assert!(trace.contains("DelayRequest A"), "{trace}");
}

#[test]
fn an_unexpected_violation_fails() {
    let line = "x | -lineage | 2,1,1 | redis | connect=2 trim |";
    let mut out = Vec::new();
    assert!(!explore(&[Setup::parse(line)], &mut out).unwrap());
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("I3 "), "{out}");
    assert!(out.contains("EXPECTED []"), "{out}");
}

#[test]
fn the_experiments_are_well_formed() {
    for table in [SMALL, LARGE] {
        let experiments = experiments::<Setup>(table, "");
        assert!(experiments.len() > 20);
        let names: BTreeSet<_> = experiments.iter().map(|setup| &setup.name).collect();
        assert_eq!(names.len(), experiments.len(), "a name occurs twice");
    }
}

#[test]
fn each_rule_has_an_experiment_without_it() {
    for rule in crate::setup::Rules::NAMES {
        // What the journal replaces: the two are off together or not at all.
        if *rule == "chain" {
            continue;
        }
        let without = format!("-{rule}");
        let mut switches = SMALL.lines().filter_map(|line| line.split('|').nth(1));
        assert!(switches.any(|s| s.trim() == without), "{rule}");
    }
}
