//! Short-lived values: one key each, with the time at which it ends in the value.
//!
//! Owns the encoding, and the calls. `value_leases` says how etcd removes what has ended.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    call_error::CallError,
    client::RetrySafety,
    registry::EtcdRegistry,
    rpc::{KeyValue, PutRequest, RangeRequest},
    value_leases::{Current, Slot},
};
use crate::{
    error::{RegistryError, RegistryErrorKind},
    reply::RegistryFuture,
    types::Stamp,
    values::{StoredValue, ValueError, Values},
};

impl EtcdRegistry {
    async fn do_put_value(&self, key: &str, bytes: &[u8], ttl: Duration) -> Result<(), CallError> {
        let micros = u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
        let end = Stamp(self.clock.now().0.saturating_add(micros));
        let value = [end.to_string().as_bytes(), b" ", bytes].concat();
        let put = PutRequest {
            key: self.layout.value_key(key),
            value: value.into(),
            lease: 0,
        };
        let slot = self.value_leases.slot(key, ttl);
        if let Some(lease) = self.value_leases.usable(slot) {
            match self.put_bound(&put, lease).await {
                // Someone has ended it, or etcd has lost its data.
                Err(CallError::LeaseGone) => self.value_leases.remove(slot, lease),
                result => return result,
            }
        }
        let lease = self.grant_for(slot).await?;
        self.put_bound(&put, lease).await
    }

    /// Not repeated: a late put would replace a later value.
    async fn put_bound(&self, put: &PutRequest, lease: i64) -> Result<(), CallError> {
        let put = PutRequest {
            lease,
            ..put.clone()
        };
        let put = self.client.call(RetrySafety::SendOnce, put).await;
        put.map(drop)
    }

    /// A lease for the values of a slot. Of two that are granted at once, one is not used again, and expires.
    async fn grant_for(&self, slot: Slot) -> Result<i64, CallError> {
        let half = Duration::from_secs(slot.seconds);
        // The last put that uses it may take as long as a call.
        let spare = self.client.timeout().as_secs() + 1;
        let until = Instant::now() + half;
        let ttl = slot.seconds.saturating_mul(2).saturating_add(spare);
        let (lease, _) = self.grant(i64::try_from(ttl).unwrap_or(i64::MAX)).await?;
        self.value_leases.set(slot, Current { lease, until });
        Ok(lease)
    }

    async fn do_get_value(&self, key: &str) -> Result<Option<KeyValue>, CallError> {
        let range = RangeRequest {
            key: self.layout.value_key(key),
            ..RangeRequest::default()
        };
        let found = self.client.call(RetrySafety::Idempotent, range).await?;
        Ok(found.kvs.into_iter().next())
    }
}

impl Values for EtcdRegistry {
    fn put<'a>(&'a self, key: &'a str, bytes: Bytes, ttl: Duration) -> RegistryFuture<'a, ()> {
        const OPERATION: &str = "keep a value";
        Box::pin(async move {
            ValueError::check(key, &bytes, ttl).map_err(|why| invalid(OPERATION, why))?;
            let put = self.do_put_value(key, &bytes, ttl).await;
            put.map_err(|error| error.into_registry_error(OPERATION))
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> RegistryFuture<'a, Option<StoredValue>> {
        const OPERATION: &str = "read a value";
        Box::pin(async move {
            ValueError::check_key(key).map_err(|why| invalid(OPERATION, why))?;
            let found = self.do_get_value(key).await;
            let found = found.map_err(|error| error.into_registry_error(OPERATION))?;
            let now = self.clock.now();
            found.map_or(Ok(None), |kv| {
                let value = parse(&kv, now).ok_or_else(|| {
                    let why = "another program wrote the key of a value; delete it";
                    RegistryError::of_kind(RegistryErrorKind::UnexpectedReply, OPERATION, why)
                })?;
                Ok(Some(value).filter(|value| !value.ttl.is_zero()))
            })
        })
    }
}

/// With no time left if the value has ended; `None` if no node can have written it.
fn parse(kv: &KeyValue, now: Stamp) -> Option<StoredValue> {
    let space = kv.value.iter().position(|byte| *byte == b' ')?;
    let end: u64 = std::str::from_utf8(&kv.value[..space]).ok()?.parse().ok()?;
    Some(StoredValue {
        bytes: kv.value.slice(space + 1..),
        ttl: Duration::from_micros(end.saturating_sub(now.0)),
    })
}

fn invalid(operation: &'static str, why: ValueError) -> RegistryError {
    RegistryError::of_kind(RegistryErrorKind::InvalidInput, operation, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_parsed_as_it_was_written() {
        let parse = |value: &'static [u8]| {
            let value = Bytes::from_static(value);
            let kv = KeyValue {
                value,
                ..KeyValue::default()
            };
            parse(&kv, Stamp(1_000_000))
        };
        let value = parse(b"3500000 a b\xff").unwrap();
        assert_eq!(value.bytes, Bytes::from_static(b"a b\xff"));
        assert_eq!(value.ttl, Duration::from_millis(2500));
        assert_eq!(parse(b"999999 ").unwrap().ttl, Duration::ZERO);
        assert_eq!(parse(b"nonsense"), None);
        assert_eq!(parse(b"x y"), None);
    }
}
