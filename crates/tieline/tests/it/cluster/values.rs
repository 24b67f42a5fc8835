//! Short-lived values: the same for all nodes and backends.

use std::{sync::Arc, time::Duration};

use tieline::{
    Cluster, Config, Hub, NameError, ValuesError,
    registry::{MAX_VALUE, MemoryRegistry, Registry, ValueError},
};

use crate::kit::{Store, TestNode, linked_backend, memory_registry, run};

const MINUTE: Duration = Duration::from_mins(1);

/// The value that this cluster finds, as text.
async fn found(cluster: &Cluster, name: &str) -> Option<String> {
    let value = cluster.values().unwrap().get(name).await.unwrap()?;
    assert!(value.ttl <= MINUTE, "{value:?}");
    Some(String::from_utf8(value.bytes.to_vec()).unwrap())
}

#[test]
fn a_value_is_found_by_all_and_stays_when_its_node_is_gone() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let backend = linked_backend(Arc::clone(&registry), 2).await;
        let put = a.cluster.values().unwrap().put("news", "1", MINUTE).await;
        put.unwrap();
        for cluster in [&a.cluster, &b.cluster, &backend] {
            assert_eq!(found(cluster, "news").await.as_deref(), Some("1"));
            assert_eq!(found(cluster, "other").await, None);
        }
        let put = backend.values().unwrap().put("news", "2", MINUTE).await;
        put.unwrap();
        a.crash().await;
        backend.leave().await;
        assert_eq!(found(&b.cluster, "news").await.as_deref(), Some("2"));
    });
}

#[test]
fn a_value_is_of_the_namespace_of_its_handle() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let chat = a.cluster.namespace("chat").unwrap();
        let put = chat.values().unwrap().put("news", "in chat", MINUTE).await;
        put.unwrap();
        assert_eq!(found(&b.cluster, "news").await, None);
        let chat = b.cluster.namespace("chat").unwrap();
        assert_eq!(found(&chat, "news").await.as_deref(), Some("in chat"));
        let shown = format!("{:?}", chat.values().unwrap());
        assert!(shown.contains("chat"), "{shown}");
        let value = chat.values().unwrap().get("news").await.unwrap().unwrap();
        assert!(!format!("{value:?}").contains("in chat"), "{value:?}");
    });
}

#[test]
fn a_single_node_keeps_values_by_itself() {
    run(async {
        let cluster = Cluster::single_node(Hub::new(Config::default()).unwrap());
        let put = cluster.values().unwrap().put("news", "1", MINUTE).await;
        put.unwrap();
        assert_eq!(found(&cluster, "news").await.as_deref(), Some("1"));
        let other = Cluster::single_node(Hub::new(Config::default()).unwrap());
        assert_eq!(found(&other, "news").await, None);
    });
}

#[test]
fn a_value_is_found_with_the_time_that_is_left() {
    run(async {
        let memory = MemoryRegistry::new();
        let registry: Arc<dyn Registry> = Arc::new(memory.clone());
        let node = TestNode::start(&registry).await;
        let values = node.cluster.values().unwrap();
        values.put("news", "1", MINUTE).await.unwrap();
        memory.skip(MINUTE / 2);
        let left = values.get("news").await.unwrap().unwrap().ttl;
        assert!(left <= MINUTE / 2, "{left:?}");
        memory.skip(MINUTE / 2);
        assert_eq!(found(&node.cluster, "news").await, None);
    });
}

#[test]
fn what_cannot_be_kept_is_refused_with_a_typed_error() {
    run(async {
        let cluster = Cluster::single_node(Hub::new(Config::default()).unwrap());
        let values = cluster.values().unwrap();
        let refused = async |name: &str, len: usize, ttl| {
            let put = values.put(name, vec![0; len], ttl).await;
            match put.unwrap_err() {
                ValuesError::Invalid(why) => why,
                other => panic!("{other}"),
            }
        };
        let long = refused("news", MAX_VALUE + 1, MINUTE).await;
        assert_eq!(long, ValueError::TooLong(MAX_VALUE + 1));
        let short = Duration::from_millis(999);
        assert_eq!(refused("news", 1, short).await, ValueError::Ttl(short));
        let empty = ValueError::Name(NameError::Empty);
        assert_eq!(refused("", 1, MINUTE).await, empty);
        let read = values.get("\0news").await;
        assert!(matches!(
            read,
            Err(ValuesError::Invalid(ValueError::Name(NameError::Nul)))
        ));
        assert_eq!(found(&cluster, "news").await, None);
        let longest = values.put("news", vec![b'x'; MAX_VALUE], MINUTE);
        longest.await.unwrap();
        assert_eq!(found(&cluster, "news").await.unwrap().len(), MAX_VALUE);
    });
}

#[test]
fn a_registry_that_keeps_no_values_says_so() {
    run(async {
        let store: Arc<dyn Registry> = Store::slow(Duration::ZERO);
        let node = TestNode::start(&store).await;
        let values = node.cluster.values();
        assert!(
            matches!(values, Err(ValuesError::Unsupported)),
            "{values:?}"
        );
    });
}

#[cfg(feature = "redis")]
mod redis {
    use tieline::{
        ClusterConfig,
        registry::{RedisOptions, RegistryErrorKind},
    };
    use tieline_test_servers::redis::Redis;

    use super::*;
    use crate::kit::{Stopwatch, test_config};

    #[test]
    fn nodes_share_values_and_wait_for_the_registry_no_longer_than_set() {
        run(async {
            let redis = Redis::start().await;
            let mut nodes = Vec::new();
            let timeout = Duration::from_millis(300);
            for _ in 0..2 {
                let registry = RedisOptions::new(redis.url(), "ws").connect().await;
                let registry: Arc<dyn Registry> = Arc::new(registry.unwrap());
                let config = ClusterConfig {
                    registry_timeout: timeout,
                    ..test_config()
                };
                let hub = Hub::new(Config::default()).unwrap();
                nodes.push(Cluster::start(hub, registry, config).await.unwrap());
            }
            let [a, b] = &nodes[..] else { unreachable!() };
            let put = a.values().unwrap().put("news", "1", MINUTE).await;
            put.unwrap();
            assert_eq!(found(b, "news").await.as_deref(), Some("1"));
            redis.stop();
            let start = Stopwatch::start();
            let read = b.values().unwrap().get("news").await;
            let put = b.values().unwrap().put("news", "2", MINUTE).await;
            let took = start.elapsed();
            redis.resume();
            for error in [read.map(drop).unwrap_err(), put.unwrap_err()] {
                let ValuesError::Registry(error) = error else {
                    panic!("{error}")
                };
                assert_eq!(error.kind(), RegistryErrorKind::Timeout, "{error}");
            }
            // The registry's own timeout is a second.
            assert!(took < 3 * timeout, "{took:?}");
        });
    }
}
