use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicIsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tieline_registry::ClientId;
use tieline_websocket::{CloseCode, CloseFrame, Deflate, Frame};

use super::*;
use crate::{
    config::Config,
    farewell::{ChooseFarewell, Farewell},
    hub::{
        dialect::{Dialect, DialectId, Dialects},
        handlers::HandlerSlot,
        note::Note,
        observer::{HubObserver, ScopeKey},
        outbox::OwnBounds,
    },
};

fn hub() -> Hub {
    let config = Config {
        shards: Some(1),
        ..Config::default()
    };
    Hub::new(config).unwrap()
}

fn claimant(hub: &Hub) -> Claimant {
    claimant_with(hub, None, false)
}

fn claimant_with(hub: &Hub, farewell: Option<ChooseFarewell>, deflate: bool) -> Claimant {
    register(hub, options(farewell, deflate))
}

/// The same in the namespace `chat`.
fn claimant_in_chat(hub: &Hub) -> Claimant {
    let mut info = info();
    info.id = info.id.in_namespace("chat").unwrap();
    hub.register_claimant(info, options(None, false)).unwrap()
}

fn options(farewell: Option<ChooseFarewell>, deflate: bool) -> ConnectionOptions {
    ConnectionOptions {
        first_message: None,
        farewell,
        deflate,
        bounds: OwnBounds::default(),
        dialect: DialectId::PLAIN,
        data: None,
        handler: HandlerSlot::NONE,
    }
}

fn register(hub: &Hub, options: ConnectionOptions) -> Claimant {
    hub.register_claimant(info(), options).unwrap()
}

fn info() -> ConnectionInfo {
    ConnectionInfo {
        id: ClientId::new("ann").unwrap(),
        user: Some("user".into()),
        groups: vec!["group".into()],
        subprotocol: None,
        remote_addr: None,
    }
}

fn text(text: &str) -> Cast {
    Cast::Frame(Frame::text(text))
}

/// Outcomes in the order in which they were reported, by number.
type Outcomes = Arc<Mutex<Vec<(u32, OpOutcome)>>>;

fn emit(hub: &Hub, n: u32, outcomes: &Outcomes) {
    let outcomes = Arc::clone(outcomes);
    let op = ClientOp::Emit(text(&n.to_string()));
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
    let op = ClientOp::Emit(text("1"));
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
    // Its namespace is one more.
    let claimant = claimant_in_chat(&hub);
    assert_eq!(scopes(), 3);
    let admitted = claimant.admit().unwrap();
    let refused = claimant_in_chat(&hub);
    drop(admitted);
    assert_eq!(scopes(), 3);
    drop(refused);
    assert_eq!(scopes(), 0);
}

#[tokio::test]
async fn a_claimant_is_not_counted() {
    let hub = hub();
    let chat = hub.namespace("chat").unwrap();
    let counts = || (hub.len(), chat.len(), hub.stats().connections);
    let (first, second) = (claimant(&hub), claimant_in_chat(&hub));
    assert_eq!(counts(), (0, 0, 0));
    let admitted = first.admit().unwrap();
    assert_eq!(counts(), (1, 0, 1));
    let _second = second.admit().unwrap();
    assert_eq!(counts(), (1, 1, 2));
    drop(admitted);
    assert_eq!(counts(), (0, 1, 1));
}

#[tokio::test]
async fn a_close_that_waited_ends_the_order_and_calls_the_application_without_a_lock() {
    static HUB: OnceLock<Hub> = OnceLock::new();
    static WAS_FREE: AtomicBool = AtomicBool::new(false);
    let hub = HUB.get_or_init(hub);
    let outcomes = Outcomes::default();
    let farewell: ChooseFarewell = |closing| {
        let index = HUB.get().unwrap().inner.shards[0].index.try_lock();
        WAS_FREE.store(index.is_some(), Ordering::Relaxed);
        Some(Farewell::new(closing.close_frame().clone()).message("bye"))
    };
    let claimant = claimant_with(hub, Some(farewell), false);
    emit(hub, 1, &outcomes);
    let close = ClientOp::Close(CloseFrame::new(CloseCode::NORMAL, ""));
    hub.when_admitted("ann", close, |_| ());
    emit(hub, 2, &outcomes);
    let admitted = claimant.admit().unwrap();
    let offline = OpOutcome::Sent(Delivery::Offline);
    assert_eq!(*outcomes.lock(), [(1, DELIVERED), (2, offline)]);
    assert!(WAS_FREE.load(Ordering::Relaxed));
    assert!(admitted.connection().inner().is_closing());
}

#[tokio::test]
async fn what_waits_is_compressed_before_the_admission() {
    let hub = Hub::new(Config {
        compression: Some(Deflate::default()),
        shards: Some(1),
        ..Config::default()
    })
    .unwrap();
    let long = (0..200_000_u32).map(|n| n.wrapping_mul(n).to_string());
    let long: String = long.collect();
    // The shortest of several: the machine may be busy with something else.
    let (mut waiting, mut admission) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let claimant = claimant_with(&hub, None, true);
        let op = ClientOp::Emit(text(&long));
        let begun = Instant::now();
        hub.when_admitted("ann", op, |_| ());
        waiting = waiting.min(begun.elapsed());
        let begun = Instant::now();
        let _admitted = claimant.admit().unwrap();
        admission = admission.min(begun.elapsed());
    }
    assert!(admission < waiting / 4, "{admission:?}, {waiting:?}");
}

/// Checks that no shard is locked while it renders.
struct Unlocked(&'static OnceLock<Hub>);

impl Dialect for Unlocked {
    fn render(&self, note: &Note) -> Option<Frame> {
        let hub = self.0.get()?;
        drop(hub.inner.shards[0].index.try_lock()?);
        note.as_text().map(Frame::text)
    }
}

#[tokio::test]
async fn what_waits_is_rendered_for_the_connection_that_is_admitted() {
    static HUB: OnceLock<Hub> = OnceLock::new();
    let mut dialects = Dialects::new();
    let dialect = dialects.add(Unlocked(&HUB));
    let config = hub().config().clone();
    let hub = HUB.get_or_init(|| Hub::with_dialects(config, dialects).unwrap());
    let outcomes = Outcomes::default();
    let emit_note = |n| {
        let outcomes = Arc::clone(&outcomes);
        let op = ClientOp::Emit(Note::text("hello").into());
        hub.when_admitted("ann", op, move |outcome| outcomes.lock().push((n, outcome)));
    };
    let _older = claimant(hub);
    emit_note(1);
    let newer = register(
        hub,
        ConnectionOptions {
            first_message: None,
            farewell: None,
            deflate: false,
            bounds: OwnBounds::default(),
            dialect,
            data: None,
            handler: HandlerSlot::NONE,
        },
    );
    emit_note(2);
    let _admitted = newer.admit().unwrap();
    assert_eq!(*outcomes.lock(), [(1, DELIVERED), (2, DELIVERED)]);
}
