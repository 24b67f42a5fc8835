use tieline_model_search::Model as _;

use super::*;

#[test]
fn a_missing_rule_is_found_with_its_shortest_trace() {
    let line = "x | -own_stamp | 0,1 | 1 | redis | connect=2 early copy | I3";
    let setup = Setup::parse(line);
    let violations = violations(&setup, &Graph::explore(&setup));
    let [(violation, trace)] = &violations[..] else {
        panic!("one violation: {violations:?}");
    };
    let trace = text::<Setup>(trace);
    assert_eq!(code(violation), "I3");
    assert!(trace.starts_with("Connect A x, Arrive A x, "), "{trace}");
    assert!(trace.contains("CopyRequest A x"), "{trace}");
    assert!(trace.ends_with("ExecuteLate 0"), "{trace}");
}

#[test]
fn an_unexpected_violation_fails() {
    let line = "x | -epoch | 0,1 | 1 | redis | connect=1 wipe emit |";
    let mut out = Vec::new();
    assert!(!explore(&[Setup::parse(line)], &mut out).unwrap());
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("I6 Offline for a client"), "{out}");
    assert!(out.contains("EXPECTED []"), "{out}");
}

#[test]
fn the_experiments_are_well_formed() {
    for table in [SMALL, LARGE] {
        let experiments = experiments::<Setup>(table, "");
        assert!(experiments.len() > 30);
        let names: BTreeSet<_> = experiments.iter().map(|setup| &setup.name).collect();
        assert_eq!(names.len(), experiments.len(), "a name occurs twice");
    }
}
