//! The requests of a load.
//!
//! Owns heads and tokens. Must not know when a request is sent. Invariant: a token is signed once for each
//! connection, before the first request, so that no measurement includes it; only the Pusher wire signs each request.

use std::fmt;

use crate::{
    partition::Partition,
    plan::{Plan, RequestPlan, Wire},
    template::Template,
    token::Signer,
    url::{Scheme, Url},
    wire::pusher::{self, AppSecret, SignedRequest},
};

/// Makes the heads of requests. Without `Debug` of the heads, which have tokens.
pub(crate) struct Requests {
    /// The head of each connection, without the length of the body and the end.
    heads: Vec<String>,
    /// The secret of the app, in the Pusher wire.
    secret: Option<AppSecret>,
}

impl Requests {
    /// The requests of a load; `None` if it sends none.
    pub(crate) fn new(partition: &Partition) -> anyhow::Result<Option<Self>> {
        let plan = &partition.plan;
        let Some(request) = &plan.request else {
            return Ok(None);
        };
        let key = plan.token_key.as_deref();
        let (key, secret) = match plan.wire {
            Wire::Pusher => (None, key),
            Wire::Bare | Wire::Json => (key, None),
        };
        let signer = key.map(Signer::open).transpose()?;
        let numbers = partition.first..partition.first + partition.connections;
        let heads = numbers.map(|number| head(plan, request, signer.as_ref(), number));
        let heads: Result<_, String> = heads.collect();
        Ok(Some(Self {
            heads: heads.map_err(anyhow::Error::msg)?,
            secret: secret.map(AppSecret::open).transpose()?,
        }))
    }

    /// The head of the requests that a connection sends, with a body of `length` bytes.
    pub(crate) fn head(&self, at: usize, length: usize) -> String {
        format!("{}Content-Length: {length}\r\n\r\n", self.heads[at])
    }

    /// How a request with this head is signed, if each body is.
    pub(crate) fn signed(&self, head: &str) -> Option<SignedRequest> {
        SignedRequest::new(self.secret.as_ref()?, head)
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Requests")
    }
}

/// The head without the length of the body. The audience of the token is the whole URL, as in the SDKs.
fn head(
    plan: &Plan,
    request: &RequestPlan,
    signer: Option<&Signer>,
    number: usize,
) -> Result<String, String> {
    let url = &plan.urls[number % plan.urls.len()];
    let text = Template::parse(url, plan.room).text(number);
    let url = Url::parse(&text, Scheme::Http).map_err(|e| e.to_string())?;
    let target = match plan.wire {
        Wire::Pusher if plan.token_key.is_some() => pusher::signed_target(&url.target),
        _ => url.target.clone(),
    };
    let mut head = format!(
        "POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\n",
        url.authority, request.content_type
    );
    if let Some(signer) = signer {
        let token = signer.request(&url.http(&url.target))?;
        head.extend(["Authorization: Bearer ", &token, "\r\n"]);
    }
    for header in &plan.headers {
        head.extend([header, "\r\n"]);
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::tests::plan;

    #[test]
    fn each_process_has_the_requests_of_its_connections() {
        let mut plan = plan();
        (plan.connections, plan.urls) = (4, vec!["http://h:1/{id}?v=1".into()]);
        plan.request = Some(RequestPlan {
            content_type: "text/plain".into(),
            status: 202,
            receiver_url: None,
        });
        let part = Partition::part(&plan, 1, 2);
        let requests = Requests::new(&part).unwrap().expect("it sends requests");
        let head = requests.head(1, 5);
        assert!(
            head.starts_with("POST /client-3?v=1 HTTP/1.1\r\nHost: h:1\r\n"),
            "{head}"
        );
        assert!(head.ends_with("Content-Length: 5\r\n\r\n"), "{head}");
    }

    #[test]
    fn other_scenarios_have_none() {
        let whole = Partition::whole(&plan());
        assert!(Requests::new(&whole).unwrap().is_none());
    }
}
