//! Sign-in: a connection says which user it is.
//!
//! Owns the check of what the application has signed, and what the client is told. Must not know the syntax of frames.
//! Invariant: a connection is one user at most, and that user is online for exactly as long.

use serde::Deserialize;
use serde_json::value::RawValue;
use tieline::{Connection, UserError};

use super::{
    app::App,
    client::Client,
    incoming::SignIn,
    outgoing,
    presence::{
        InvalidMember, Member, SignedIn,
        watchlist::{self, MAX_WATCHED},
    },
    refused::UNAUTHORIZED,
    signed::{self, InvalidSignature},
};
use crate::metrics::METRICS;

/// The code of errors about a watchlist.
const WATCHLIST: u16 = 4302;

/// Why a client is not signed in.
#[derive(Debug, thiserror::Error)]
enum SignInError {
    #[error("the app does not exist any more")]
    NoApp,
    #[error(transparent)]
    Signature(#[from] InvalidSignature),
    #[error(transparent)]
    Member(#[from] InvalidMember),
    #[error(transparent)]
    User(#[from] UserError),
}

/// What an application signs for a user.
#[derive(Deserialize)]
struct UserData<'a> {
    id: String,
    #[serde(borrow, default)]
    user_info: Option<&'a RawValue>,
    #[serde(borrow, default)]
    watchlist: Option<&'a RawValue>,
}

/// Signs a client in, or tells it why not. Whether it has a user from now on, and had none before.
pub(super) async fn sign_in(
    connection: &Connection,
    client: &mut Client,
    asked: &SignIn<'_>,
) -> bool {
    let signed_in = try_sign_in(connection, client, asked).await;
    METRICS.pusher().sign_in(signed_in.is_ok());
    signed_in.unwrap_or_else(|error| {
        let code = matches!(error, SignInError::Signature(_)).then_some(UNAUTHORIZED);
        connection.emit(outgoing::error(code, &error.to_string()));
        false
    })
}

async fn try_sign_in(
    connection: &Connection,
    client: &mut Client,
    asked: &SignIn<'_>,
) -> Result<bool, SignInError> {
    let app = client.place.app().ok_or(SignInError::NoApp)?;
    check(&app, connection, asked)?;
    let data = UserData::parse(&asked.user_data).ok_or(InvalidMember::UserData)?;
    let member = Member::new(&data.id, data.user_info)?;
    connection.set_user(&member.id)?;
    // A backend that learns of the sign-in may close the user's connections from any node.
    if !client.hub.cluster().synced().await {
        tracing::debug!("signed in before every node knows of it");
    }
    // To sign in again changes nothing.
    let is_new = client.user.is_none();
    if is_new {
        let presence = client.hub.presence();
        let presence = presence.map(|presence| app.rules.members.of(presence));
        let user = SignedIn::begin(presence, member).await;
        client.user = Some(Box::new(user));
    }
    connection.emit(outgoing::signed_in(&asked.user_data));
    let watched = watchlist::ids(data.watchlist).unwrap_or_else(|| {
        let message = "the watchlist is ignored: it must be a list of the ids of users";
        connection.emit(outgoing::error(None, message));
        Vec::new()
    });
    if watched.len() > MAX_WATCHED {
        let message = format!("a watchlist has at most {MAX_WATCHED} users; the first ones count");
        connection.emit(outgoing::error(Some(WATCHLIST), &message));
    }
    if is_new {
        let users = watched.iter().take(MAX_WATCHED);
        let watched = &client.place.pusher.watched;
        watchlist::start(connection, (watched, &client.hub), users);
    }
    Ok(is_new)
}

/// The application signs `socket_id::user::user_data`.
fn check(app: &App, connection: &Connection, asked: &SignIn<'_>) -> Result<(), InvalidSignature> {
    let signed = format!("{}::user::{}", connection.id().as_str(), asked.user_data);
    signed::check(app, asked.auth.as_deref(), &signed)
}

impl<'a> UserData<'a> {
    /// Reads an object; a list of its fields in order is none.
    fn parse(data: &'a str) -> Option<Self> {
        let is_object = data.trim_ascii_start().starts_with('{');
        is_object.then(|| serde_json::from_str(data).ok())?
    }
}
