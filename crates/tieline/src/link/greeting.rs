//! The greeting of a link: whether the two sides belong together.
//!
//! Owns what each side checks, in which order, and the text that says what to do about a refusal. Must not know
//! streams or tasks. Invariant: neither side discloses the secret: each proves by HMAC over both hellos, with
//! the other side's nonce in them, that it has it.
//!
//! ```text
//! outbound                                     inbound
//!    │ hello: cluster, expected process, nonce    │
//!    ├───────────────────────────────────────────►│ answer
//!    │ hello: cluster, process, nonce, proof      │
//!    │◄───────────────────────────────────────────┤
//!    │ check_answer                               │
//!    │ confirmation: proof, or why it refuses     │
//!    ├───────────────────────────────────────────►│ check_confirmation
//! ```

use std::sync::Arc;

use tonic::{Code, Status, metadata::MetadataValue};
use uuid::Uuid;

use super::{
    config::LinkConfig,
    proto::{Confirmation, Hello, Refusal},
};

/// The trailers of a refusal.
const REFUSAL: &str = "tieline-refusal";
const ADDRESS: &str = "tieline-address";

/// Characters of a cluster's name in an error.
const MAX_NAME: usize = 100;

/// What the two sides have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreement {
    /// The other side's process.
    pub(super) process: Uuid,
    pub(super) version: u32,
}

/// Why the two sides do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GreetingError {
    #[error("the first message is not a hello")]
    Missing,
    #[error("the hello has no valid process id")]
    Malformed,
    #[error(
        "the peer supports versions {their_min} to {their_max} of the link protocol, this node {our_min} to \
         {our_max}: run versions of Tieline that have one in common"
    )]
    Version {
        our_min: u32,
        our_max: u32,
        their_min: u32,
        their_max: u32,
    },
    #[error(
        "the caller belongs to the cluster {caller:?}, the node that answers to {answerer:?}: the address \
         was reused, or the clusters overlap in the registry; give each its own prefix"
    )]
    Cluster { caller: String, answerer: String },
    #[error(
        "another process answers at this address than the registry says; this passes once the registry \
         knows of the restart"
    )]
    Process { address: String },
    #[error("a process has reached itself, which is listed under another spelling of its address")]
    Myself { address: String },
    #[error("the process that answers wants to be reached at {address:?}")]
    Address { address: String },
    #[error(
        "the two nodes do not have the same secret: configure the same one on all nodes of the cluster"
    )]
    Secret,
}

impl GreetingError {
    /// Two clusters. The names are cut: one is that of a stranger, and both go into the log and a header.
    fn cluster(caller: &str, answerer: &str) -> Self {
        let cut = |name: &str| name.chars().take(MAX_NAME).collect();
        let (caller, answerer) = (cut(caller), cut(answerer));
        Self::Cluster { caller, answerer }
    }

    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Missing | Self::Malformed => Refusal::None,
            Self::Version { .. } => Refusal::Version,
            Self::Cluster { .. } => Refusal::Cluster,
            Self::Process { .. } => Refusal::Process,
            Self::Myself { .. } => Refusal::Myself,
            Self::Address { .. } => Refusal::Address,
            Self::Secret => Refusal::Secret,
        }
    }
}

impl From<GreetingError> for Status {
    fn from(error: GreetingError) -> Self {
        let code = match error {
            GreetingError::Missing | GreetingError::Malformed => Code::InvalidArgument,
            GreetingError::Secret => Code::Unauthenticated,
            _ => Code::FailedPrecondition,
        };
        let mut status = Self::new(code, error.to_string());
        let metadata = status.metadata_mut();
        if error.refusal() != Refusal::None {
            let name = error.refusal().as_str_name().to_ascii_lowercase();
            metadata.insert(REFUSAL, name.parse().expect("it is ASCII"));
        }
        if let GreetingError::Process { address }
        | GreetingError::Myself { address }
        | GreetingError::Address { address } = error
            && let Ok(address) = MetadataValue::try_from(address)
        {
            metadata.insert(ADDRESS, address);
        }
        status
    }
}

/// The refusal that a peer sent with a status; [`Refusal::None`] if it is none, or a peer of an older version
/// sent it.
pub(super) fn refusal(status: &Status) -> Refusal {
    let name = status.metadata().get(REFUSAL);
    let name = name.and_then(|name| name.to_str().ok()).unwrap_or_default();
    Refusal::from_str_name(&name.to_ascii_uppercase()).unwrap_or(Refusal::None)
}

/// Where the process that answers in place of the expected one wants to be reached, as its refusal says.
pub(super) fn address_of_answerer(status: &Status) -> Option<Arc<str>> {
    let address = status.metadata().get(ADDRESS)?.to_str().ok()?;
    (!address.is_empty()).then(|| address.into())
}

/// On the inbound side: checks a hello, and makes this node's.
pub(super) fn answer(
    config: &LinkConfig,
    theirs: &Hello,
) -> Result<(Agreement, Hello), GreetingError> {
    let agreement = agree(config, theirs)?;
    if theirs.cluster != *config.cluster {
        return Err(GreetingError::cluster(&theirs.cluster, &config.cluster));
    }
    let is_probe = theirs.epoch == 0;
    let address = || config.address.as_deref().unwrap_or_default().to_owned();
    if agreement.process == config.process && !is_probe {
        return Err(GreetingError::Myself { address: address() });
    }
    if !theirs.expected.is_empty() && theirs.expected != config.process.as_bytes()[..] {
        return Err(GreetingError::Process { address: address() });
    }
    let mut ours = config.hello(0);
    ours.proof = config
        .trust
        .prove(&transcript(Side::Inbound, theirs, &ours));
    Ok((agreement, ours))
}

/// On the outbound side: checks the answer to the hello that this node sent to an address, and confirms it.
pub(super) fn check_answer(
    config: &LinkConfig,
    dialed: &str,
    ours: &Hello,
    theirs: &Hello,
) -> Result<(Agreement, Confirmation), GreetingError> {
    let agreement = agree(config, theirs)?;
    if theirs.cluster != *config.cluster {
        return Err(GreetingError::cluster(&config.cluster, &theirs.cluster));
    }
    let trust = &config.trust;
    if !trust.is_proven(&transcript(Side::Inbound, ours, theirs), &theirs.proof) {
        return Err(GreetingError::Secret);
    }
    if !ours.expected.is_empty() && ours.expected != agreement.process.as_bytes()[..] {
        let address = theirs.address.clone();
        return Err(GreetingError::Process { address });
    }
    // One process is one peer, at the address that it advertises.
    if !theirs.address.is_empty() && theirs.address != *dialed {
        let address = theirs.address.clone();
        return Err(GreetingError::Address { address });
    }
    let proof = trust.prove(&transcript(Side::Outbound, ours, theirs));
    let confirmation = Confirmation {
        proof,
        ..Confirmation::default()
    };
    Ok((agreement, confirmation))
}

/// On the inbound side: whether the other side proved that it has the secret.
pub(super) fn is_confirmed(
    config: &LinkConfig,
    theirs: &Hello,
    ours: &Hello,
    confirmation: &Confirmation,
) -> bool {
    let transcript = transcript(Side::Outbound, theirs, ours);
    config.trust.is_proven(&transcript, &confirmation.proof)
}

fn agree(config: &LinkConfig, theirs: &Hello) -> Result<Agreement, GreetingError> {
    let process = Uuid::from_slice(&theirs.process).map_err(|_| GreetingError::Malformed)?;
    let (our_min, our_max) = (*config.versions.start(), *config.versions.end());
    let version = our_max.min(theirs.version);
    if version < our_min || version < theirs.min_version {
        return Err(GreetingError::Version {
            our_min,
            our_max,
            their_min: theirs.min_version,
            their_max: theirs.version,
        });
    }
    Ok(Agreement { process, version })
}

/// Who proves something.
#[derive(Clone, Copy)]
enum Side {
    Outbound,
    Inbound,
}

/// What a side proves: that it read both hellos. With the side in it, so that no proof can be sent back as
/// the other side's.
fn transcript(side: Side, outbound: &Hello, inbound: &Hello) -> Vec<u8> {
    let mut transcript = match side {
        Side::Outbound => b"tieline link outbound\0".to_vec(),
        Side::Inbound => b"tieline link inbound\0".to_vec(),
    };
    for hello in [outbound, inbound] {
        transcript.extend(hello.version.to_be_bytes());
        transcript.extend(hello.min_version.to_be_bytes());
        transcript.extend(hello.epoch.to_be_bytes());
        let fields: [&[u8]; 5] = [
            hello.cluster.as_bytes(),
            hello.address.as_bytes(),
            &hello.process,
            &hello.expected,
            &hello.nonce,
        ];
        for field in fields {
            transcript.extend((field.len() as u64).to_be_bytes());
            transcript.extend(field);
        }
    }
    transcript
}
