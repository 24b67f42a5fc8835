//! What a backend does with users.

use axum::response::Response;

use super::{
    answer::{EMPTY, json_response},
    caller::Caller,
    error::ApiError,
};
use crate::{
    app::operations::node::{self, NodeOperation, Whom},
    wire::outcome::refused_and_missed,
};

/// What clients are told.
const WHY: &str = "the application has ended the connections of this user";

/// Closes the connections on which a user has signed in. It is done whether or not there are any.
pub(super) async fn terminate(caller: &Caller, user: &str) -> Result<Response, ApiError> {
    if user.is_empty() || user.len() > tieline::MAX_NAME {
        let message = format!("the id of a user has 1 to {} bytes", tieline::MAX_NAME);
        return Err(ApiError::bad_request(message));
    }
    let close = NodeOperation::Close {
        whom: Whom::User(user.to_owned()),
        excluded: Vec::new(),
        reason: Some(WHY.to_owned()),
    };
    let parts = node::ask_all(caller.hub.handle(), &close).await;
    for (node, why) in &parts.missed {
        caller.api.missed.missed(node, why);
    }
    let mut response = json_response(EMPTY);
    let missed = parts.missed.len() as u64;
    refused_and_missed(response.headers_mut(), parts.refused, missed);
    Ok(response)
}
