//! What is kept with a connection from one event to the next: its state, its cookies, and a count.
//!
//! Owns what of an answer is kept. Must not know what the state means: it belongs to the handler. Invariant:
//! an answer cannot make a connection keep more than [`MAX_LENGTH`] bytes of each.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use parking_lot::Mutex;

/// Longest state, and longest header of cookies. Common HTTP servers accept 16 KiB of headers in all.
const MAX_LENGTH: usize = 8 * 1024;

pub(super) const CONNECTION_STATE: HeaderName = HeaderName::from_static("ce-connectionstate");

#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// How many events there were after `connect`, which is number 0.
    events: AtomicU64,
    /// Boxed: few handlers set any.
    kept: Mutex<Option<Box<Kept>>>,
}

#[derive(Debug, Default)]
struct Kept {
    state: Option<HeaderValue>,
    cookies: Option<HeaderValue>,
}

/// An answer sets a state that is too long.
#[derive(Debug)]
pub(super) struct StateTooLong;

impl Memory {
    /// The number of the next event.
    pub(super) fn next_number(&self) -> u64 {
        self.events.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes the state of an answer; without one, the last remains.
    pub(super) fn keep_state(&self, answer: &HeaderMap) -> Result<(), StateTooLong> {
        if let Some(state) = answer.get(CONNECTION_STATE) {
            if state.len() > MAX_LENGTH {
                return Err(StateTooLong);
            }
            let state = Some(state.clone()).filter(|state| !state.is_empty());
            self.kept.lock().get_or_insert_default().state = state;
        }
        Ok(())
    }

    /// Takes the cookies of an answer. Those that do not fit are left out.
    pub(super) fn keep_cookies(&self, answer: &HeaderMap) {
        let mut cookies = Vec::new();
        for set in answer.get_all(SET_COOKIE) {
            let pair = set.as_bytes().split(|byte| *byte == b';').next();
            let pair = pair.unwrap_or_default().trim_ascii();
            if !pair.contains(&b'=') || cookies.len() + 2 + pair.len() > MAX_LENGTH {
                continue;
            }
            if !cookies.is_empty() {
                cookies.extend(b"; ");
            }
            cookies.extend(pair);
        }
        if !cookies.is_empty() {
            let cookies = HeaderValue::from_bytes(&cookies).ok();
            self.kept.lock().get_or_insert_default().cookies = cookies;
        }
    }

    /// Adds what is kept to a request.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        let kept = self.kept.lock();
        let Some(kept) = &*kept else {
            return;
        };
        for (name, value) in [(CONNECTION_STATE, &kept.state), (COOKIE, &kept.cookies)] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        let pairs = list.iter();
        let pairs = pairs.map(|(name, value)| (name.clone(), value.parse().unwrap()));
        pairs.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
    }

    #[test]
    fn a_state_stays_until_the_next_one() {
        let memory = Memory::default();
        let sent = || {
            let mut headers = HeaderMap::new();
            memory.add_to(&mut headers);
            headers.get(CONNECTION_STATE).cloned()
        };
        assert_eq!(sent(), None);
        memory
            .keep_state(&headers(&[(CONNECTION_STATE, "e30=")]))
            .unwrap();
        memory.keep_state(&headers(&[])).unwrap();
        assert_eq!(sent().unwrap(), "e30=");
        let long = "a".repeat(MAX_LENGTH + 1);
        assert!(
            memory
                .keep_state(&headers(&[(CONNECTION_STATE, &long)]))
                .is_err()
        );
        assert_eq!(sent().unwrap(), "e30=");
        memory
            .keep_state(&headers(&[(CONNECTION_STATE, "")]))
            .unwrap();
        assert_eq!(sent(), None);
    }

    #[test]
    fn cookies_are_sent_back_without_their_attributes() {
        let memory = Memory::default();
        let long = format!("c={}", "a".repeat(MAX_LENGTH));
        memory.keep_cookies(&headers(&[
            (SET_COOKIE, "a=1; Path=/; HttpOnly"),
            (SET_COOKIE, "nonsense"),
            (SET_COOKIE, &long),
            (SET_COOKIE, "b=2"),
        ]));
        let mut sent = HeaderMap::new();
        memory.add_to(&mut sent);
        assert_eq!(sent.get(COOKIE).unwrap(), "a=1; b=2");
    }
}
