//! Short-lived values.
//!
//! Owns the contract of [`Values`]. A registry without them skips these scenarios.

use std::{sync::Arc, time::Duration};

use tieline_registry::{
    MAX_NAME, MAX_NAMESPACE, MAX_TTL, MAX_VALUE, MIN_TTL, Registry, RegistryErrorKind, StoredValue,
    ValueError, Values, id,
};

use super::fixture::{ADDRESS_A, ADDRESS_B, Fixture, LONG_LEASE};
use crate::{
    expect::expect_reply,
    harness::{RegistryHarness, ScenarioResult, Skipped},
};

/// Longer than any scenario takes.
const LONG: Duration = Duration::from_mins(2);

/// More than the longest time within which a value of the shortest time ends.
const ENDED: Duration = Duration::from_millis(1100);

/// A registry that has values.
struct Store(Arc<dyn Registry>);

impl Store {
    async fn new(harness: &dyn RegistryHarness) -> Result<Self, Skipped> {
        Self::on(harness.registry().await)
    }

    fn on(registry: Arc<dyn Registry>) -> Result<Self, Skipped> {
        match registry.values() {
            Some(_) => Ok(Self(registry)),
            None => Err(Skipped::new("the registry has no values")),
        }
    }

    fn values(&self) -> &dyn Values {
        self.0.values().expect("it was checked")
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) {
        let bytes = value.to_vec().into();
        expect_reply(self.values().put(key, bytes, ttl).await);
    }

    async fn get(&self, key: &str) -> Option<StoredValue> {
        expect_reply(self.values().get(key).await)
    }

    async fn assert_value(&self, key: &str, expected: Option<&[u8]>) {
        let found = self.get(key).await;
        let bytes = found.as_ref().map(|value| &value.bytes[..]);
        assert!(
            bytes == expected,
            "the value of {key:?} must be {expected:?}: {bytes:?}"
        );
    }
}

/// Values of any bytes and lengths, under any names. Each is read as it was put.
pub(crate) async fn a_value_is_read_as_it_was_put(harness: &dyn RegistryHarness) -> ScenarioResult {
    let store = Store::new(harness).await?;
    store.assert_value("x", None).await;
    let longest_name = "x".repeat(MAX_NAME);
    let longest_key = id::key(&"n".repeat(MAX_NAMESPACE), &longest_name).into_owned();
    let keys = [
        "x",
        "a b",
        "a/b%2F",
        "own/x",
        "*",
        "ü{}",
        &longest_name,
        &longest_key,
    ];
    for (number, key) in (0u8..).zip(keys) {
        store.put(key, &[0, 0xff, b' ', 1, number], LONG).await;
    }
    for (number, key) in (0u8..).zip(keys) {
        let value = [0, 0xff, b' ', 1, number];
        store.assert_value(key, Some(&value)).await;
    }
    store.put("x", b"", LONG).await;
    store.assert_value("x", Some(b"")).await;
    let longest: Vec<u8> = (0..=u8::MAX).cycle().take(MAX_VALUE).collect();
    store.put("x", &longest, LONG).await;
    store.assert_value("x", Some(&longest)).await;
    Ok(())
}

/// A value is put that ends soon, then another one with a long time, then one that ends soon. What was put last counts,
/// with its time.
pub(crate) async fn a_put_replaces_the_value_and_its_time(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let store = Store::new(harness).await?;
    store.put("x", b"soon", MIN_TTL).await;
    store.put("x", b"longer than before", LONG).await;
    harness.pass(ENDED).await;
    store.assert_value("x", Some(b"longer than before")).await;
    store.put("x", b"", MIN_TTL).await;
    harness.pass(ENDED).await;
    store.assert_value("x", None).await;
    Ok(())
}

/// A value is put, and read until it has ended. How often it was found.
async fn read_to_its_end(store: &Store, harness: &dyn RegistryHarness) -> usize {
    const STEP: Duration = Duration::from_millis(300);
    // Some registries round to milliseconds.
    const FALL: Duration = Duration::from_millis(290);
    store.put("x", b"1", Duration::from_millis(1500)).await;
    let (mut last, mut found) = (Duration::from_millis(1501), 0);
    while let Some(value) = store.get("x").await {
        assert!(
            !value.ttl.is_zero() && value.ttl < last,
            "the time left must fall from {last:?}: {:?}",
            value.ttl
        );
        last = value.ttl.saturating_sub(FALL);
        found += 1;
        harness.pass(STEP).await;
    }
    found
}

/// A value is found with less and less time left, and then no more; another value stays.
pub(crate) async fn a_value_ends_with_its_time(harness: &dyn RegistryHarness) -> ScenarioResult {
    let store = Store::new(harness).await?;
    store.put("stays", b"1", LONG).await;
    // On a busy machine, more time than that may pass before it is read.
    let mut rounds = 0..10;
    let mut is_found = false;
    while !is_found && rounds.next().is_some() {
        is_found = read_to_its_end(&store, harness).await > 0;
    }
    assert!(is_found, "a value is found before its time is over");
    let stays = store.get("stays").await.map(|value| value.ttl);
    assert!(stays.is_some_and(|ttl| ttl <= LONG), "{stays:?}");
    store.put("x", b"2", LONG).await;
    store.assert_value("x", Some(b"2")).await;
    Ok(())
}

/// One name has a value in each of three namespaces, and is an id, too. None of them changes another.
pub(crate) async fn values_of_namespaces_are_apart(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let store = Store::on(Arc::clone(&fixture.registry))?;
    let node = fixture.join(ADDRESS_A).await;
    for key in ["x", "\0chat\0x", "\0game\0x"] {
        store.assert_value(key, None).await;
        store.put(key, key.as_bytes(), LONG).await;
    }
    for key in ["x", "\0chat\0x", "\0game\0x"] {
        store.assert_value(key, Some(key.as_bytes())).await;
        assert_eq!(fixture.locate(key).await, None, "a value is no client");
    }
    assert!(fixture.scan_all().await.is_empty(), "nor listed as one");
    fixture.must_claim(&node, "x", 1).await;
    fixture.assert_at("x", ADDRESS_A, 1).await;
    fixture.release(&node, "x", 1).await;
    store.assert_value("x", Some(b"x")).await;
    Ok(())
}

/// Values that are too long, names that nothing can have, and times out of bounds are refused, and change nothing.
pub(crate) async fn values_out_of_bounds_are_refused(
    harness: &dyn RegistryHarness,
) -> ScenarioResult {
    let store = Store::new(harness).await?;
    store.put("x", b"1", LONG).await;
    let long_name = "x".repeat(MAX_NAME + 1);
    let large = vec![b'2'; MAX_VALUE + 1];
    let second = Duration::from_secs(1);
    let refused: [(&str, &[u8], Duration); 7] = [
        ("x", &large, LONG),
        ("x", b"2", Duration::ZERO),
        ("x", b"2", MIN_TTL.mul_f64(0.999)),
        ("x", b"2", MAX_TTL + second),
        ("", b"2", LONG),
        ("\0", b"2", LONG),
        (&long_name, b"2", LONG),
    ];
    for (key, value, ttl) in refused {
        let put = store.values().put(key, value.to_vec().into(), ttl).await;
        let error = put.expect_err("it must be refused");
        assert_eq!(error.kind(), RegistryErrorKind::InvalidInput, "{error}");
        let source = std::error::Error::source(&error);
        let why = source.and_then(|source| source.downcast_ref::<ValueError>());
        assert!(why.is_some(), "the source says why: {source:?}");
    }
    let error = store.values().get("").await.expect_err("no value has it");
    assert_eq!(error.kind(), RegistryErrorKind::InvalidInput, "{error}");
    store.assert_value("x", Some(b"1")).await;
    store.put("x", b"2", MAX_TTL).await;
    let ttl = store.get("x").await.map(|value| value.ttl);
    assert!(ttl.is_some_and(|ttl| ttl > MAX_TTL / 2), "{ttl:?}");
    Ok(())
}

/// A node puts a value and dies, and is removed; another one joins and leaves. The value stays. Then the store loses
/// all data: there is no value, and another one can be put.
pub(crate) async fn a_value_belongs_to_no_node(harness: &dyn RegistryHarness) -> ScenarioResult {
    let fixture = Fixture::new(harness).await;
    let store = Store::on(Arc::clone(&fixture.registry))?;
    let dies = fixture.join_for(ADDRESS_A, harness.lease()).await;
    fixture.must_claim(&dies, "x", 1).await;
    store.put("x", b"1", LONG).await;
    harness.pass(harness.expiry()).await;
    let other = fixture.join_for(ADDRESS_B, LONG_LEASE).await;
    for expired in expect_reply(fixture.registry.expired().await) {
        while expect_reply(fixture.registry.reap(&expired, 100).await) {}
    }
    expect_reply(fixture.registry.delete_node(ADDRESS_A).await);
    assert_eq!(fixture.locate("x").await, None, "the node is gone");
    expect_reply(fixture.registry.leave(&other).await);
    store.assert_value("x", Some(b"1")).await;

    harness.wipe().await?;
    store.assert_value("x", None).await;
    store.put("x", b"2", LONG).await;
    store.assert_value("x", Some(b"2")).await;
    Ok(())
}
