//! What proves who somebody is, as the settings have it: keys and issuers.
//!
//! Owns which of these need each other, and finds all that is wrong with them. Reads the files that settings name. Must not know who may do what.

use std::{sync::Arc, time::Duration};

use super::{authorities, table::Table};
use crate::{
    app::{
        jwks::{
            issuer::{Issuer, IssuerSettings, Issuers},
            source::{Remote, Source},
        },
        key::{AccessKey, AccessKeys},
        token::audience::Endpoint,
    },
    config::{
        error::ConfigErrors,
        key_set_location::KeySetLocation,
        secret::Secret,
        sections::{aws::Aws, issuers::IssuerTable},
        settings::Settings,
        values::{Values, list_scope},
    },
    wire::aws::key_pair::{KeyPair, KeyPairError},
};

/// The keys of an issuer are not fetched more often.
const MIN_REFRESH: Duration = Duration::from_secs(1);

/// The keys that sign, if there are any.
pub(super) fn access_keys(settings: &Settings) -> Result<Option<AccessKeys>, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let primary = errors.take(primary_key(settings));
    let secondary = settings.keys.secondary.as_ref();
    let secondary = secondary.map(|key| access_key(key, "--secondary-key-file"));
    let secondary = errors.take(secondary.transpose());
    if settings.keys.primary.is_none() && settings.keys.secondary.is_some() {
        errors.add("--secondary-key-file needs a primary key, from --key-file");
    }
    let keys = primary.flatten().map(|primary| AccessKeys {
        primary,
        secondary: secondary.flatten(),
    });
    errors.into_result(keys)
}

/// The URLs under which clients reach the server.
pub(super) fn public_endpoints(settings: &Settings) -> Result<Vec<Endpoint>, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let endpoints = settings.general.public_endpoints.iter().map(|text| {
        let invalid = |why| ConfigErrors::one(format!("invalid --public-endpoint {text:?}: {why}"));
        text.parse().map_err(invalid)
    });
    let endpoints = endpoints.filter_map(|endpoint| errors.take(endpoint));
    let endpoints = endpoints.collect();
    errors.into_result(endpoints)
}

/// What signs the requests of backends that were written for AWS.
pub(super) fn aws_key_pair(
    settings: &Settings,
    values: &Values,
) -> Result<Option<KeyPair>, ConfigErrors> {
    let table = Table::new(values, Aws::OPTIONS);
    KeyPair::of(&settings.aws).map_err(|wrong| {
        let mut errors = ConfigErrors::default();
        for error in wrong {
            let name = match error {
                KeyPairError::Half => {
                    let [id, secret] = ["access_key_id", "secret_access_key"];
                    let (id, secret) = (table.name(id), table.name(secret));
                    errors.add(format!(
                        "{id} and {secret} need each other: set both, or neither"
                    ));
                    continue;
                }
                KeyPairError::Id => "access_key_id",
                KeyPairError::Secret(_) => "secret_access_key",
            };
            errors.add(table.invalid(name, &error.to_string()));
        }
        errors
    })
}

/// The key that signs.
pub(super) fn primary_key(settings: &Settings) -> Result<Option<AccessKey>, ConfigErrors> {
    let key = settings.keys.primary.as_ref();
    key.map(|key| access_key(key, "--key-file")).transpose()
}

fn access_key(secret: &Secret, flag: &str) -> Result<AccessKey, ConfigErrors> {
    AccessKey::new(secret.first_line())
        .map_err(|error| ConfigErrors::one(format!("invalid {flag}: {error}")))
}

/// The issuers of tokens. Reads the key sets that are in files.
pub(super) fn issuers(settings: &Settings, values: &Values) -> Result<Issuers, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let issuers = settings.issuers.iter().enumerate();
    let issuers = issuers.map(|(index, own)| {
        let scope = list_scope("issuers", index);
        let table = Table::at(values, IssuerTable::OPTIONS, scope);
        errors.take(issuer(own, &table))
    });
    let issuers: Vec<_> = issuers.collect();
    let issuers = issuers.into_iter().flatten().collect();
    errors.into_result(Issuers::new(issuers))
}

fn issuer(own: &IssuerTable, table: &Table<'_>) -> Result<Arc<Issuer>, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let is_missing = [
        ("issuer", own.issuer.is_none()),
        ("jwks", own.jwks.is_none()),
        ("algorithms", own.algorithms.is_empty()),
    ];
    for (option, _) in is_missing.into_iter().filter(|(_, missing)| *missing) {
        errors.add(table.invalid(option, "is required"));
    }
    if own.refresh < MIN_REFRESH {
        errors.add(table.invalid("refresh", "must be at least 1s"));
    }
    let keys = own.jwks.as_ref();
    let keys = keys.and_then(|jwks| errors.take(source(jwks, own, table)));
    let (Some(issuer), Some(keys), true) = (&own.issuer, keys, errors.is_empty()) else {
        return Err(errors);
    };
    let opened = Issuer::open(IssuerSettings {
        issuer: issuer.clone(),
        keys,
        algorithms: own.algorithms.clone(),
        audience: own.audience.clone(),
    });
    let unusable = |error| table.invalid("jwks", &format!("cannot be used: {error}"));
    opened.map_err(|error| ConfigErrors::unreadable(unusable(error)))
}

/// Where the keys of an issuer are.
fn source(
    jwks: &KeySetLocation,
    own: &IssuerTable,
    table: &Table<'_>,
) -> Result<Source, ConfigErrors> {
    match (jwks, own.ca.as_deref()) {
        (KeySetLocation::File(path), None) => Ok(Source::File(path.clone())),
        (KeySetLocation::File(_), Some(_)) => {
            let why = "has no effect, because `jwks` is a file and no URL; leave it out";
            Err(ConfigErrors::one(table.invalid("ca", why)))
        }
        (KeySetLocation::Url(url), ca) => {
            let ca = authorities::read(ca, url.is_https(), table)?;
            let remote = Remote::new(url.clone(), ca, own.refresh);
            let unusable = |error| table.invalid("jwks", &format!("cannot be fetched: {error}"));
            let remote = remote.map_err(|error| ConfigErrors::unreadable(unusable(error)))?;
            Ok(Source::Url(Box::new(remote)))
        }
    }
}
