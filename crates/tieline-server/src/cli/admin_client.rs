//! Requests of commands to the admin API of a node.
//!
//! Owns where the API is, the token, and errors in terms of flags. Must not know what is asked. Invariant: the token
//! appears in no text.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::Value;
use tieline::Bytes;
use tokio::time::timeout;

use crate::{
    config::files,
    http_client::{Authorities, Client, Request},
};

/// How long an answer may take: nodes have 2 s for theirs.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest answer.
const MAX_ANSWER: usize = 16 << 20;

/// Where the admin API is.
#[derive(Debug, Args)]
pub(super) struct AdminFlags {
    /// URL of the admin port of any node of the cluster
    #[arg(
        long,
        value_name = "URL",
        env = "TIELINE_ADMIN",
        default_value = "http://127.0.0.1:9464"
    )]
    admin: Uri,
    /// File with the token of the admin port
    #[arg(long, value_name = "FILE", env = "TIELINE_ADMIN_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Certificates (PEM) that may sign that of the admin port, instead of those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

pub(super) struct AdminClient {
    client: Client,
    /// Without a slash at its end.
    admin: String,
}

impl AdminClient {
    pub(super) fn new(flags: &AdminFlags) -> anyhow::Result<Self> {
        let is_tls = match flags.admin.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => bail!("--admin is a URL, such as http://127.0.0.1:9464"),
        };
        let mut headers = HeaderMap::new();
        if let Some(path) = &flags.token_file {
            let text = files::read(path)?;
            let token = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let value = [b"Bearer ", token.trim_ascii()].concat();
            let value = HeaderValue::from_bytes(&value);
            let mut value = value.context("--token-file has no token in its first line")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let ca = flags.ca.as_deref().map(files::read).transpose()?;
        let authorities = match &ca {
            _ if !is_tls => Authorities::None,
            Some(pem) => Authorities::Given(pem),
            None => Authorities::System,
        };
        Ok(Self {
            client: Client::new(authorities, headers, MAX_ANSWER)?,
            admin: flags.admin.to_string().trim_end_matches('/').to_owned(),
        })
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, body.to_string().into()).await
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Value> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = Request {
            method,
            uri: format!("{}{path}", self.admin).parse()?,
            headers,
            body,
        };
        let answer = timeout(TIMEOUT, self.client.send(&request)).await;
        let answer = answer.map_or_else(
            |_| bail!("no answer from {} within 5 s", self.admin),
            |sent| sent.with_context(|| format!("no answer from {} (--admin)", self.admin)),
        )?;
        let text = String::from_utf8_lossy(&answer.body);
        let parsed = serde_json::from_str::<Value>(&text).ok();
        match parsed {
            Some(value) if answer.status.is_success() => Ok(value),
            parsed => {
                let why = parsed.as_ref().and_then(|value| value["error"].as_str());
                let status = answer.status.as_u16();
                let why = why.unwrap_or_else(|| text.lines().next().unwrap_or_default());
                bail!("{} answered {status}: {}", self.admin, plain(why))
            }
        }
    }
}

/// A text of a server, without what a terminal would act on.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}

/// Runs what a command does with the API.
pub(super) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(future);
    // A name that is being looked up is not waited for.
    runtime.shutdown_background();
    done
}
