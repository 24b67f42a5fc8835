//! Hubs come into being by use, and leave nothing behind.

use tieline::Config;

use super::*;
use crate::{
    app::role::Roles,
    config::{sections::hub::Anonymous, settings::Layers, source::Environment},
};

/// The hubs of a node with this configuration file.
pub(crate) fn hubs(file: &str) -> Hubs {
    let hub = tieline::Hub::new(Config::default()).unwrap();
    hubs_in(file, Cluster::single_node(hub), SharedHubs::new())
}

/// The same on a node of a cluster, some of them shared with apps.
pub(crate) fn hubs_in(file: &str, cluster: Cluster, with_channels: SharedHubs) -> Hubs {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(&path, file).unwrap();
    let layers = Layers {
        file: Some(path),
        flags: Vec::new(),
        is_used: |_| true,
    };
    let (settings, _) = layers.load(&Environment::new()).unwrap();
    let rules = settings.hubs.map(|hub| {
        Arc::new(HubRules {
            access: Access::new(Anonymous::Anyone, Roles::default(), None),
            origins: hub.origins(),
            limits: Arc::new(HubLimits::new(&settings.limits, hub)),
        })
    });
    Hubs::new(cluster, LiveHubRules::new(rules, with_channels))
}

fn name(name: &str) -> HubName {
    name.parse().unwrap()
}

#[tokio::test]
async fn a_hub_is_shared_while_it_is_used_and_forgotten_after_that() {
    let hubs = hubs("");
    let first = hubs.get(&name("chat")).unwrap();
    let same = hubs.get(&name("CHAT")).unwrap();
    assert!(Arc::ptr_eq(&first.handle.0, &same.handle.0));
    assert_eq!(same.name().as_str(), "chat");
    drop(first);
    assert_eq!(hubs.0.open.lock().len(), 1, "somebody uses it");
    drop(same);
    for n in 0..1000 {
        assert!(hubs.get(&name(&format!("stranger{n}"))).is_some());
    }
    assert!(hubs.0.open.lock().is_empty());
}

#[tokio::test]
async fn only_listed_hubs_exist_if_the_configuration_says_so() {
    let file = "only_listed_hubs = true\n[hub.Chat]\norigins = [\"*\"]";
    let hubs = hubs(file);
    let chat = hubs.get(&name("chat")).unwrap();
    assert_eq!(chat.rules().origins, Origins::Any);
    assert!(hubs.get(&name("news")).is_none());
}

#[tokio::test]
async fn rules_that_are_replaced_decide_from_then_on() {
    let [hubs, others] = ["[hub.chat]", "only_listed_hubs = true"].map(hubs);
    assert!(hubs.get(&name("news")).is_some());
    hubs.0.rules.replace(&others.0.rules);
    assert!(hubs.get(&name("news")).is_none());
    assert!(hubs.get(&name("chat")).is_none());
}
