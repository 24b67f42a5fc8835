//! Requests of commands to the admin API of a node.
//!
//! Owns where the API is, the token, and errors in terms of flags. Must not know what is asked. Invariant: the token
//! appears in no text.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::Value;
use tieline::Bytes;
use tokio::time::timeout;

use crate::{
    config::{files, unix_socket},
    http_client::{Answer, Authorities, BegunAnswer, Client, ClientError, Request},
};

/// How long an answer may take: nodes have 2 s for theirs.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long nothing may come of an answer that goes on: the server sends an empty line every 10 s.
const SILENCE: Duration = Duration::from_secs(30);

/// Longest answer.
const MAX_ANSWER: usize = 16 << 20;

/// Where the admin API is.
#[derive(Debug, Args)]
pub(super) struct AdminFlags {
    /// Admin port of any node of the cluster: its URL, or unix:/PATH
    #[arg(
        long,
        value_name = "URL",
        env = "TIELINE_ADMIN",
        default_value = "http://127.0.0.1:9464"
    )]
    admin: String,
    /// File with the token of the admin port
    #[arg(long, value_name = "FILE", env = "TIELINE_ADMIN_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Certificates (PEM) that may sign that of the admin port, instead of those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl AdminFlags {
    /// Those of each request: the token, if there is one.
    fn headers(&self) -> anyhow::Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        if let Some(path) = &self.token_file {
            let text = files::read(path)?;
            let token = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let value = [b"Bearer ", token.trim_ascii()].concat();
            let value = HeaderValue::from_bytes(&value);
            let mut value = value.context("--token-file has no token in its first line")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

pub(super) struct AdminClient {
    client: Client,
    /// As it was given, without a slash at its end.
    admin: String,
    /// What all URLs begin with.
    base: String,
}

impl AdminClient {
    pub(super) fn new(flags: &AdminFlags) -> anyhow::Result<Self> {
        let admin = flags.admin.trim_end_matches('/').to_owned();
        let headers = flags.headers()?;
        if let Some(path) = unix_socket::path_in(&admin) {
            return Ok(Self {
                client: Client::by_socket(path, headers, MAX_ANSWER),
                base: "http://localhost".into(),
                admin,
            });
        }
        let url: Option<Uri> = admin.parse().ok();
        let is_tls = match url.as_ref().and_then(Uri::scheme_str) {
            Some("https") => true,
            Some("http") => false,
            _ => bail!("--admin is a URL, such as http://127.0.0.1:9464, or unix:/PATH"),
        };
        let ca = flags.ca.as_deref().map(files::read).transpose()?;
        let authorities = match &ca {
            _ if !is_tls => Authorities::None,
            Some(pem) => Authorities::Given(pem),
            None => Authorities::System,
        };
        Ok(Self {
            client: Client::new(authorities, headers, MAX_ANSWER)?,
            base: admin.clone(),
            admin,
        })
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, body.to_string().into()).await
    }

    /// An answer that comes line by line.
    pub(super) async fn stream(&self, path: &str) -> anyhow::Result<AnswerLines> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        let begun = self.in_time(self.client.begin(&request)).await?;
        if !begun.status().is_success() {
            let answer = self.in_time(begun.whole()).await?;
            self.value_of(&answer)?;
            bail!("{} answered {}", self.admin, answer.status.as_u16());
        }
        Ok(AnswerLines {
            answer: begun,
            rest: Vec::new(),
            admin: self.admin.clone(),
        })
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Value> {
        let request = self.request(method, path, body)?;
        let answer = self.in_time(self.client.send(&request)).await?;
        self.value_of(&answer)
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Request> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Request {
            method,
            uri: format!("{}{path}", self.base).parse()?,
            headers,
            body,
        })
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> anyhow::Result<T> {
        timeout(TIMEOUT, answer).await.map_or_else(
            |_| bail!("no answer from {} within 5 s", self.admin),
            |sent| {
                let is_tls = self.admin.starts_with("https:");
                let sent = sent.map_err(|error| explained(&error, is_tls));
                sent.with_context(|| format!("no answer from {} (--admin)", self.admin))
            },
        )
    }

    fn value_of(&self, answer: &Answer) -> anyhow::Result<Value> {
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

/// The lines of an answer, as they come.
pub(super) struct AnswerLines {
    answer: BegunAnswer,
    /// What is no whole line yet.
    rest: Vec<u8>,
    admin: String,
}

impl AnswerLines {
    /// The next line with something in it; `None` at the end of the answer.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line[..end]).into_owned();
                if !line.is_empty() {
                    return Ok(Some(line));
                }
            }
            if self.rest.len() > MAX_ANSWER {
                bail!("{} answered a line without an end", self.admin);
            }
            // Empty lines come at least so often.
            let next = timeout(SILENCE, self.answer.next()).await;
            let next = next.map_or_else(
                |_| bail!("nothing from {} for {} s", self.admin, SILENCE.as_secs()),
                |next| next.with_context(|| format!("the answer of {} broke off", self.admin)),
            )?;
            match next {
                Some(bytes) => self.rest.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// An error, with what to do about it if that is known.
pub(super) fn explained(error: &ClientError, is_tls: bool) -> anyhow::Error {
    let text = error.to_string();
    let hint = match error {
        ClientError::NotHttp(_) if !is_tls => "if it expects TLS, use an https:// URL",
        _ if text.contains("CaUsedAsEndEntity") => {
            "its certificate is a CA certificate, which a server may not present: make it with \
             basicConstraints=critical,CA:FALSE, or let an authority sign one and trust that"
        }
        _ if text.contains("CertificateRequired") => {
            "it wants a certificate: ask its admin port, such as http://127.0.0.1:9464"
        }
        _ => return anyhow!(text),
    };
    anyhow!("{text}; {hint}")
}

/// Characters that are not seen, or look like another one, and that [`str::escape_debug`] takes for letters and marks:
/// fillers, the blank of Braille, and what Unicode ignores by default.
const UNSEEN: [RangeInclusive<char>; 9] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{e0100}'..='\u{e01ef}',
];

/// A text of a server on one line, with what a terminal would act on, or not show, as `\u{…}`: two texts that differ in
/// such characters look different. A backslash is doubled.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().take(500) {
        match c {
            '"' | '\'' => plain.push(c),
            c if UNSEEN.iter().any(|unseen| unseen.contains(&c)) => {
                plain.extend(c.escape_unicode());
            }
            // Behind another character, where a mark stays as it is.
            c => {
                let text: String = ['x', c].iter().collect();
                plain.extend(text.escape_debug().skip(1));
            }
        }
    }
    plain
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_escaped_and_the_rest_stays_as_it_is() {
        for text in [
            "ada",
            "Zo\u{eb} O'Neil",
            "e\u{301}",
            "नमस्ते",
            "\"日本\"",
            "🦀",
        ] {
            assert_eq!(plain(text), text);
        }
        let escaped = [
            ("e\u{202e}v", "e\\u{202e}v"),
            ("a\u{7}b", "a\\u{7}b"),
            ("g\n\u{1b}[31mX", "g\\n\\u{1b}[31mX"),
            ("a\u{200b}\u{a0}b", "a\\u{200b}\\u{a0}b"),
            (
                "\u{3164}\u{2800}\u{34f}\u{fe0f}",
                "\\u{3164}\\u{2800}\\u{34f}\\u{fe0f}",
            ),
            // Nobody can write what an escaped one looks like.
            ("\\u{7}", "\\\\u{7}"),
        ];
        for (text, expected) in escaped {
            assert_eq!(plain(text), expected);
        }
        assert_eq!(plain(&"x".repeat(600)).len(), 500);
    }
}
