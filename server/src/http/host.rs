//! The names under which requests call the server: a request says in its Host what the browser's address bar has. A page of a
//! foreign name that was made to point here (DNS rebinding) says that name.

use api::ConfigError;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A host without its port, as a request or `--host` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// An address in figures. No name service was asked for it, so nobody can have made it point here.
    Address(IpAddr),
    /// A name, in lower case and without the dot that may end it.
    Name(String),
}

impl HostName {
    /// Reads the value of a Host header, `NAME` or `NAME:PORT`; none where it is not one.
    pub fn of_header(value: &str) -> Option<Self> {
        if let Some(rest) = value.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            let address: Ipv6Addr = address.parse().ok()?;
            return is_port.then_some(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        let name = match value.split_once(':') {
            Some((name, port)) if is_port(port) => name,
            Some(_) => return None,
            None => value,
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_name) {
            return None;
        }
        Some(match name.parse::<Ipv4Addr>() {
            Ok(address) => Self::Address(address.into()),
            Err(_) => Self::Name(name.to_ascii_lowercase()),
        })
    }

    /// Whether it leads to this machine and nowhere else.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => name == "localhost",
        }
    }
}

fn is_port(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit())
}

impl FromStr for HostName {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let has_port = text.rsplit_once(':').is_some_and(|(_, port)| is_port(port)) && !text.ends_with(']');
        Self::of_header(text).filter(|_| !has_port).ok_or_else(|| {
            let message = format!("found '{text}'; expected a name without scheme and port, such as saes.example.org");
            ConfigError::new("host", message)
        })
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_brackets_case_and_the_last_dot_do_not_matter() {
        for text in [
            "localhost",
            "localhost:3000",
            "LocalHost.",
            "localhost.:3000",
            "127.0.0.1:80",
            "127.0.0.1.",
            "127.9.9.9",
            "[::1]",
            "[::1]:3000",
            "[0:0:0:0:0:0:0:1]:1",
            "[::ffff:127.0.0.1]:3000",
        ] {
            assert!(HostName::of_header(text).unwrap().is_loopback(), "{text}");
        }
        for text in [
            "evil.example:3000",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0:3000",
        ] {
            assert!(!HostName::of_header(text).unwrap().is_loopback(), "{text}");
        }
        for text in [
            "",
            ".",
            ":3000",
            "::1",
            "[::1",
            "[::1]x",
            "[localhost]",
            "localhost:port",
            "a@localhost",
            "localhost/",
            "evil.example localhost",
            "localhost:1:2",
        ] {
            assert_eq!(HostName::of_header(text), None, "{text}");
        }
    }

    #[test]
    fn an_option_is_a_name_alone() {
        let name: HostName = "Saes.Example.org.".parse().unwrap();
        assert_eq!(name, HostName::Name("saes.example.org".into()));
        for text in ["saes.example.org:3000", "http://saes.example.org", "", "a b", "[::1]:3000"] {
            let error = text.parse::<HostName>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("'{text}'")) && error.contains("without scheme"),
                "{error}"
            );
        }
        assert_eq!("[::1]".parse::<HostName>().unwrap().to_string(), "[::1]");
    }
}
