//! One client followed live: a line of JSON for each event, for as long as the operator reads.
//!
//! Owns how an operator is told, how many may follow, and for how long. Must not know how nodes are asked. Invariant: an
//! operator who does not read holds up nothing but what he is told.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, Uri, header::CONTENT_TYPE},
    response::Response,
};
use futures_util::stream;
use serde::Deserialize;
use tieline::{Bytes, StatusCode};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{error::ApiError, followers::MAX_FOLLOWERS, operator::Operator, query, state::Api};
use crate::app::{
    follow::{FollowEvent, FollowQuery, FollowTarget, What},
    inspection::Following,
};

/// The longest time that somebody follows: he may have forgotten it.
const LONGEST: Duration = Duration::from_hours(1);

/// After so long without an event, an empty line says that the connection is there, and finds out whether it is.
const SILENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    hub: Option<String>,
    id: Option<String>,
    user: Option<String>,
}

pub(super) async fn follow(
    State(api): State<Api>,
    operator: Operator,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked: Asked = query::parameters(&uri)?;
    let target = match (query::given(asked.id), query::given(asked.user)) {
        (Some(id), None) => FollowTarget::Connection(id),
        (None, Some(user)) => FollowTarget::User(user),
        _ => {
            return Err(ApiError::bad_request(
                "say whom to follow: id=CONNECTION or user=NAME",
            ));
        }
    };
    let hub = query::hub_given(asked.hub)?;
    let place = Arc::clone(&api.followers.places).try_acquire_owned();
    let place = place.map_err(|_| {
        let message = format!(
            "{MAX_FOLLOWERS} follow clients by this node, as many as may; try later, or ask another node"
        );
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
    })?;
    let (user, id) = match &target {
        FollowTarget::User(user) => (Some(user), None),
        FollowTarget::Connection(id) => (None, Some(id)),
    };
    tracing::info!(
        from = operator.from(),
        hub,
        user,
        id,
        "an operator follows a client by the admin API"
    );
    let query = FollowQuery {
        follow: Uuid::now_v7().to_string(),
        hub,
        target,
    };
    let lines = Lines {
        following: Following::start(&api.inspector, query),
        ended: api.followers.ended.clone(),
        until: Instant::now() + LONGEST,
        is_over: false,
        _place: place,
    };
    let lines = stream::unfold(lines, |mut lines| async {
        let line = lines.next().await?;
        Some((Ok::<_, std::convert::Infallible>(line), lines))
    });
    let mut response = Response::new(Body::from_stream(lines));
    let lines = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, lines);
    Ok(response)
}

/// The body of an answer.
struct Lines {
    following: Following,
    ended: CancellationToken,
    until: Instant,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl Lines {
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let next = tokio::select! {
            biased;
            () = self.ended.cancelled() => Err("the node that was asked has ended"),
            () = sleep_until(self.until) => Err("an hour has passed; follow again"),
            next = timeout(SILENCE, self.following.next()) => Ok(next),
        };
        let event = match next {
            Ok(Ok(event)) => event?,
            Ok(Err(_)) => return Some(Bytes::from_static(b"\n")),
            Err(why) => {
                self.is_over = true;
                let message = why.to_owned();
                FollowEvent::of_node("", What::Ended { message })
            }
        };
        let mut line = serde_json::to_vec(&event).ok()?;
        line.push(b'\n');
        Some(line.into())
    }
}
