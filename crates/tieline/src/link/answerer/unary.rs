//! The unary service of go-websocket, wire for wire.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::Receiver;
use crate::{
    Delivery,
    link::{
        port::{Caller, Warnings},
        settings::Settings,
        wire::websocket::{
            BroadcastRequest, BroadcastResponse, EmitRequest, EmitResponse, OnlineRequest,
            OnlineResponse, websocket_server::Websocket,
        },
    },
};

pub(in crate::link) struct Unary {
    pub(in crate::link) receiver: Arc<dyn Receiver>,
    pub(in crate::link) settings: Arc<Settings>,
    pub(in crate::link) warnings: Arc<Warnings>,
    /// Whether callers need no secret: those of go-websocket have none.
    pub(in crate::link) open: bool,
}

impl Unary {
    fn admit<M>(&self, request: &Request<M>) -> Result<(), Status> {
        if self.open {
            return Ok(());
        }
        let from = Caller::of(request.extensions());
        self.settings
            .trust
            .check(request.metadata())
            .inspect_err(|status| self.warnings.warn(from, status))
    }
}

#[tonic::async_trait]
impl Websocket for Unary {
    async fn emit(&self, request: Request<EmitRequest>) -> Result<Response<EmitResponse>, Status> {
        self.admit(&request)?;
        let EmitRequest { id, data } = request.into_inner();
        // The caller deletes the client's entry on `false`, so only its absence is answered so.
        let success = match self.receiver.unary_emit(&id, data).await {
            Delivery::Delivered => true,
            Delivery::Offline => false,
            Delivery::Refused | Delivery::QueueFull => {
                return Err(Status::resource_exhausted("the client's outbox is full"));
            }
            _ => return Err(Status::unavailable("what became of the message is unknown")),
        };
        Ok(Response::new(EmitResponse { success }))
    }

    async fn online(
        &self,
        request: Request<OnlineRequest>,
    ) -> Result<Response<OnlineResponse>, Status> {
        self.admit(&request)?;
        let online = self.receiver.unary_online(&request.get_ref().id);
        Ok(Response::new(OnlineResponse { online }))
    }

    async fn broadcast(
        &self,
        request: Request<BroadcastRequest>,
    ) -> Result<Response<BroadcastResponse>, Status> {
        self.admit(&request)?;
        let data = request.into_inner().data;
        let reached = self.receiver.unary_broadcast(data).await;
        let count = i64::try_from(reached.delivered).unwrap_or(i64::MAX);
        Ok(Response::new(BroadcastResponse { count }))
    }
}
