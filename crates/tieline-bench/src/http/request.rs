//! The requests of a load.
//!
//! Owns heads and tokens. Must not know when a request is sent. Invariant: a token is signed once for each
//! connection, before the first request, so that no measurement includes it.

use std::fmt;

use crate::{
    partition::Partition,
    plan::{Plan, RequestPlan},
    template::Template,
    token::Signer,
    url::{Scheme, Url},
};

/// Makes the heads of requests. Without `Debug` of the heads, which have tokens.
pub(crate) struct Requests {
    /// The head of each connection, without the length of the body and the end.
    heads: Vec<String>,
}

impl Requests {
    /// The requests of a load; `None` if it sends none.
    pub(crate) fn new(partition: &Partition) -> anyhow::Result<Option<Self>> {
        let plan = &partition.plan;
        let Some(request) = &plan.request else {
            return Ok(None);
        };
        let signer = plan.token_key.as_deref().map(Signer::open).transpose()?;
        let numbers = partition.first..partition.first + partition.connections;
        let heads = numbers.map(|number| head(plan, request, signer.as_ref(), number));
        let heads: Result<_, String> = heads.collect();
        Ok(Some(Self {
            heads: heads.map_err(anyhow::Error::msg)?,
        }))
    }

    /// The head of the requests that a connection sends, with a body of `length` bytes.
    pub(crate) fn head(&self, at: usize, length: usize) -> String {
        format!("{}Content-Length: {length}\r\n\r\n", self.heads[at])
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
    let mut head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\n",
        url.target, url.authority, request.content_type
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
