//! The `connect` event: what a handler learns of a client, and what it decides.
//!
//! Owns both bodies. Must not know how the decision is carried out. Invariant: no token of the client and no
//! header of the hosting service is passed on.

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use tieline::{Bytes, ClientCertificate, ClientId, StatusCode, UpgradeRequest};

use super::memory::Memory;
use crate::{
    app::{
        events::{Admission, ConnectError, ConnectRequest},
        token::claims,
    },
    http_client::Answer,
};

type Lists = BTreeMap<String, Vec<String>>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectBody<'a> {
    claims: Lists,
    query: Lists,
    headers: Lists,
    subprotocols: Vec<&'a str>,
    client_certificates: Vec<CertificateBody>,
}

#[derive(Serialize)]
struct CertificateBody {
    /// SHA-1 in hexadecimal digits, as the event has it. It identifies, and proves nothing.
    thumbprint: String,
}

/// What a handler learns of a client.
pub(super) fn body(request: &UpgradeRequest, token: Option<&str>) -> Bytes {
    let mut query = Lists::new();
    let pairs = request.uri().query().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(pairs.as_bytes()) {
        if name != "access_token" {
            let values = query.entry(name.into_owned()).or_default();
            values.push(value.into_owned());
        }
    }
    let mut headers = Lists::new();
    for (name, value) in request.headers() {
        let name = name.as_str();
        if name != "authorization" && !name.starts_with("x-asrs-internal-") {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers.entry(name.to_owned()).or_default().push(value);
        }
    }
    let body = ConnectBody {
        claims: token.map(claims::all).unwrap_or_default(),
        query,
        headers,
        subprotocols: request.subprotocols().collect(),
        client_certificates: request
            .client_certificate()
            .map(thumbprint)
            .into_iter()
            .collect(),
    };
    let json = serde_json::to_vec(&body);
    json.expect("maps with text keys, lists and text always serialize")
        .into()
}

fn thumbprint(certificate: &ClientCertificate) -> CertificateBody {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate.der());
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02X}"));
    CertificateBody {
        thumbprint: digits.collect::<Vec<_>>().concat(),
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ConnectAnswer {
    user_id: Option<String>,
    groups: Option<Vec<String>>,
    roles: Option<Vec<String>>,
    subprotocol: Option<String>,
}

/// What a handler decided. `max_groups` is how many a client may have.
pub(super) fn decision(
    answer: &Answer,
    request: &ConnectRequest<'_>,
    max_groups: usize,
) -> Result<Admission<Memory>, ConnectError> {
    if !answer.status.is_success() {
        return Err(refused(answer.status));
    }
    let memory = Memory::default();
    let too_long = |_| bad_answer("a state that is too long");
    memory.keep_state(&answer.headers).map_err(too_long)?;
    memory.keep_cookies(&answer.headers);
    let body = if answer.body.is_empty() {
        ConnectAnswer::default()
    } else {
        let parsed = serde_json::from_slice(&answer.body);
        parsed.map_err(|_| bad_answer("a body that is not the JSON of a connect response"))?
    };
    let user = match body.user_id {
        Some(user) if user.is_empty() => None,
        Some(user) => Some(valid_name(user, "an invalid userId")?),
        None => request.user.map(Arc::from),
    };
    let groups = body.groups.unwrap_or_default();
    if groups.len() > max_groups {
        return Err(bad_answer("too many groups"));
    }
    let groups = groups.into_iter();
    let groups = groups.map(|group| valid_name(group, "an invalid group"));
    let subprotocol = match body.subprotocol.filter(|chosen| !chosen.is_empty()) {
        Some(chosen) => Some(offered(request.upgrade, &chosen)?),
        None => None,
    };
    Ok(Admission {
        user,
        groups: groups.collect::<Result<_, _>>()?,
        roles: body.roles,
        subprotocol,
        memory,
    })
}

/// A subprotocol in the client's spelling, with which it compares the response.
fn offered(request: &UpgradeRequest, chosen: &str) -> Result<String, ConnectError> {
    let mut offered = request.subprotocols();
    let spelled = offered.find(|offer| offer.eq_ignore_ascii_case(chosen));
    let spelled = spelled.map(str::to_owned);
    spelled.ok_or_else(|| bad_answer("a subprotocol that the client does not offer"))
}

fn valid_name(name: String, problem: &str) -> Result<Arc<str>, ConnectError> {
    match ClientId::new(&*name) {
        Ok(_) => Ok(name.into()),
        Err(_) => Err(bad_answer(problem)),
    }
}

/// The status is passed on, the body is not: it may be a stack trace.
fn refused(status: StatusCode) -> ConnectError {
    if is_refusal(status) {
        let message = "the event handler refused the connection".into();
        return ConnectError { status, message };
    }
    bad_answer("a status that is neither a success nor an error")
}

/// Whether a handler refuses the client; any other error is a mistake of the handler.
pub(super) fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

fn bad_answer(what: &str) -> ConnectError {
    ConnectError {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: format!("the event handler answered with {what}"),
    }
}
