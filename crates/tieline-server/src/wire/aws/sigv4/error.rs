//! Why a request does not count as signed. Must not show a part of a signature.

/// Why a request does not count as signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::wire::aws) enum SignatureError {
    #[error(
        "the request is not signed; sign it with AWS Signature Version 4, in the Authorization header"
    )]
    Missing,
    #[error("the Authorization header is not one of AWS Signature Version 4")]
    Malformed,
    #[error("session tokens are not accepted; the server has one fixed key pair")]
    SessionToken,
    #[error("the access key id is not that of the server")]
    UnknownKey,
    #[error(
        "the scope of the credential must be DATE/REGION/execute-api/aws4_request, with the date of X-Amz-Date"
    )]
    Scope,
    #[error("X-Amz-Date must be given once, as in 20261122T120000Z")]
    Date,
    #[error("the signature is not of now: the clocks differ by more than 5 minutes")]
    Skew,
    #[error("Host and all X-Amz headers must be signed")]
    UnsignedHeader,
    #[error(
        "the signature does not match; check the secret key, and that no proxy changes the Host header or the path"
    )]
    Mismatch,
}
