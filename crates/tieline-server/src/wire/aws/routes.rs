//! The route of `@connections`: who may use it, and which client of which hub a request is about.
//!
//! Owns the path, the size of a message, and that the stage in the path is the hub. Must not know what is done
//! with a client. Invariant: a body is read only after everything that precedes it was checked.

use std::{
    net::IpAddr,
    sync::{Arc, Once},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use percent_encoding::percent_decode_str;
use tieline::{Bytes, ClientId, client_addr};

use super::{
    connections,
    error::ApiError,
    key_pair::{KeyPair, LiveKeyPair},
    sigv4::{Signature, error::SignatureError},
};
use tracing::Instrument;

use crate::{
    app::{
        clock,
        hubs::{Hub, Hubs},
        limits::Attempt,
    },
    config::hub_name::HubName,
    metrics::METRICS,
    traces::spans,
    wire::body::{self, BodyError},
};

/// Most bytes of a message, as in API Gateway.
const MAX_MESSAGE: usize = 128 * 1024;

/// What the routes share.
struct Shared {
    hubs: Hubs,
    keys: LiveKeyPair,
    /// The log says once that there is no key pair.
    warned: Once,
}

/// `/{stage}/@connections/{id}`, with `@` as it is or encoded: SDKs do either.
pub(crate) fn routes(hubs: Hubs, keys: LiveKeyPair) -> Router {
    let methods = get(serve).post(serve).delete(serve);
    Router::new()
        .route("/{stage}/@connections/{id}", methods.clone())
        .route("/{stage}/%40connections/{id}", methods)
        .with_state(Arc::new(Shared {
            hubs,
            keys,
            warned: Once::new(),
        }))
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let route = match *request.method() {
        Method::POST => "post_to_connection",
        Method::DELETE => "delete_connection",
        _ => "get_connection",
    };
    let answered = shared.serve(request, route).await;
    let response = answered.unwrap_or_else(IntoResponse::into_response);
    METRICS.rest_request("aws", route, response.status().as_u16());
    response
}

impl Shared {
    async fn serve(&self, request: Request, route: &str) -> Result<Response, ApiError> {
        let (head, body) = request.into_parts();
        let address = client_addr(&head.extensions).map(|address| address.ip());
        let body = self.authenticate(&head, body, address).await?;
        let (stage, id) = target(head.uri.path())?;
        let hub = self.hub(&stage)?;
        hub.take_request()?;
        let hub = hub.handle();
        let cluster = hub.cluster();
        let carry_out = async {
            match head.method {
                Method::POST => connections::post(cluster, &id, body).await,
                Method::DELETE => connections::delete(cluster, &id).await,
                _ => connections::get(cluster, &id).await,
            }
        };
        let span = spans::backend_request(("aws", route), hub.name().as_str(), &head.headers);
        let answered = carry_out.instrument(span.clone()).await;
        let response = answered.unwrap_or_else(IntoResponse::into_response);
        span.record("http.response.status_code", response.status().as_u16());
        Ok(response)
    }

    /// The body of a request that is signed with the key pair.
    async fn authenticate(
        &self,
        head: &Parts,
        body: Body,
        address: Option<IpAddr>,
    ) -> Result<Bytes, ApiError> {
        let attempt = self.hubs.attempt(address)?;
        let Some(keys) = self.keys.load() else {
            return Err(self.disabled());
        };
        let KeyPair { id, secret } = &*keys;
        let forbidden = |attempt: &Attempt, error: SignatureError| {
            METRICS.backend_refused("signature");
            attempt.failed();
            ApiError::forbidden(error.to_string())
        };
        let signature = Signature::of(head, id, clock::now());
        let signature = signature.map_err(|error| forbidden(&attempt, error))?;
        let body = read(body).await?;
        // Others at the address may have failed while this one was awaited.
        let attempt = self.hubs.attempt(address)?;
        let verified = signature.verify(head, &body, secret.expose());
        verified.map_err(|error| forbidden(&attempt, error))?;
        Ok(body)
    }

    fn disabled(&self) -> ApiError {
        const WHY: &str = "@connections is not enabled: set aws.access_key_id and aws.secret_access_key \
                           in the configuration of the server";
        self.warned
            .call_once(|| tracing::warn!(why = WHY, "refused a backend's request"));
        ApiError::forbidden(WHY)
    }

    fn hub(&self, stage: &str) -> Result<Hub, ApiError> {
        let name = stage.parse::<HubName>().ok();
        let hub = name.and_then(|name| self.hubs.get(&name));
        hub.ok_or_else(|| {
            ApiError::forbidden(format!(
                "there is no hub {stage:?}; the stage, the first part of the path, is the hub"
            ))
        })
    }
}

/// The stage and the client id.
fn target(path: &str) -> Result<(String, ClientId), ApiError> {
    let mut parts = path.split('/').skip(1);
    let (stage, id) = (parts.next().unwrap_or_default(), parts.nth(1));
    let decode = |part| percent_decode_str(part).decode_utf8().ok();
    let id = decode(id.unwrap_or_default()).map(|id| ClientId::new(&*id));
    match (decode(stage), id) {
        (Some(stage), Some(Ok(id))) => Ok((stage.into_owned(), id)),
        _ => Err(ApiError::bad_request("invalid connection id")),
    }
}

/// The whole body.
async fn read(body: Body) -> Result<Bytes, ApiError> {
    let read = body::read(body, MAX_MESSAGE).await;
    read.map_err(|error| match error {
        BodyError::TooLong => {
            ApiError::too_large(format!("a message has at most {MAX_MESSAGE} bytes"))
        }
        BodyError::Late => ApiError::bad_request("the message did not arrive in time"),
        BodyError::Broken => ApiError::bad_request("the message ended early"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_path_are_decoded_once() {
        for (path, expected) in [
            ("/prod/@connections/L0SM9cOFvHcCIhw%3D", "L0SM9cOFvHcCIhw="),
            ("/prod/%40connections/a%2Fb", "a/b"),
            ("/prod/@connections/a%252Fb", "a%2Fb"),
            ("/prod/@connections/a+b", "a+b"),
            ("/pr%6fd/@connections/%C5%BE", "ž"),
        ] {
            let (stage, id) = target(path).unwrap();
            assert_eq!((&*stage, &*id), ("prod", expected), "{path}");
        }
        let long = format!("/prod/@connections/{}", "a".repeat(70_000));
        for path in ["/prod/@connections/%ff", "/prod/@connections/%00", &long] {
            assert!(target(path).is_err());
        }
    }
}
