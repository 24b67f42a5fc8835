//! Requests, as callbacks of the handler.
//!
//! Owns which callback answers. Must not know who asks, nor how many callbacks run.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    ask::timed_out_at,
    handler::Handler,
    hub::{Asked, RequestHandler, RequestPermit, RequestTasks, RunningRequest},
};

impl<H: Handler> RequestHandler<Asked> for H {
    fn answer(
        self: Arc<Self>,
        asked: Asked,
        request: Bytes,
        deadline: Instant,
        permit: RequestPermit,
        run_on: RequestTasks<'_>,
    ) -> RunningRequest {
        run_on.spawn(async move {
            let _permit = permit;
            let answer = async {
                let reply = match asked {
                    Asked::Client(hub, conn) => self.on_request(&hub.handle(conn), request).await,
                    #[cfg(feature = "cluster")]
                    Asked::Node => self.on_node_request(request).await,
                };
                Ok(reply?)
            };
            timed_out_at(deadline, answer).await
        })
    }
}
