//! The bounds of the settings, and the errors that name them.

use super::*;

#[test]
fn the_defaults_are_valid() {
    assert_eq!(Config::default().validate(), Ok(()));
}

#[test]
fn a_message_must_fit_an_outbox() {
    let config = Config {
        outbox_bytes: 100,
        message_size: 100,
        ..Config::default()
    };
    let error = ConfigError::TooSmall {
        name: "outbox_bytes",
        bound: "message_size",
    };
    assert_eq!(config.validate(), Err(error));
}

#[test]
fn an_outbox_must_fit_the_memory_of_all() {
    let mut config = Config {
        max_outbox_memory: Some(Config::default().outbox_bytes),
        ..Config::default()
    };
    assert_eq!(config.validate(), Ok(()));
    config.outbox_bytes += 1;
    let error = ConfigError::TooSmall {
        name: "max_outbox_memory",
        bound: "outbox_bytes",
    };
    assert_eq!(config.validate(), Err(error));
}

#[test]
fn a_zero_is_refused_by_name() {
    let config = Config {
        ping_timeout: Duration::ZERO,
        ..Config::default()
    };
    assert_eq!(config.validate(), Err(ConfigError::Zero("ping_timeout")));
    let config = Config {
        shards: Some(0),
        ..Config::default()
    };
    assert_eq!(config.validate(), Err(ConfigError::Zero("shards")));
}

#[test]
fn a_time_is_at_most_a_day() {
    let config = Config {
        drain_timeout: Duration::from_secs(u64::MAX),
        ..Config::default()
    };
    assert_eq!(
        config.validate(),
        Err(ConfigError::TooLong("drain_timeout"))
    );
}

#[test]
fn a_drain_must_outlast_its_window_and_a_close() {
    let config = Config {
        drain_timeout: Duration::from_secs(14),
        ..Config::default()
    };
    assert!(matches!(
        config.validate(),
        Err(ConfigError::TooSmall {
            name: "drain_timeout",
            ..
        })
    ));
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let config = Config {
        shards: Some(0),
        ping_timeout: Duration::ZERO,
        outbox_bytes: 1,
        drain_window: MAX_TIME * 2,
        ..Config::default()
    };
    let problems = config.problems();
    let too_small = |name, bound| ConfigError::TooSmall { name, bound };
    let expected = [
        ConfigError::Zero("shards"),
        ConfigError::Zero("ping_timeout"),
        ConfigError::TooLong("drain_window"),
        too_small("outbox_bytes", "message_size"),
        too_small("drain_timeout", "drain_window + close_timeout"),
    ];
    assert_eq!(problems, expected);
    assert_eq!(config.validate().as_ref(), Err(&problems[0]));
}
