//! The query of a request.
//!
//! Owns which values there can be. Must not know operations. Invariants: a value that counts once is refused if it
//! stands there twice, because a proxy may have read the other; unknown names are ignored, as in the service.

use super::error::Error;
use crate::app::filter::Filter;

/// Versions of the service whose operations are the ones here.
const VERSIONS: [&str; 5] = [
    "2021-10-01",
    "2022-11-01",
    "2023-07-01",
    "2024-01-01",
    "2024-12-01",
];

const MAX_TTL_SECONDS: u32 = 300;

/// The names and values of a query, decoded.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query, and checks the version.
    pub(super) fn parse(query: &str) -> Result<Self, Error> {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let query = Self(pairs.into_owned().collect());
        match query.single("api-version")? {
            None => Ok(query),
            Some(version) if VERSIONS.contains(&version) => Ok(query),
            Some(_) => {
                let message = format!("unknown api-version; use one of {}", VERSIONS.join(", "));
                Err(Error::bad_request("api-version", message))
            }
        }
    }

    /// A value that may stand there once.
    pub(super) fn single(&self, name: &'static str) -> Result<Option<&str>, Error> {
        let mut values = self.all(name);
        let value = values.next();
        match values.next() {
            None => Ok(value),
            Some(_) => Err(Error::bad_request(
                name,
                format!("{name} stands there more than once"),
            )),
        }
    }

    /// A value that may stand there any number of times.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.0.iter();
        let named = pairs.filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| &**value)
    }

    /// Connections to leave out.
    pub(super) fn excluded(&self) -> Vec<String> {
        self.all("excluded").map(str::to_owned).collect()
    }

    pub(super) fn reason(&self) -> Result<Option<String>, Error> {
        Ok(self.single("reason")?.map(str::to_owned))
    }

    /// A filter that can be read.
    pub(super) fn filter(&self) -> Result<Option<String>, Error> {
        self.single("filter")?.map(check_filter).transpose()
    }

    /// Checks how long a message is to be kept. It is not kept at all.
    pub(super) fn check_ttl(&self) -> Result<(), Error> {
        const NAME: &str = "messageTtlSeconds";
        match self.single(NAME)?.map(str::parse::<u32>) {
            None | Some(Ok(0..=MAX_TTL_SECONDS)) => Ok(()),
            Some(_) => {
                let message = format!("{NAME} must be a whole number, {MAX_TTL_SECONDS} at most");
                Err(Error::bad_request(NAME, message))
            }
        }
    }

    /// A number from 1 to `most`.
    pub(super) fn number(&self, name: &'static str, most: usize) -> Result<Option<usize>, Error> {
        match self.single(name)?.map(str::parse::<usize>) {
            None => Ok(None),
            Some(Ok(number)) if (1..=most).contains(&number) => Ok(Some(number)),
            Some(_) => {
                let message = match most {
                    usize::MAX => format!("{name} must be a whole number of at least 1"),
                    most => format!("{name} must be a whole number from 1 to {most}"),
                };
                Err(Error::bad_request(name, message))
            }
        }
    }
}

/// The filter, if it can be read.
pub(super) fn check_filter(filter: &str) -> Result<String, Error> {
    match Filter::parse(filter) {
        Ok(_) => Ok(filter.to_owned()),
        Err(error) => Err(Error::bad_request("filter", error.to_string())),
    }
}
