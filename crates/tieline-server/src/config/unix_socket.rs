//! Unix sockets to listen on.
//!
//! Owns the notation. Must not open anything.

use std::{
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::option::{Invalid, Place};

/// What a text begins with that means a Unix socket.
const SCHEME: &str = "unix:";

/// Who may connect unless told otherwise: the user of the server, and its group.
const DEFAULT_MODE: u32 = 0o660;

/// Longest path of a socket on Linux.
const MAX_PATH: usize = 107;

/// A Unix socket to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnixSocket {
    pub(crate) path: PathBuf,
    /// The permissions of its file.
    pub(crate) mode: u32,
}

/// The path behind `unix:`, without permissions; `None` if that is not what the text begins with.
pub(crate) fn path_in(text: &str) -> Option<&Path> {
    let rest = text.strip_prefix(SCHEME)?;
    let path = rest.split_once('?').map_or(rest, |(path, _)| path);
    Some(Path::new(path))
}

impl UnixSocket {
    /// `None` if the text is about something else.
    pub(super) fn parse(text: &str, place: &Place<'_>) -> Option<Result<Self, Invalid>> {
        let rest = text.strip_prefix(SCHEME)?;
        Some(Self::from_parts(rest, text, place))
    }

    fn from_parts(rest: &str, text: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        let (path, mode) = match rest.split_once('?') {
            None => (rest, DEFAULT_MODE),
            Some((path, query)) => {
                let digits = query.strip_prefix("mode=");
                let mode = digits.and_then(mode).ok_or_else(|| {
                    Invalid::Other(format!(
                        "after \"?\", a Unix socket has its permissions in octal digits, such as ?mode=0660; found \
                         {query:?}"
                    ))
                })?;
                (path, mode)
            }
        };
        if path.is_empty() {
            return Err(Invalid::text(text));
        }
        let path = place.base.join(path);
        if path.as_os_str().as_bytes().len() > MAX_PATH {
            return Err(Invalid::Other(format!(
                "the path of a Unix socket has at most {MAX_PATH} bytes: {}",
                path.display()
            )));
        }
        Ok(Self { path, mode })
    }

    /// As logs and errors name it, and other programs.
    pub(crate) fn place(&self) -> String {
        format!("{SCHEME}{}", self.path.display())
    }
}

fn mode(digits: &str) -> Option<u32> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let mode = is_plain.then(|| u32::from_str_radix(digits, 8).ok())??;
    (mode <= 0o777).then_some(mode)
}

/// As it stands in a file.
impl fmt::Display for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())?;
        if self.mode == DEFAULT_MODE {
            return Ok(());
        }
        write!(f, "?mode={:04o}", self.mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Environment;

    fn parse(text: &str) -> Result<(String, u32), String> {
        let environment = Environment::new();
        let place = Place {
            base: Path::new("/etc/tieline"),
            environment: &environment,
        };
        let parsed = UnixSocket::parse(text, &place).ok_or("another")?;
        let socket = parsed.map_err(|invalid| format!("{invalid:?}"))?;
        let shown = UnixSocket::parse(&socket.to_string(), &place);
        assert_eq!(shown.unwrap().unwrap(), socket, "{text}");
        Ok((socket.path.display().to_string(), socket.mode))
    }

    #[test]
    fn a_socket_has_a_path_and_a_mode() {
        let is = |path: &str, mode| Ok((path.to_owned(), mode));
        assert_eq!(parse("unix:/run/a.sock"), is("/run/a.sock", 0o660));
        assert_eq!(parse("unix:a.sock"), is("/etc/tieline/a.sock", 0o660));
        assert_eq!(parse("unix:/a?mode=0600"), is("/a", 0o600));
        assert_eq!(parse("unix:/a?mode=777"), is("/a", 0o777));
        let longest = format!("/{}", "a".repeat(MAX_PATH - 1));
        assert_eq!(parse(&format!("unix:{longest}")), is(&longest, 0o660));
    }

    #[test]
    fn what_is_no_socket_is_refused() {
        assert_eq!(parse("/run/a.sock"), Err("another".into()));
        for (text, why) in [
            ("unix:", "Found"),
            ("unix:?mode=0660", "Found"),
            ("unix:/a?", "octal"),
            ("unix:/a?mode=", "octal"),
            ("unix:/a?mode=888", "octal"),
            ("unix:/a?mode=+60", "octal"),
            ("unix:/a?mode=1777", "octal"),
            ("unix:/a?group=a", "octal"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let error = parse(&format!("unix:/{}", "a".repeat(MAX_PATH))).unwrap_err();
        assert!(error.contains("107 bytes"), "{error}");
    }
}
