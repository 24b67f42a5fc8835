//! Whose request it is: the app that has signed it.
//!
//! Owns the order of the checks. Must not know what is asked for. Invariants: nobody gets here without the signature
//! of the app that the path names; a body is read only after everything else was checked.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, request::Parts},
};
use tieline::{Bytes, client_addr};

use super::{
    error::{ApiError, MAX_BODY},
    shared::Shared,
    signature::{Query, Unauthorized},
};
use crate::{
    app::{clock, hubs::Hub, limits::Attempt},
    metrics::METRICS,
    wire::{body, pusher::app::App},
};

/// A backend that may do everything in an app.
pub(super) struct Caller {
    pub(super) api: Arc<Shared>,
    pub(super) app: Arc<App>,
    pub(super) hub: Hub,
}

impl Caller {
    /// The backend that has sent a request; `id` is the app in the path, if the path names one.
    pub(super) async fn check(
        api: &Arc<Shared>,
        id: Option<&str>,
        (head, query): (&Parts, &Query<'_>),
        body: Body,
    ) -> Result<(Self, Bytes), ApiError> {
        let address = client_addr(&head.extensions).map(|address| address.ip());
        let attempt = api.pusher.hubs.attempt(address)?;
        let refused = |why| refused(why, &attempt);
        let apps = &api.pusher.apps;
        let app = if let Some(id) = id {
            apps.by_id(id).ok_or_else(ApiError::no_app)?
        } else {
            let key = query.key().ok_or(Unauthorized::Missing);
            let app = key.and_then(|key| apps.by_key(key).ok_or(Unauthorized::Key));
            app.map_err(refused)?
        };
        let line = (head.method.as_str(), head.uri.path());
        let verified = query.verify(&app, line, clock::unix_seconds());
        verified.map_err(refused)?;
        if !app.rules.enabled {
            return Err(ApiError::disabled());
        }
        let hub = app.hub(&api.pusher.hubs).ok_or_else(ApiError::no_hub)?;
        app.take_request(&hub)?;
        let body = match head.method {
            Method::HEAD => Bytes::new(),
            _ => body::read(body, MAX_BODY).await?,
        };
        query.verify_body(&body).map_err(refused)?;
        let api = Arc::clone(api);
        Ok((Self { api, app, hub }, body))
    }
}

fn refused(why: Unauthorized, attempt: &Attempt) -> ApiError {
    attempt.failed();
    let reason = why.reason();
    METRICS.backend_refused(reason);
    tracing::debug!(reason, "refused a request of a backend");
    why.into()
}
