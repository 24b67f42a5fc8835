use std::sync::atomic::AtomicIsize;

use parking_lot::Mutex;
use tieline_registry::ClientId;

use super::*;
use crate::{
    config::Config,
    hub::observer::{HubObserver, ScopeKey},
};

fn hub() -> Hub {
    let config = Config {
        shards: Some(1),
        ..Config::default()
    };
    Hub::new(config).unwrap()
}

fn claimant(hub: &Hub) -> Claimant {
    let info = ConnectionInfo {
        id: ClientId::new("ann").unwrap(),
        user: Some("user".into()),
        groups: vec!["group".into()],
        subprotocol: None,
        remote_addr: None,
    };
    let options = ConnectionOptions {
        first_message: None,
        final_message: None,
        deflate: false,
    };
    hub.register_claimant(info, options).unwrap()
}

/// Outcomes in the order in which they were reported, by number.
type Outcomes = Arc<Mutex<Vec<(u32, OpOutcome)>>>;

fn emit(hub: &Hub, n: u32, outcomes: &Outcomes) {
    let outcomes = Arc::clone(outcomes);
    let op = ClientOp::Emit(Frame::text(n.to_string()));
    hub.when_admitted("ann", op, move |outcome| outcomes.lock().push((n, outcome)));
}

const DELIVERED: OpOutcome = OpOutcome::Sent(Delivery::Delivered);

#[tokio::test]
async fn a_verdict_before_the_admission_refuses_and_one_after_it_does_not() {
    let hub = hub();
    let first = claimant(&hub);
    assert!(hub.withdraw(first.inner()));
    assert!(!hub.withdraw(first.inner()), "once");
    assert!(first.admit().is_err());
    let second = claimant(&hub);
    let conn = Arc::clone(second.inner());
    let admitted = second.admit().unwrap();
    assert!(!hub.withdraw(&conn));
    assert!(hub.online("ann"));
    drop(admitted);
    assert!(hub.is_empty() && !hub.online("ann"));
}

#[tokio::test]
async fn a_claimant_that_is_superseded_leaves_what_waits_to_the_newer_one() {
    let (hub, outcomes) = (hub(), Outcomes::default());
    let older = claimant(&hub);
    emit(&hub, 1, &outcomes);
    let newer = claimant(&hub);
    assert!(!hub.begin_claim(older.inner(), || panic!("it is superseded")));
    emit(&hub, 2, &outcomes);
    assert!(older.admit().is_err());
    assert_eq!(*outcomes.lock(), []);
    let _admitted = newer.admit().unwrap();
    assert_eq!(*outcomes.lock(), [(1, DELIVERED), (2, DELIVERED)]);
}

#[tokio::test]
async fn nothing_overtakes_what_is_handed_back() {
    let (hub, outcomes) = (hub(), Outcomes::default());
    let withdrawn = claimant(&hub);
    let (of_hub, of_first) = (hub.clone(), Arc::clone(&outcomes));
    let op = ClientOp::Emit(Frame::text("1"));
    hub.when_admitted("ann", op, move |outcome| {
        of_first.lock().push((1, outcome));
        // While it is handed back, another one comes.
        emit(&of_hub, 3, &of_first);
    });
    emit(&hub, 2, &outcomes);
    drop(withdrawn);
    let refused = [1, 2, 3].map(|n| (n, OpOutcome::NotAdmitted));
    assert_eq!(*outcomes.lock(), refused);
    assert!(hub.decision("ann").is_none());
}

#[tokio::test]
async fn an_older_connection_is_closed_only_once_a_claim_was_sent_for_a_newer_one() {
    let hub = hub();
    let older = claimant(&hub).admit().unwrap();
    drop(claimant(&hub));
    assert!(
        older.connection().is_open(),
        "the newer one claimed nothing"
    );
    let newer = claimant(&hub);
    assert!(hub.begin_claim(newer.inner(), || ()));
    assert!(older.connection().is_open());
    drop(newer);
    assert!(!older.connection().is_open());
}

/// Counts the scopes that have a member, or will have one.
#[derive(Default)]
struct Balance(AtomicIsize);

impl HubObserver for Balance {
    fn gained(&self, _: ScopeKey<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn lost(&self, _: ScopeKey<'_>) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn entered(&self, _: &str) {}

    fn left(&self, _: &Arc<ConnectionInner>) {}
}

#[tokio::test]
async fn peers_know_the_user_and_groups_of_a_claimant_until_it_leaves() {
    let (hub, balance) = (hub(), Arc::new(Balance::default()));
    let observer: Arc<dyn HubObserver> = balance.clone();
    hub.set_observer(&observer);
    let scopes = || balance.0.load(Ordering::Relaxed);
    let superseded = claimant(&hub);
    assert_eq!(scopes(), 2);
    let newer = claimant(&hub);
    assert_eq!(scopes(), 2);
    drop(superseded);
    assert_eq!(scopes(), 2);
    let admitted = newer.admit().unwrap();
    assert_eq!(scopes(), 2);
    let refused = claimant(&hub);
    drop(admitted);
    assert_eq!(scopes(), 2);
    drop(refused);
    assert_eq!(scopes(), 0);
}
