//! Requests to one node about the clients of two.

use std::{collections::BTreeMap, time::Duration};

use axum::{body::Body, http::Request};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use md5::{Digest, Md5};
use serde_json::Value;
use tieline::{
    Accept, ClientId, Cluster, Exit,
    testing::{TestClient, TestCluster},
};

use super::*;
use crate::{
    app::{
        access::Access,
        clock,
        hubs::{HubRules, Hubs, LiveHubRules, MemberLimits},
        limits::HubLimits,
        role::Roles,
    },
    config::{
        secret::Secret,
        sections::{hub::Anonymous, pusher::AppTable},
        settings::Settings,
    },
    wire::{
        self,
        pusher::{
            app::{App, Apps, LiveApps},
            webhooks::{LiveWebhooks, Webhooks},
        },
    },
};

pub(super) const KEY: &str = "278d425bdf160c739803";

fn apps() -> LiveApps {
    let table = AppTable {
        id: Some("3".into()),
        key: Some(KEY.into()),
        secret: Some(Secret::new("7ad3773142a6692b25b8")),
        hub: Some("chat".parse().unwrap()),
        ..AppTable::default()
    };
    let apps = Apps::of(&[table], Duration::from_mins(2), MemberLimits::USUAL);
    LiveApps::new(apps.unwrap())
}

/// The app of the example of the documentation.
pub(super) fn app() -> Arc<App> {
    apps().by_id("3").unwrap()
}

/// The status and the text of an error.
pub(super) fn text_of(error: ApiError) -> (u16, String) {
    let response = error.into_response();
    let status = response.status().as_u16();
    let body = response.into_body().collect().now_or_never();
    let body = body.unwrap().unwrap();
    let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    (status, text)
}

/// A node of a cluster.
fn shared(cluster: &Cluster) -> Arc<Shared> {
    let settings = Settings::of_variables(&[]);
    let rules = settings.hubs.map(|hub| {
        Arc::new(HubRules {
            access: Access::new(Anonymous::Anyone, Roles::default(), None),
            origins: hub.origins(),
            limits: Arc::new(HubLimits::new(&settings.limits, hub)),
        })
    });
    let hubs = Hubs::new(cluster.clone(), LiveHubRules::new(rules, BTreeMap::new()));
    let webhooks = Webhooks::new(LiveWebhooks::new(Vec::new()).unwrap(), apps());
    let pusher = Pusher::new((apps(), webhooks), hubs, wire::dialects().1.pusher);
    Arc::new(Shared::new(Arc::new(pusher)))
}

/// A signed request, and its answer.
async fn call(api: &Arc<Shared>, method: &str, path: &str, query: &str, body: &str) -> Value {
    let md5 = Md5::digest(body.as_bytes());
    let md5 = md5.iter().map(|byte| format!("{byte:02x}"));
    let md5 = md5.collect::<String>();
    let now = clock::unix_seconds();
    let mut pairs = vec![
        format!("auth_key={KEY}"),
        format!("auth_timestamp={now}"),
        "auth_version=1.0".into(),
        format!("body_md5={md5}"),
    ];
    pairs.extend(
        { query.split('&') }
            .filter(|pair| !pair.is_empty())
            .map(str::to_owned),
    );
    pairs.sort_unstable();
    let query = pairs.join("&");
    let signature = app().sign(format!("{method}\n{path}\n{query}").as_bytes());
    let uri = format!("{path}?{query}&auth_signature={signature}");
    let request = Request::builder().method(method).uri(uri);
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = answer(State(Arc::clone(api)), request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

async fn connect(node: &tieline::Node<()>, id: &str, group: &'static str) -> TestClient {
    let id = ClientId::new(id).unwrap();
    let service = node.service(move |_| {
        let accept = Accept::new(()).namespace("chat");
        let accept = accept.id(id.clone()).group(group);
        async { Ok(accept) }
    });
    TestClient::connect(&service, "/").await
}

#[tokio::test]
async fn an_event_reaches_all_nodes_but_not_the_connection_that_has_caused_it() {
    let nodes = TestCluster::start(2, |_| ()).await;
    let mut here = connect(nodes.node(0), "1.1", "a").await;
    let mut there = connect(nodes.node(1), "1.2", "a").await;
    nodes.synced().await;
    let api = shared(nodes.node(0).cluster().unwrap());
    for (except, text) in [("1.2", "to 1.1"), ("1.1", "to 1.2"), ("9.9", "to both")] {
        let body = format!(
            r#"{{"name":"e","data":"{text}","channels":["a"],"socket_id":"{except}","info":"delivered"}}"#
        );
        let answer = call(&api, "POST", "/apps/3/events", "", &body).await;
        let expected = if except == "9.9" { 2 } else { 1 };
        let a = &answer["channels"]["a"];
        assert_eq!(a["delivered"], expected, "{answer}");
        assert_eq!(a["missed"], Value::Array(Vec::new()), "{answer}");
    }
    here.expect_text("to 1.1").await;
    here.expect_text("to both").await;
    there.expect_text("to 1.2").await;
    there.expect_text("to both").await;
}

#[tokio::test]
async fn members_are_those_of_presence_and_subscribers_those_of_all_nodes() {
    let nodes = TestCluster::start(2, |_| ()).await;
    let _here = connect(nodes.node(0), "1.1", "presence-a").await;
    let _there = connect(nodes.node(1), "1.2", "presence-a").await;
    nodes.synced().await;
    let api = shared(nodes.node(0).cluster().unwrap());
    let get = async |path: &str, query: &str| call(&api, "GET", path, query, "").await;
    let hub = app().hub(&api.pusher.hubs).unwrap();
    let presence = hub.handle().presence().unwrap();
    for user in ["ada", "7"] {
        presence.enter("presence-a", user, "{}").await.unwrap();
    }
    let users = get("/apps/3/channels/presence-a/users", "").await;
    assert_eq!(users.to_string(), r#"{"users":[{"id":"7"},{"id":"ada"}]}"#);
    let query = "info=user_count,subscription_count";
    let one = get("/apps/3/channels/presence-a", query).await;
    assert_eq!(
        one.to_string(),
        r#"{"occupied":true,"subscription_count":2,"user_count":2}"#
    );
    presence.exit("presence-a", "7", Exit::Left);
    let is_one = async || {
        let one = get("/apps/3/channels/presence-a", query).await;
        assert_eq!(one["subscription_count"], 2, "{one}");
        one["user_count"] == 1
    };
    tieline::testing::eventually(is_one).await;
    let body = r#"{"name":"e","data":"","channels":["presence-a","b"],"info":"user_count"}"#;
    let answer = call(&api, "POST", "/apps/3/events", "", body).await;
    assert_eq!(
        answer.to_string(),
        r#"{"channels":{"b":{},"presence-a":{"user_count":1}}}"#
    );
}
