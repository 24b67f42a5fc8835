//! Many small transactions as few large ones.
//!
//! Owns the bounds: how many fit in one request, how many requests are under way.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use super::{
    call_error::Fault,
    client::{Client, RetrySafety},
    layout::Layout,
    rpc::{TxnRequest, TxnResponse, modified, nested},
};
use crate::types::NodeSession;

/// Nested transactions in one request. etcd allows 128 operations along every path of nesting, which
/// leaves 28 for what is nested.
pub(super) const BATCH: usize = 100;

/// Requests of one operation that are under way at once.
const IN_FLIGHT: usize = 8;

/// What a batch came to.
pub(super) enum Fenced {
    /// The answers, in order.
    Done(Vec<TxnResponse>),
    /// The session is not the current one, or its lease is gone; nothing was carried out.
    Lost,
}

/// Carries out up to [`BATCH`] transactions if the session is the current one.
pub(super) async fn fenced(
    client: &Client,
    layout: &Layout,
    session: &NodeSession,
    txns: impl Iterator<Item = TxnRequest>,
) -> Result<Fenced, Fault> {
    let txn = TxnRequest {
        compare: vec![modified(
            layout.node(&session.address),
            session.fencing_token,
        )],
        success: txns.map(nested).collect(),
        failure: Vec::new(),
    };
    match client.call(RetrySafety::Harmful, txn).await {
        Ok(answer) if answer.succeeded => Ok(Fenced::Done(answer.nested().collect())),
        Ok(_) | Err(Fault::LeaseGone) => Ok(Fenced::Lost),
        Err(fault) => Err(fault),
    }
}

/// Runs futures, [`IN_FLIGHT`] at a time, in one task; their outputs in order. What is under way ends
/// when this is dropped.
pub(super) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
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
    async fn outputs_come_in_order_and_the_number_under_way_is_bounded() {
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
        assert!(all(work).await.into_iter().eq(0..50));
        assert_eq!(most.get(), IN_FLIGHT);
        assert!(
            all(std::iter::empty::<std::future::Ready<()>>())
                .await
                .is_empty()
        );
    }
}
