//! Which operation of which app a path names.
//!
//! Owns how a path is split: at `/`, and then decoded, once. Must not know what an operation does.

use percent_encoding::percent_decode_str;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The id in the path, if it has one.
    pub(super) app: Option<String>,
    pub(super) operation: Operation,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Trigger,
    Batch,
    /// As old libraries do: one event for one channel, whose body is its data.
    TriggerOne(String),
    List,
    One(String),
    Users(String),
    Terminate(String),
}

impl Route {
    /// `None` if a part of the path is not UTF-8, or there is no such operation.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let parts = path.split('/').skip(1);
        let parts = parts.map(|part| percent_decode_str(part).decode_utf8().ok());
        let parts: Vec<_> = parts.collect::<Option<_>>()?;
        let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
        let owned = |name: &&str| (*name).to_owned();
        let (app, rest) = match &*parts {
            ["apps", app, rest @ ..] => (Some(owned(app)), rest),
            rest => (None, rest),
        };
        let operation = match rest {
            ["users", user, "terminate_connections"] => Operation::Terminate(owned(user)),
            ["events"] => Operation::Trigger,
            ["batch_events"] => Operation::Batch,
            ["channels"] => Operation::List,
            ["channels", name] => Operation::One(owned(name)),
            ["channels", name, "users"] => Operation::Users(owned(name)),
            ["channels", name, "events"] => Operation::TriggerOne(owned(name)),
            _ => return None,
        };
        Some(Self { app, operation })
    }

    /// A word for metrics.
    pub(super) fn name(&self) -> &'static str {
        self.operation.name()
    }
}

impl Operation {
    /// A word for metrics and traces.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Batch => "trigger_batch",
            Self::TriggerOne(_) => "trigger_one",
            Self::List => "list_channels",
            Self::One(_) => "get_channel",
            Self::Users(_) => "list_users",
            Self::Terminate(_) => "terminate_user",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_path_are_decoded_once() {
        let route = |path: &str| Route::parse(path).map(|route| (route.app, route.operation));
        let of_app = |operation| Some((Some("3".to_owned()), operation));
        assert_eq!(route("/apps/3/events"), of_app(Operation::Trigger));
        let user = || Operation::Terminate("auth0|1".into());
        for user_id in ["auth0|1", "auth0%7C1"] {
            let path = format!("/apps/3/users/{user_id}/terminate_connections");
            assert_eq!(route(&path), of_app(user()));
            let path = format!("/users/{user_id}/terminate_connections");
            assert_eq!(route(&path), Some((None, user())));
        }
        let one = of_app(Operation::One("a/%2F".into()));
        assert_eq!(route("/apps/3/channels/a%2F%252F"), one);
        for path in [
            "/apps/3/channels/%ff",
            "/apps/3",
            "/apps",
            "/",
            "/apps/3/stats",
        ] {
            assert_eq!(route(path), None, "{path}");
        }
    }
}
