//! The unary service of go-websocket. Its wire format and its results are fixed.
//!
//! Owns the translation of its calls for the [`Receiver`]. Must not know the hub. Invariant: `success` is
//! false only if the client is not here, because the caller then deletes the client's registry entry.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::receiver::Receiver;
use crate::{
    delivery::Delivery,
    link::proto::websocket::{
        BroadcastRequest, BroadcastResponse, EmitRequest, EmitResponse, OnlineRequest,
        OnlineResponse, websocket_server::Websocket,
    },
};

pub(in crate::link) struct CompatService(pub(in crate::link) Arc<dyn Receiver>);

#[tonic::async_trait]
impl Websocket for CompatService {
    async fn emit(&self, request: Request<EmitRequest>) -> Result<Response<EmitResponse>, Status> {
        let EmitRequest { id, data } = request.into_inner();
        // On `false` the caller deletes the client's registry entry, so that only an absent client may be
        // reported this way.
        let success = match self.0.unary_emit(&id, data).await {
            Delivery::Delivered => true,
            Delivery::Offline => false,
            Delivery::Refused | Delivery::QueueFull => {
                return Err(Status::resource_exhausted("the client's outbox is full"));
            }
            _ => return Err(Status::unavailable("the outcome is unknown")),
        };
        Ok(Response::new(EmitResponse { success }))
    }

    async fn online(
        &self,
        request: Request<OnlineRequest>,
    ) -> Result<Response<OnlineResponse>, Status> {
        let online = self.0.unary_online(&request.get_ref().id);
        Ok(Response::new(OnlineResponse { online }))
    }

    async fn broadcast(
        &self,
        request: Request<BroadcastRequest>,
    ) -> Result<Response<BroadcastResponse>, Status> {
        let data = request.into_inner().data;
        let reached = self.0.unary_broadcast(data).await;
        let count = i64::try_from(reached.delivered).unwrap_or(i64::MAX);
        Ok(Response::new(BroadcastResponse { count }))
    }
}
