//! Short-lived values: one key each, which the server removes when its time is over.
//!
//! Owns the encoding of the operations of [`Values`].

use std::time::Duration;

use bytes::Bytes;
use redis::Value;

use super::{
    registry::RedisRegistry,
    reply::{ReplyReader, number, unexpected_reply},
    scripts::{GET_VALUE, PUT_VALUE},
};
use crate::{
    error::{RegistryError, RegistryErrorKind},
    reply::RegistryFuture,
    values::{StoredValue, ValueError, Values},
};

impl RedisRegistry {
    async fn do_put_value(
        &self,
        key: &str,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), RegistryError> {
        const OPERATION: &str = "keep a value";
        ValueError::check(key, bytes, ttl).map_err(|why| invalid(OPERATION, why))?;
        let mut call = PUT_VALUE.call_value(&self.keys, key);
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        call.arg(millis).arg(bytes);
        self.client.call(OPERATION, call).await.map(drop)
    }

    async fn do_get_value(&self, key: &str) -> Result<Option<StoredValue>, RegistryError> {
        const OPERATION: &str = "read a value";
        ValueError::check_key(key).map_err(|why| invalid(OPERATION, why))?;
        let call = GET_VALUE.call_value(&self.keys, key);
        let reply = self.client.call(OPERATION, call).await?;
        let mut reply = ReplyReader::new(OPERATION, reply)?;
        let (value, millis) = (reply.next()?, number(&reply.next()?));
        match (value, millis) {
            (Value::Nil, _) | (Value::BulkString(_), Some(0)) => Ok(None),
            (Value::BulkString(bytes), Some(millis @ 1..)) => Ok(Some(StoredValue {
                bytes: Bytes::from(bytes),
                ttl: Duration::from_millis(millis.unsigned_abs()),
            })),
            // One without an end is another program's.
            _ => Err(unexpected_reply(OPERATION)),
        }
    }
}

impl Values for RedisRegistry {
    fn put<'a>(&'a self, key: &'a str, bytes: Bytes, ttl: Duration) -> RegistryFuture<'a, ()> {
        Box::pin(async move { self.do_put_value(key, &bytes, ttl).await })
    }

    fn get<'a>(&'a self, key: &'a str) -> RegistryFuture<'a, Option<StoredValue>> {
        Box::pin(self.do_get_value(key))
    }
}

fn invalid(operation: &'static str, why: ValueError) -> RegistryError {
    RegistryError::of_kind(RegistryErrorKind::InvalidInput, operation, why)
}
