//! A collector of spans, as a process of the test: OTLP over gRPC.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Instant,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
};
use tokio::runtime::Runtime;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use crate::kit::DEADLINE;

/// A span as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    attributes: BTreeMap<String, String>,
    /// The process that has sent it.
    pub(super) instance: String,
}

impl Span {
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

pub(super) struct Collector {
    pub(super) url: String,
    seen: Receiver<Span>,
    spans: Vec<Span>,
    _runtime: Runtime,
}

impl Collector {
    pub(super) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let (sender, seen) = sync_channel(10_000);
        let (address, incoming) = runtime.block_on(async {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let incoming = TcpIncoming::bind(any).unwrap();
            (incoming.local_addr().unwrap(), incoming)
        });
        let service = TraceServiceServer::new(Service(sender));
        let server = Server::builder().add_service(service);
        runtime.spawn(server.serve_with_incoming(incoming));
        Self {
            url: format!("http://{address}"),
            seen,
            spans: Vec::new(),
            _runtime: runtime,
        }
    }

    /// The first span that satisfies a condition, which may have arrived already.
    #[track_caller]
    pub(super) fn span(&mut self, what: &str, is_wanted: impl Fn(&Span) -> bool) -> Span {
        let begin = Instant::now();
        loop {
            if let Some(span) = self.spans.iter().find(|span| is_wanted(span)) {
                return span.clone();
            }
            let left = DEADLINE.saturating_sub(begin.elapsed());
            let Ok(span) = self.seen.recv_timeout(left) else {
                panic!("no span {what} among {:#?}", self.spans);
            };
            self.spans.push(span);
        }
    }

    /// The spans that have arrived.
    pub(super) fn arrived(&mut self) -> &[Span] {
        self.spans.extend(self.seen.try_iter());
        &self.spans
    }
}

struct Service(SyncSender<Span>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let of_resource = resource.resource.map(|resource| resource.attributes);
            let of_resource = attributes(of_resource.unwrap_or_default());
            assert_eq!(of_resource["service.name"], "tieline");
            let spans = resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            for span in spans {
                let span = Span {
                    name: span.name,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    attributes: attributes(span.attributes),
                    instance: of_resource["service.instance.id"].clone(),
                };
                // The test may have ended.
                let _ = self.0.try_send(span);
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attributes(list: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pair = |pair: KeyValue| {
        let value = pair.value.and_then(|value| value.value);
        (pair.key, value.map(text).unwrap_or_default())
    };
    list.into_iter().map(pair).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}

/// A collector that takes connections, and says nothing.
pub(super) fn silent() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let open: Vec<_> = listener.incoming().collect();
        drop(open);
    });
    url
}
