//! The scripts that the server runs.
//!
//! Owns their text, their hashes and how they are called: by hash, and by text where the server does
//! not know the hash (after a restart, a failover or `SCRIPT FLUSH`), which also loads it.

use std::sync::LazyLock;

use redis::Cmd;

use super::keys::Keys;

/// A script, by its file.
macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(
                include_str!("scripts/prelude.lua"),
                include_str!($file)
            ))
        });
    };
}

script!(CHECK, "scripts/check.lua");
script!(JOIN, "scripts/join.lua");
script!(RENEW, "scripts/renew.lua");
script!(LEAVE, "scripts/leave.lua");
script!(NODES, "scripts/nodes.lua");
script!(CLAIM, "scripts/claim.lua");
script!(RELEASE, "scripts/release.lua");
script!(LOCATE, "scripts/locate.lua");
script!(EXPIRED, "scripts/expired.lua");
script!(REAP, "scripts/reap.lua");
script!(DELETE_NODE, "scripts/delete_node.lua");

static ALL: [&LazyLock<Script>; 11] = [
    &CHECK,
    &JOIN,
    &RENEW,
    &LEAVE,
    &NODES,
    &CLAIM,
    &RELEASE,
    &LOCATE,
    &EXPIRED,
    &REAP,
    &DELETE_NODE,
];

/// The text of a script, and the hash by which the server knows it.
#[derive(Debug)]
pub(super) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        let hash = redis::Script::new(text).get_hash().to_owned();
        Self { text, hash }
    }

    /// A call by hash, to which the arguments are to be added.
    pub(super) fn call(&self, keys: &Keys, address: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.hash);
        keys.add_to(&mut command, address);
        command
    }

    /// A call by text.
    pub(super) fn load(&self, keys: &Keys, address: &str) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.text);
        keys.add_to(&mut command, address);
        command
    }
}

/// The same call by text; `None` for what is no call by hash.
pub(super) fn by_text(command: &Cmd) -> Option<Cmd> {
    let mut args = command.args_iter().filter_map(|arg| match arg {
        redis::Arg::Simple(arg) => Some(arg),
        _ => None,
    });
    if args.next()? != b"EVALSHA" {
        return None;
    }
    let hash = args.next()?;
    let script = ALL.iter().find(|script| script.hash.as_bytes() == hash)?;
    let mut by_text = redis::cmd("EVAL");
    by_text.arg(script.text);
    args.for_each(|arg| {
        by_text.arg(arg);
    });
    Some(by_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_by_hash_becomes_one_by_text() {
        let keys = Keys::new("ws");
        let by_hash = CLAIM.call(&keys, "h:1").arg("x").take();
        let wanted = CLAIM.load(&keys, "h:1").arg("x").take();
        let found = by_text(&by_hash).unwrap();
        assert_eq!(found.get_packed_command(), wanted.get_packed_command());
        assert!(by_text(&redis::cmd("PING")).is_none());
    }
}
