//! The key pair of backends that were written for AWS API Gateway.

use crate::config::{secret::Secret, section::section};

section! {
    /// The API of AWS API Gateway, `@connections`.
    pub(crate) struct Aws in "aws" {
        access_key_id: Option<String> = None,
            "Access key id of backends that use `@connections`, as with AWS API Gateway.",
            "Letters, digits, - and _; any will do, it need not be one of AWS. Needs `aws.secret_access_key`.",
            without: "`@connections` answers 403", live: true;
        secret_access_key: Option<Secret> = None,
            "Secret access key, with which these backends sign their requests (Signature Version 4).",
            "At least 32 bytes; `tieline key` makes one. It lets a backend send to any client of any hub.",
            without: "`@connections` answers 403", live: true;
    }
}
