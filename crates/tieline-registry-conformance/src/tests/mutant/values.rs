//! The values of a memory registry, with one deliberate difference.

use std::time::Duration;

use tieline_registry::{
    Bytes, MAX_VALUE, Registry, RegistryFuture, StoredValue, Values, id::split,
};

use super::{MutantRegistry, Mutation};

impl MutantRegistry {
    fn values_within(&self) -> &dyn Values {
        let inner: &dyn Registry = &*self.inner;
        inner.values().expect("the memory registry has values")
    }

    fn mutate_key<'a>(&self, key: &'a str) -> &'a str {
        if self.is(Mutation::IgnoresNamespaces) {
            return split(key).1;
        }
        key
    }
}

impl Values for MutantRegistry {
    fn put<'a>(&'a self, key: &'a str, mut bytes: Bytes, ttl: Duration) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            let (values, key) = (self.values_within(), self.mutate_key(key));
            if self.is(Mutation::KeepsFirstValue) && values.get(key).await?.is_some() {
                return Ok(());
            }
            if self.is(Mutation::CutsValues) {
                bytes.truncate(MAX_VALUE);
            }
            let ttl = if self.is(Mutation::KeepsValuesLonger) {
                ttl * 2
            } else {
                ttl
            };
            values.put(key, bytes, ttl).await
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> RegistryFuture<'a, Option<StoredValue>> {
        Box::pin(async move {
            if self.is(Mutation::DropsValuesWithNodes) && self.inner.nodes().await?.is_empty() {
                return Ok(None);
            }
            self.values_within().get(self.mutate_key(key)).await
        })
    }
}
