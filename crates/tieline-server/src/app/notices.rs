//! What a wire tells its like at another node.
//!
//! Owns how a notice travels, and who reads those that come to this node. Must not know what they say. Invariant: a node
//! that cannot read one, such as one of another version, says so.

use std::{fmt, sync::OnceLock, time::Duration};

use tieline::{AskError, Bytes, Cluster, RequestError};

/// The first byte of notices: none of `operations` and `inspection` begins with it.
const MARK: u8 = 0x82;

/// How long a node has to take one.
const TIMEOUT: Duration = Duration::from_secs(1);

type Reader = Box<dyn Fn(&[u8]) -> Result<(), RequestError> + Send + Sync>;

/// Who reads the notices that come to a node.
#[derive(Default)]
pub(crate) struct Notices(OnceLock<Reader>);

impl Notices {
    /// Has all of them read by this, if none is yet.
    pub(crate) fn read_by(
        &self,
        reader: impl Fn(&[u8]) -> Result<(), RequestError> + Send + Sync + 'static,
    ) {
        let _ = self.0.set(Box::new(reader));
    }

    /// The answer to a request of another node; `None` if it is no notice.
    pub(crate) fn answer(&self, request: &[u8]) -> Option<Result<Bytes, RequestError>> {
        let text = request.strip_prefix(&[MARK])?;
        let reader = self.0.get().ok_or_else(RequestError::unsupported);
        Some(reader.and_then(|read| read(text)).map(|()| Bytes::new()))
    }
}

/// Tells a node. Returns once it has read it.
pub(crate) async fn tell(cluster: &Cluster, node: &str, text: &[u8]) -> Result<(), AskError> {
    let notice = [&[MARK], text].concat();
    cluster
        .ask_node(node, notice)
        .timeout(TIMEOUT)
        .await
        .map(drop)
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notices")
            .field(&self.0.get().is_some())
            .finish()
    }
}
