//! The Lua scripts that the server runs.
//!
//! Owns their texts, their hashes and how they are called: by hash (EVALSHA), or by text (EVAL) if the
//! server does not know the hash, as after a restart, a failover or `SCRIPT FLUSH`. EVAL also loads the
//! script.

use std::sync::LazyLock;

use redis::Cmd;

use super::keys::Keys;

/// Defines a script by its file, with the prelude before it.
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

/// The text of a script, and its hash.
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

    /// A call by hash. The caller adds the script's ARGV.
    pub(super) fn evalsha(&self, keys: &Keys, address: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.hash);
        keys.add_to(&mut command, address);
        command
    }

    /// A call by text. The caller adds the script's ARGV.
    pub(super) fn eval(&self, keys: &Keys, address: &str) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.text);
        keys.add_to(&mut command, address);
        command
    }
}

/// Turns a call by hash into the same call by text; `None` for any other command.
pub(super) fn to_eval(command: &Cmd) -> Option<Cmd> {
    let mut args = command.args_iter().filter_map(|arg| match arg {
        redis::Arg::Simple(arg) => Some(arg),
        _ => None,
    });
    if args.next()? != b"EVALSHA" {
        return None;
    }
    let hash = args.next()?;
    let script = ALL.iter().find(|script| script.hash.as_bytes() == hash)?;
    let mut eval = redis::cmd("EVAL");
    eval.arg(script.text);
    args.for_each(|arg| {
        eval.arg(arg);
    });
    Some(eval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_by_hash_becomes_one_by_text() {
        let keys = Keys::new("ws");
        let by_hash = CLAIM.evalsha(&keys, "h:1").arg("x").take();
        let expected = CLAIM.eval(&keys, "h:1").arg("x").take();
        let eval = to_eval(&by_hash).unwrap();
        assert_eq!(eval.get_packed_command(), expected.get_packed_command());
        assert!(to_eval(&redis::cmd("PING")).is_none());
    }
}
