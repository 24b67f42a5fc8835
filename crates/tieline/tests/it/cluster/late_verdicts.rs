//! Verdicts on a claim that come after the upgrade has stopped waiting, or just then.

use std::time::Duration;

use futures_util::future::join_all;
use tieline::{CloseReason, ClusterConfig, Config, Delivery};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};

use super::admission::Setup;
use crate::kit::{Hold, Raw, Reader, eventually, raw::request, run, run_threads};

/// A client that is let in although its id is taken is closed in this time.
const CLOSED_WITHIN: Duration = Duration::from_secs(20);

fn claim_timeout() -> Duration {
    ClusterConfig::default().claim_timeout
}

#[test]
fn without_a_verdict_the_client_is_let_in_and_a_late_one_closes_it() {
    run(async {
        let setup = Setup::start_with(Config::default(), claim_timeout()).await;
        let attempt = setup.attempt(Hold::Claims, "id=late&quiet").await;
        let early = setup.b.cluster.emit("late", "early");
        let (client, answer) = attempt.await.unwrap();
        assert_eq!(answer.status, 101, "{answer:?}");
        let older = Reader::new(client);
        assert_eq!(early.await, Delivery::Delivered);
        older.until("early").await;
        assert!(setup.b.has("late"));
        let newer = setup.c.reader("id=late&quiet").await;
        assert!(
            setup
                .b
                .cluster
                .emit("late", "still here")
                .await
                .is_delivered()
        );
        setup.store.release();
        assert_eq!(older.until_closed().await, Some(CloseReason::REPLACED));
        assert_eq!(older.texts(), ["early", "still here"]);
        assert!(setup.b.cluster.emit("late", "moved").await.is_delivered());
        newer.until("moved").await;
    });
}

#[test]
fn a_verdict_at_the_last_moment_counts() {
    run_threads(2, async {
        const CLIENTS: usize = 100;
        let setup = Setup::start_with(Config::default(), claim_timeout()).await;
        for round in 0..6_u64 {
            setup.store.hold(Hold::Claims, &setup.b.peer_address());
            let mut attempts = Vec::new();
            for n in 0..CLIENTS {
                // All have arrived before the first newer one, whenever they are accepted.
                let mut raw = Raw::over(TcpStream::connect(setup.b.address).await.unwrap());
                let request = request(&format!("/?id={round}-{n}&quiet"), "");
                raw.write(request.as_bytes()).await;
                attempts.push(raw);
            }
            eventually(|| setup.store.held_claims() > 0).await;
            let begun = Instant::now();
            let queries = (0..CLIENTS).map(|n| format!("id={round}-{n}&quiet"));
            let newer = queries.map(async |query| setup.c.reader(&query).await);
            let newer = join_all(newer).await;
            // The upgrades give up waiting about now, one after the other.
            sleep_until(
                begun + claim_timeout() + Duration::from_millis(5 * round)
                    - Duration::from_millis(10),
            )
            .await;
            setup.store.release();
            for mut raw in attempts {
                let answer = raw.answer().await;
                if answer.status == 101 {
                    let code = timeout(CLOSED_WITHIN, Reader::new(raw).until_closed()).await;
                    assert_eq!(code, Ok(Some(CloseReason::REPLACED)));
                }
            }
            assert!(newer.iter().all(|reader| reader.code().is_none()));
            for n in 0..CLIENTS {
                assert!(!setup.b.has(&format!("{round}-{n}")));
            }
        }
    });
}
