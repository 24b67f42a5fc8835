//! Free ports, by name: `{port}` and `{port:NAME}` in commands and URLs.
//!
//! A name is the same port everywhere. Other braces stay as they are: they are placeholders of the load.

use std::{collections::HashMap, net::TcpListener};

use anyhow::Context;

/// Ports that were free when they were chosen.
#[derive(Debug, Default)]
pub(super) struct Ports(HashMap<String, u16>);

impl Ports {
    /// Chooses a port for each new name; yields the new ports.
    pub(super) fn choose(&mut self, text: &str) -> anyhow::Result<Vec<u16>> {
        let mut new = Vec::new();
        // Kept open until all are chosen, so that none is chosen twice.
        let mut held = Vec::new();
        for name in names(text) {
            if self.0.contains_key(&name) {
                continue;
            }
            let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
            let port = listener.local_addr()?.port();
            held.push(listener);
            new.push(port);
            self.0.insert(name, port);
        }
        Ok(new)
    }

    /// The text with its ports filled in.
    pub(super) fn fill(&self, text: &str) -> String {
        names(text)
            .iter()
            .fold(text.to_owned(), |text, name| match self.0.get(name) {
                Some(port) => text.replace(&placeholder(name), &port.to_string()),
                None => text,
            })
    }
}

/// The text with a sample port.
pub(super) fn with_sample_port(text: &str) -> String {
    let names = names(text).into_iter();
    Ports(names.map(|name| (name, u16::MAX)).collect()).fill(text)
}

/// The distinct names of ports in a text; the name of `{port}` is empty.
pub(super) fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let braces = text.split('{').skip(1);
    let inner = braces.filter_map(|rest| Some(rest.split_once('}')?.0));
    for place in inner {
        let name = match place.split_once(':') {
            None if place == "port" => "",
            Some(("port", name)) if !name.is_empty() => name,
            _ => continue,
        };
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The placeholder of a port.
pub(super) fn placeholder(name: &str) -> String {
    match name {
        "" => "{port}".into(),
        name => format!("{{port:{name}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_names_are_found() {
        let text = "--listen {port:a} --peer {port:b} {port} {port:a} {id} {portal} {port:}";
        assert_eq!(names(text), ["a", "b", ""]);
        assert!(names("{").is_empty() && names("}{port").is_empty());
    }

    #[test]
    fn a_name_is_the_same_port_everywhere() {
        let mut ports = Ports::default();
        let first = ports.choose("{port:a} {port}").unwrap();
        assert_eq!(first.len(), 2);
        assert_ne!(first[0], first[1]);
        assert!(ports.choose("{port:a}").unwrap().is_empty());
        let filled = ports.fill("ws://h:{port:a}/{port}?id={id}&{port:a}");
        let (a, plain) = (first[0], first[1]);
        assert_eq!(filled, format!("ws://h:{a}/{plain}?id={{id}}&{a}"));
    }
}
