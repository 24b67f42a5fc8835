//! The keys that sign tokens.

use crate::config::{secret::Secret, section::section};

section! {
    /// The access keys.
    pub(crate) struct Keys in "keys" {
        primary: Option<Secret> = None,
            "Access key, which signs the tokens of clients; `tieline key` makes one.",
            "At least 32 bytes. With a key, clients need a token, unless anonymous ones may connect.",
            file_flag: "key-file", variable: "TIELINE_KEY", without: "no tokens", live: true;
        secondary: Option<Secret> = None,
            "Second access key, whose tokens are valid too.",
            "For replacing a key: both are valid until the tokens of the old one have expired. Needs `keys.primary`.",
            file_flag: "secondary-key-file", variable: "TIELINE_SECONDARY_KEY", without: "none", live: true;
    }
}
