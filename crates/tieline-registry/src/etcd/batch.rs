//! Many small transactions in a few large ones.
//!
//! Owns the bounds: how many transactions one request has, and how many requests are in flight.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use super::{
    call_error::CallError,
    client::{EtcdClient, RetrySafety},
    layout::Layout,
    rpc::{TxnRequest, TxnResponse, nested, revision_is},
};
use crate::types::NodeSession;

/// The nested transactions of one request. etcd allows 128 operations along every path of nesting, so 28
/// are left for each nested one.
pub(super) const BATCH: usize = 100;

/// The requests of one operation that are in flight at once.
const IN_FLIGHT: usize = 8;

/// The result of a batch.
pub(super) enum Fenced {
    /// The responses, in order.
    Done(Vec<TxnResponse>),
    /// The fencing token is outdated, or the lease is gone; nothing was carried out.
    Lost,
}

/// Carries out up to [`BATCH`] transactions if the session has the current fencing token.
pub(super) async fn fenced(
    client: &EtcdClient,
    layout: &Layout,
    session: &NodeSession,
    txns: impl Iterator<Item = TxnRequest>,
) -> Result<Fenced, CallError> {
    let txn = TxnRequest {
        compare: vec![revision_is(
            layout.node_key(&session.address),
            session.fencing_token,
        )],
        success: txns.map(nested).collect(),
        failure: Vec::new(),
    };
    match client.call(RetrySafety::SendOnce, txn).await {
        Ok(response) if response.succeeded => Ok(Fenced::Done(response.nested().collect())),
        Ok(_) | Err(CallError::LeaseGone) => Ok(Fenced::Lost),
        Err(error) => Err(error),
    }
}

/// Runs futures in this task, [`IN_FLIGHT`] at a time, and returns their outputs in order. All of them end
/// when this is dropped.
pub(super) async fn join_bounded<F: Future>(
    futures: impl IntoIterator<Item = F>,
) -> Vec<F::Output> {
    let mut waiting = futures.into_iter();
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::with_capacity(IN_FLIGHT);
    let mut outputs: Vec<Option<F::Output>> = Vec::new();
    poll_fn(|cx| {
        loop {
            while running.len() < IN_FLIGHT
                && let Some(future) = waiting.next()
            {
                running.push((outputs.len(), Box::pin(future)));
                outputs.push(None);
            }
            let before = running.len();
            running.retain_mut(|(index, future)| match future.as_mut().poll(cx) {
                Poll::Ready(output) => {
                    outputs[*index] = Some(output);
                    false
                }
                Poll::Pending => true,
            });
            if running.is_empty() && before < IN_FLIGHT {
                return Poll::Ready(());
            }
            if running.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn outputs_come_in_order_and_the_number_in_flight_is_bounded() {
        let (running, most) = (&Cell::new(0), &Cell::new(0));
        let work = (0..50_usize).map(async |n| {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            for _ in 0..=n % 7 {
                tokio::task::yield_now().await;
            }
            running.set(running.get() - 1);
            n
        });
        assert!(join_bounded(work).await.into_iter().eq(0..50));
        assert_eq!(most.get(), IN_FLIGHT);
        assert!(
            join_bounded(std::iter::empty::<std::future::Ready<()>>())
                .await
                .is_empty()
        );
    }
}
