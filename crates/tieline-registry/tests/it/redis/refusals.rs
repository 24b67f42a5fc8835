//! Servers that do not accept writes: one that is no longer the master, and a master that cannot save.

use std::{path::PathBuf, time::Duration};

use parking_lot::Mutex;
use tieline_registry::{
    ClaimOutcomes, Cursor, NodeSession, RedisOptions, RedisRegistry, Registry, RegistryErrorKind,
};
use tieline_test_servers::redis::{Redis, RedisSetup};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{NODE, PREFIX, claim, granted, join, numbered};
use crate::kit::{Trace, message, run};

/// How a version words the error of a command in a script.
#[derive(Clone, Copy)]
enum Wording {
    /// Redis 7, as the server sends it.
    Current,
    /// Redis 5 and 6, from a script that fails.
    Failed,
    /// Redis 5 and 6, from a script that returns the error.
    Returned,
}

impl Wording {
    /// Rewrites a line of the server's reply.
    fn rewrite(self, line: Vec<u8>) -> Vec<u8> {
        let codes = ["-READONLY", "-MISCONF", "-NOREPLICAS"];
        if !codes.iter().any(|code| line.starts_with(code.as_bytes())) {
            return line;
        }
        let start = match self {
            Self::Current => return line,
            Self::Failed => {
                "-ERR Error running script (call to f_2fa2): @user_script:9: @user_script: 9: "
            }
            Self::Returned => "-@user_script: 9: ",
        };
        [start.as_bytes(), &line].concat()
    }
}

/// A name in front of servers: new connections lead to where it points, open ones stay where they are.
struct Name {
    port: u16,
    target: &'static Mutex<u16>,
}

impl Name {
    async fn of(redis: &Redis, wording: Wording) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target: &'static _ = Box::leak(Box::new(Mutex::new(redis.port)));
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let server = ("127.0.0.1", *target.lock());
                let far = TcpStream::connect(server).await.unwrap();
                tokio::spawn(forward(near, far, wording));
            }
        });
        Self { port, target }
    }

    fn point_to(&self, redis: &Redis) {
        *self.target.lock() = redis.port;
    }

    async fn registry(&self) -> RedisRegistry {
        let url = format!("redis://127.0.0.1:{}", self.port);
        RedisOptions::new(url, PREFIX).connect().await.unwrap()
    }
}

async fn forward(near: TcpStream, far: TcpStream, wording: Wording) {
    let (mut from_near, mut to_near) = near.into_split();
    let (from_far, mut to_far) = far.into_split();
    let requests = async { copy(&mut from_near, &mut to_far).await };
    let replies = async {
        let mut from_far = BufReader::new(from_far);
        loop {
            let mut line = Vec::new();
            if from_far.read_until(b'\n', &mut line).await? == 0 {
                return Ok::<_, std::io::Error>(());
            }
            to_near.write_all(&wording.rewrite(line)).await?;
        }
    };
    tokio::select! {
        _ = requests => {}
        _ = replies => {}
    }
}

async fn demote(redis: &Redis, to_replica_of: &Redis) {
    let port = to_replica_of.port.to_string();
    redis
        .command::<()>(&["REPLICAOF", "127.0.0.1", &port])
        .await;
}

#[test]
fn a_demoted_master_is_left_for_the_server_that_its_name_leads_to() {
    run(async {
        for wording in [Wording::Current, Wording::Failed, Wording::Returned] {
            let (old, new) = (Redis::start().await, Redis::start().await);
            let name = Name::of(&old, wording).await;
            let registry = name.registry().await;
            let session = join(&registry).await;
            assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());

            demote(&old, &new).await;
            name.point_to(&new);
            let claimed = claim(&registry, &session, "b").await.unwrap();
            assert_eq!(claimed, ClaimOutcomes::Lost, "the new master is empty");

            // While the name leads to a replica, nothing is read from it; after that, no delay.
            demote(&new, &old).await;
            old.command::<()>(&["REPLICAOF", "NO", "ONE"]).await;
            registry.get("a").await.unwrap_err();
            name.point_to(&old);
            while registry.get("a").await.is_err() {}
            join(&registry).await;
        }
    });
}

/// A server that saves its data, with a folder where the file with its data should be.
async fn unable_to_save() -> (Redis, PathBuf) {
    let redis = RedisSetup::default().line("save 3600 1").start().await;
    let dir: (String, String) = redis.command(&["CONFIG", "GET", "dir"]).await;
    (redis, PathBuf::from(dir.1).join("dump.rdb"))
}

/// Saves, and waits until the server knows the result.
async fn save(redis: &Redis, expected: &str) {
    while redis.info_field("rdb_last_bgsave_status").await != expected {
        let _ = redis.try_command::<String>(&["BGSAVE"]).await;
        sleep(Duration::from_millis(10)).await;
    }
}

/// What must hold while the master accepts no writes.
async fn reads_work_and_writes_name_the_cure(
    registry: &RedisRegistry,
    session: &NodeSession,
    cure: &str,
) {
    for _ in 0..3 {
        assert_eq!(registry.get("a").await.unwrap().as_deref(), Some(NODE));
        let error = claim(registry, session, "b").await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Unavailable, "{error}");
        assert!(message(&error).contains(cure), "{}", message(&error));
    }
    let many: Vec<_> = (0..2_000).map(numbered).collect();
    let error = registry.claim(session, &many).await.unwrap_err();
    assert!(message(&error).contains(cure), "{}", message(&error));
    assert_eq!(registry.nodes().await.unwrap().len(), 1);
    let ids = registry.ids_of(session, Cursor::default()).await.unwrap();
    assert_eq!(ids.items.len(), 1);
}

#[test]
fn a_master_that_cannot_save_still_answers_reads() {
    run(async {
        for wording in [Wording::Current, Wording::Failed] {
            let (redis, file) = unable_to_save().await;
            let name = Name::of(&redis, wording).await;
            let registry = name.registry().await;
            let session = join(&registry).await;
            assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());

            let trace = Trace::start();
            std::fs::create_dir(&file).unwrap();
            save(&redis, "err").await;
            reads_work_and_writes_name_the_cure(&registry, &session, "disk").await;
            // A connection that is opened meanwhile serves reads, too.
            let kill = ["CLIENT", "KILL", "TYPE", "normal"];
            redis.command::<()>(&kill).await;
            reads_work_and_writes_name_the_cure(&registry, &session, "disk").await;
            let logged = trace.count(&["ERROR", "refuses to write", "disk"]);
            assert_eq!(logged, 1, "{}", trace.text());

            std::fs::remove_dir(&file).unwrap();
            save(&redis, "ok").await;
            assert_eq!(claim(&registry, &session, "b").await.unwrap(), granted());
        }
    });
}

#[test]
fn a_master_without_enough_replicas_still_answers_reads() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        let session = join(&registry).await;
        assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());
        let required = |replicas| ["CONFIG", "SET", "min-replicas-to-write", replicas];
        redis.command::<()>(&required("1")).await;
        let cure = "min-replicas-to-write";
        reads_work_and_writes_name_the_cure(&registry, &session, cure).await;
        redis.command::<()>(&required("0")).await;
        assert_eq!(claim(&registry, &session, "b").await.unwrap(), granted());
    });
}
