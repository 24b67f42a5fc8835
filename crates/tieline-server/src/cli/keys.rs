//! What proves who somebody is, as the settings have it: keys, issuers, and what verifies tokens by them.
//!
//! Owns which of these need each other. Reads the files that settings name. Must not know who may do what.

use std::{sync::Arc, time::Duration};

use crate::{
    app::{
        jwks::{
            issuer::{Issuer, IssuerSettings, Issuers},
            source::{Remote, Source},
        },
        key::{AccessKey, AccessKeys},
        token::verify::Verifier,
    },
    config::{
        error::ConfigErrors, files, key_set_location::KeySetLocation, secret::Secret,
        sections::issuers::IssuerTable, settings::Settings,
    },
    wire::aws::key_pair::KeyPair,
};

/// The keys of an issuer are not fetched more often.
const MIN_REFRESH: Duration = Duration::from_secs(1);

/// The keys that sign, if there are any.
pub(super) fn access_keys(settings: &Settings) -> anyhow::Result<Option<AccessKeys>> {
    let secondary = settings.keys.secondary.as_ref();
    let secondary = secondary.map(|key| access_key(key, "--secondary-key-file"));
    Ok(match (primary_key(settings)?, secondary.transpose()?) {
        (Some(primary), secondary) => Some(AccessKeys { primary, secondary }),
        (None, None) => None,
        (None, Some(_)) => {
            let text = "--secondary-key-file needs a primary key, from --key-file";
            return Err(ConfigErrors::one(text).into());
        }
    })
}

/// What verifies tokens; `None` if there is neither a key nor an issuer.
pub(super) fn verifier(
    settings: &Settings,
    keys: Option<&AccessKeys>,
    issuers: &Issuers,
) -> anyhow::Result<Option<Verifier>> {
    let endpoints = settings.general.public_endpoints.iter().map(|text| {
        let invalid = |why| ConfigErrors::one(format!("invalid --public-endpoint: {why}"));
        text.parse().map_err(invalid)
    });
    let endpoints = endpoints.collect::<Result<_, _>>()?;
    if keys.is_none() && issuers.is_empty() {
        return Ok(None);
    }
    Ok(Some(Verifier::new(keys, issuers.clone(), endpoints)))
}

/// What signs the requests of backends that were written for AWS.
pub(super) fn aws_key_pair(settings: &Settings) -> Result<Option<KeyPair>, ConfigErrors> {
    KeyPair::of(&settings.aws).map_err(|error| ConfigErrors::one(error.to_string()))
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
pub(super) fn issuers(settings: &Settings) -> anyhow::Result<Issuers> {
    let issuers = settings.issuers.iter().enumerate();
    let issuers = issuers.map(|(index, table)| issuer(index, table));
    Ok(Issuers::new(issuers.collect::<anyhow::Result<_>>()?))
}

fn issuer(index: usize, table: &IssuerTable) -> anyhow::Result<Arc<Issuer>> {
    let invalid = |why: &str| ConfigErrors::one(format!("`issuers[{index}]` {why}"));
    let (Some(issuer), Some(keys), false) =
        (&table.issuer, &table.jwks, table.algorithms.is_empty())
    else {
        return Err(invalid("needs `issuer`, `jwks` and `algorithms`").into());
    };
    if table.refresh < MIN_REFRESH {
        return Err(invalid("needs a `refresh` of at least 1s").into());
    }
    let keys = match (keys, &table.ca) {
        (KeySetLocation::File(path), None) => Source::File(path.clone()),
        (KeySetLocation::Url(url), ca) => {
            let ca = ca.as_deref().map(files::read).transpose()?;
            Source::Url(Box::new(Remote::new(url.clone(), ca, table.refresh)?))
        }
        (KeySetLocation::File(_), Some(_)) => {
            return Err(invalid("needs `ca` only if `jwks` is a URL").into());
        }
    };
    Ok(Issuer::open(IssuerSettings {
        issuer: issuer.clone(),
        keys,
        algorithms: table.algorithms.clone(),
        audience: table.audience.clone(),
    })?)
}
