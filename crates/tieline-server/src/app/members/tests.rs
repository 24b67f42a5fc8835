//! Members while the registry is slow or full, however clients join, leave, end and hear of it, against a simple model:
//! whoever was let in is a member until it goes, and nobody is left when all have gone.

mod slow_registry;

use std::{pin::Pin, time::Duration};

use proptest::prelude::*;
use tieline::{
    Accept, ClientId, Cluster, ClusterConfig, Config, Exit, Node, Presence, testing::TestClient,
};
use tokio::{runtime::Builder, task::yield_now, time::sleep};

use self::slow_registry::SlowRegistry;
use super::*;
use crate::app::{
    client_data::ClientData,
    hubs::{MemberLimits, tests::hubs_in},
};

const GROUP: &str = "presence-lobby";
/// Whose connections there are.
const USERS: [&str; 4] = ["ada", "ada", "ada", "grace"];
/// So many members it may have: both users, unless another one is there.
const MOST: u32 = 2;
/// The registry lets everybody go, and whatever waits has been given up.
const LONG: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
enum Step {
    Join(usize),
    Leave(usize),
    End(usize),
    /// One that waits looks whether there is a verdict.
    Hear(usize),
    /// One that waits does so no longer.
    GiveUp(usize),
    /// The registry answers a put.
    Answer,
    /// So long that whoever waits is told that it takes longer.
    Wait,
    /// Users of another node take so many places, or free them.
    Others(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = 0..USERS.len();
    let step = prop_oneof![
        6 => one.clone().prop_map(Step::Join),
        5 => one.clone().prop_map(Step::Leave),
        1 => one.prop_map(Step::End),
        2 => any::<usize>().prop_map(Step::Hear),
        1 => any::<usize>().prop_map(Step::GiveUp),
        8 => Just(Step::Answer),
        1 => Just(Step::Wait),
        5 => prop::sample::select(vec![0, MOST as usize]).prop_map(Step::Others),
    ];
    prop::collection::vec(step, 0..80)
}

/// What a connection knows of being a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nothing, or that it takes longer.
    Maybe,
    Yes,
    No,
}

/// A connection that waits, since it joined for the so manieth time.
struct Waits {
    settled: Pin<Box<dyn Future<Output = Result<(), Full>>>>,
    connection: usize,
    visit: usize,
    is_late: bool,
}

struct Stage {
    registry: Arc<SlowRegistry>,
    hubs: Hubs,
    hub: HubHandle,
    others: Presence,
    are_there: usize,
    _clients: Vec<TestClient>,
    _node: Node<()>,
    connections: Vec<Connection>,
    /// What each knows that is in the group, and since which visit.
    told: Vec<Option<(usize, Told)>>,
    is_over: Vec<bool>,
    waits: Vec<Waits>,
    visits: usize,
    /// The registry may be thought away: who joins need not be told the truth at once.
    was_slow: bool,
}

impl Stage {
    async fn new() -> Self {
        let registry = Arc::new(SlowRegistry::new());
        let hub = tieline::Hub::new(Config::default()).unwrap();
        let cluster = Cluster::start(hub, Arc::clone(&registry) as _, ClusterConfig::default());
        let cluster = cluster.await.unwrap();
        let name = "chat".parse().unwrap();
        let limits = MemberLimits {
            most: MOST,
            ..MemberLimits::USUAL
        };
        let hubs = hubs_in("", cluster.clone(), [(name, limits)].into());
        let hub = hubs.get(&"chat".parse().unwrap()).unwrap();
        let memory = Arc::new(registry.memory().clone());
        let backend = Cluster::connect(memory, ClusterConfig::default());
        let others = Presence::new(&backend.await.unwrap()).unwrap();
        let node = Node::in_cluster(cluster.clone(), ());
        let (clients, connections) = connect(&node, hub.handle()).await;
        Self {
            others: others.namespace("chat").unwrap(),
            hub: hub.handle().clone(),
            told: vec![None; connections.len()],
            is_over: vec![false; connections.len()],
            _clients: clients,
            _node: node,
            are_there: 0,
            waits: Vec::new(),
            visits: 0,
            was_slow: false,
            registry,
            hubs,
            connections,
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Join(one) => self.join(one),
            Step::Leave(one) => {
                self.connections[one].leave(GROUP);
                settle(update(Some(&self.hub), &self.connections[one], GROUP));
                self.told[one] = None;
            }
            Step::End(one) => self.end(one),
            Step::Hear(which) => {
                if let Some(place) = which.checked_rem(self.waits.len()) {
                    self.hear(place);
                }
            }
            Step::GiveUp(which) => {
                if let Some(place) = which.checked_rem(self.waits.len()) {
                    self.waits.swap_remove(place);
                }
            }
            Step::Answer => self.registry.answer(1),
            Step::Wait => {
                self.was_slow = true;
                self.waits.iter_mut().for_each(|one| one.is_late = true);
                sleep(Duration::from_millis(300)).await;
            }
            Step::Others(count) => self.take_places(count).await,
        }
        // The node does what there is to do, and no time passes.
        for _ in 0..20 {
            yield_now().await;
        }
    }

    fn join(&mut self, one: usize) {
        if self.is_over[one] || !self.connections[one].join(GROUP).unwrap() {
            return;
        }
        self.visits += 1;
        let told = match update(Some(&self.hub), &self.connections[one], GROUP) {
            Some(entering) => {
                self.waits.push(Waits {
                    settled: Box::pin(entering.settled()),
                    connection: one,
                    visit: self.visits,
                    is_late: false,
                });
                Told::Maybe
            }
            None if self.was_slow => Told::Maybe,
            None => Told::Yes,
        };
        self.told[one] = Some((self.visits, told));
    }

    fn end(&mut self, one: usize) {
        self.is_over[one] = true;
        self.told[one] = None;
        ended(&self.connections[one].data().unwrap());
    }

    fn hear(&mut self, place: usize) {
        let Some(settled) = (&mut self.waits[place].settled).now_or_never() else {
            return;
        };
        let heard = self.waits.swap_remove(place);
        let told = match settled {
            Err(Full) => Told::No,
            Ok(()) if heard.is_late => Told::Maybe,
            Ok(()) => Told::Yes,
        };
        if let Some((visit, known)) = &mut self.told[heard.connection]
            && *visit == heard.visit
        {
            *known = told;
        }
    }

    async fn take_places(&mut self, count: usize) {
        let user = |number: usize| format!("other-{number}");
        for number in count..self.are_there {
            self.others.exit(GROUP, &user(number), Exit::Left);
        }
        for number in self.are_there..count {
            let entered = self.others.enter(GROUP, user(number), "").await;
            if entered.unwrap() == EnterOutcome::Full {
                self.are_there = number;
                return;
            }
        }
        self.are_there = count;
    }

    /// The registry answers, and nobody is prevented from going any more.
    async fn settle(&mut self) {
        self.take_places(0).await;
        self.registry.answer(10_000);
        for _ in 0..20 {
            yield_now().await;
        }
        while let Some(place) = self.waits.len().checked_sub(1) {
            self.hear(place);
            yield_now().await;
        }
        sleep(LONG).await;
    }

    async fn members(&self) -> Vec<String> {
        let members = self.others.roster(GROUP).await.unwrap().into_iter();
        members.map(|member| member.user.to_string()).collect()
    }
}

async fn connect(node: &Node<()>, hub: &HubHandle) -> (Vec<TestClient>, Vec<Connection>) {
    let (mut clients, mut connections) = (Vec::new(), Vec::new());
    for (number, user) in USERS.into_iter().enumerate() {
        let id = ClientId::new(number.to_string()).unwrap();
        let own = id.clone();
        let service = node.service(move |_| {
            let accept = Accept::new(()).any_origin().namespace("chat");
            let data = SharedClientData::new(ClientData::new(Arc::default(), None, None));
            let accept = accept.id(own.clone()).user(user).data(data);
            async { Ok(accept) }
        });
        clients.push(TestClient::connect(&service, "/").await);
        let all = hub.cluster().hub().connections();
        connections.extend(all.into_iter().find(|one| one.id().as_str() == id.as_str()));
    }
    (clients, connections)
}

async fn play(steps: Vec<Step>, registry_is_old: bool, drains: bool) {
    let mut stage = Stage::new().await;
    if registry_is_old {
        sleep(LONG).await;
    }
    for step in steps {
        stage.take(step).await;
    }
    stage.settle().await;
    let members = stage.members().await;
    for user in ["ada", "grace"] {
        let own = (USERS.iter().zip(&stage.told)).filter(|(own, _)| **own == user);
        let told: Vec<_> = own.filter_map(|(_, told)| Some(told.as_ref()?.1)).collect();
        let is_member = members.iter().any(|member| member == user);
        if told.contains(&Told::Yes) {
            assert!(is_member, "{user} was let in: {members:?}");
        }
        if told.iter().all(|told| *told == Told::No) {
            assert!(!is_member, "{user} is not in the group, or was refused");
        }
    }
    if drains {
        stage.hubs.end_presence().await;
    }
    (0..USERS.len()).for_each(|one| stage.end(one));
    sleep(LONG).await;
    assert!(stage.members().await.is_empty(), "all have gone");
    let entered = format!("{:?}", stage.hub.presence());
    assert!(drains || entered.contains("entries: 0"), "{entered}");
}

async fn drain_during_a_beat() {
    let mut stage = Stage::new().await;
    stage.registry.answer(1);
    stage.take(Step::Join(0)).await;
    // A new registry lets nobody go.
    sleep(LONG).await;
    assert_eq!(stage.members().await, ["ada"]);
    let registry = Arc::clone(&stage.registry);
    let beat = registry.hold_a_beat().await;
    stage.hubs.end_presence().await;
    drop(beat);
    stage.registry.answer(1);
    // The other node removes what has ended.
    sleep(Duration::from_secs(1)).await;
    assert!(stage.members().await.is_empty(), "the node has drained");
}

fn run(stage: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(stage);
}

#[test]
fn who_leaves_before_it_hears_that_it_is_refused_counts_once() {
    use Step::{Answer, Hear, Join, Leave, Others};
    let steps = vec![
        Others(2),
        Join(0),
        Answer,
        Others(0),
        Join(1),
        Leave(0),
        Answer,
        Hear(1),
    ];
    run(play(steps, true, false));
}

#[test]
fn a_beat_that_the_end_of_its_term_overtakes_enters_nobody_again() {
    run(drain_during_a_beat());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn members_are_those_who_were_let_in_and_have_not_gone(steps in steps(), registry_is_old: bool, drains: bool) {
        run(play(steps, registry_is_old, drains));
    }
}
