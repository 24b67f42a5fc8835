//! The Lua scripts that the server runs.
//!
//! Owns their texts, their hashes and how they are called: by hash (EVALSHA), or by text (EVAL) if the
//! server does not know the hash, as after a restart, a failover or `SCRIPT FLUSH`. EVAL also loads the
//! script.

use std::sync::LazyLock;

use redis::{Cmd, ToRedisArgs};

use super::keys::{KeyUse, Keys};

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

/// Defines a script about presence, with their prelude before it.
macro_rules! presence_script {
    ($name:ident, $file:literal) => {
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(
                include_str!("scripts/presence/prelude.lua"),
                include_str!($file)
            ))
        });
    };
}

/// Defines a script about a value, which has no prelude.
macro_rules! value_script {
    ($name:ident, $file:literal) => {
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!($file)));
    };
}

script!(CHECK, "scripts/check.lua");
script!(JOIN, "scripts/join.lua");
script!(RENEW, "scripts/renew.lua");
script!(BALANCE, "scripts/balance.lua");
script!(LEAVE, "scripts/leave.lua");
script!(NODES, "scripts/nodes.lua");
script!(CLAIM, "scripts/claim.lua");
script!(RELEASE, "scripts/release.lua");
script!(LOCATE, "scripts/locate.lua");
script!(LIST, "scripts/list.lua");
script!(EXPIRED, "scripts/expired.lua");
script!(REAP, "scripts/reap.lua");
script!(DELETE_NODE, "scripts/delete_node.lua");

presence_script!(OPEN_TERM, "scripts/presence/open.lua");
presence_script!(BEAT, "scripts/presence/beat.lua");
presence_script!(PUT, "scripts/presence/put.lua");
presence_script!(TEND, "scripts/presence/tend.lua");
presence_script!(END_TERM, "scripts/presence/end.lua");
presence_script!(ROSTER, "scripts/presence/roster.lua");
presence_script!(PAGE, "scripts/presence/page.lua");
presence_script!(LIST_ROSTERS, "scripts/presence/list.lua");
presence_script!(HOOK, "scripts/presence/hook.lua");

value_script!(PUT_VALUE, "scripts/values/put.lua");
value_script!(GET_VALUE, "scripts/values/get.lua");

static ALL: [&LazyLock<Script>; 24] = [
    &CHECK,
    &JOIN,
    &RENEW,
    &BALANCE,
    &LEAVE,
    &NODES,
    &CLAIM,
    &RELEASE,
    &LOCATE,
    &LIST,
    &EXPIRED,
    &REAP,
    &DELETE_NODE,
    &OPEN_TERM,
    &BEAT,
    &PUT,
    &TEND,
    &END_TERM,
    &ROSTER,
    &PAGE,
    &LIST_ROSTERS,
    &HOOK,
    &PUT_VALUE,
    &GET_VALUE,
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

    /// A call of this script.
    pub(super) fn call(&'static self, keys: &Keys, uses: KeyUse<'_>) -> ScriptCall {
        let mut with_keys = Cmd::new();
        keys.add_to(&mut with_keys, uses);
        ScriptCall {
            script: self,
            keys: with_keys,
            args: Cmd::new(),
        }
    }

    /// A call of this script, which is about presence: with the entries of a term, and rosters.
    pub(super) fn call_presence(
        &'static self,
        keys: &Keys,
        term: Option<&str>,
        rosters: &[&str],
    ) -> ScriptCall {
        let mut with_keys = Cmd::new();
        keys.add_presence(&mut with_keys, term, rosters);
        ScriptCall {
            script: self,
            keys: with_keys,
            args: Cmd::new(),
        }
    }

    /// A call of this script, which is about the value under a key.
    pub(super) fn call_value(&'static self, keys: &Keys, key: &str) -> ScriptCall {
        let mut with_keys = Cmd::new();
        keys.add_value(&mut with_keys, key);
        ScriptCall {
            script: self,
            keys: with_keys,
            args: Cmd::new(),
        }
    }
}

/// A call of a script, without what is known only when it is sent.
#[derive(Debug, Clone)]
pub(super) struct ScriptCall {
    script: &'static Script,
    keys: Cmd,
    args: Cmd,
}

/// The first argument of every script, in µs of the cluster's clock; zero where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Timing {
    /// The caller's estimate of the clock.
    pub(super) now: u64,
    /// After this, the call does nothing.
    pub(super) deadline: u64,
}

impl ScriptCall {
    /// Adds an argument of the script.
    pub(super) fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.args.arg(arg);
        self
    }

    /// The call by hash.
    pub(super) fn evalsha(&self, timing: Timing) -> Cmd {
        self.command("EVALSHA", &self.script.hash, timing)
    }

    /// The call by text.
    pub(super) fn eval(&self, timing: Timing) -> Cmd {
        self.command("EVAL", self.script.text, timing)
    }

    fn command(&self, name: &str, script: &str, timing: Timing) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script);
        copy_args(&self.keys, &mut command);
        command.arg(format!("{} {}", timing.now, timing.deadline));
        copy_args(&self.args, &mut command);
        command
    }
}

fn copy_args(from: &Cmd, to: &mut Cmd) {
    for arg in from.args_iter() {
        if let redis::Arg::Simple(arg) = arg {
            to.arg(arg);
        }
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
        let mut call = CLAIM.call(&Keys::new("ws"), KeyUse::NodeAndEntries("h:1"));
        call.arg("x");
        let timing = Timing {
            now: 1,
            deadline: 2,
        };
        let eval = to_eval(&call.evalsha(timing)).unwrap();
        let expected = call.eval(timing);
        assert_eq!(eval.get_packed_command(), expected.get_packed_command());
        assert!(to_eval(&redis::cmd("PING")).is_none());
    }
}
