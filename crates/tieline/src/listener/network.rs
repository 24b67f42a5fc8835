//! Networks: which addresses a list has.
//!
//! Owns their notation. Must not know what a list is for.

use std::{fmt, net::IpAddr, str::FromStr};

/// A network in CIDR notation, such as `10.0.0.0/8` or `fd00::/8`; or a single address.
///
/// ```
/// use tieline::Network;
///
/// # fn main() -> Result<(), tieline::NetworkError> {
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains([10, 1, 2, 3].into()));
/// assert!("10.0.0.1/8".parse::<Network>().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a network, such as 10.0.0.0/8 or fd00::/8, without bits after the prefix, or an address"
)]
pub struct NetworkError;

impl Network {
    /// Whether an address is in the network. An IPv4 address that is mapped to IPv6 is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let bits = network.to_bits() ^ address.to_bits();
                bits.leading_zeros() >= self.prefix.into()
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let bits = network.to_bits() ^ address.to_bits();
                bits.leading_zeros() >= self.prefix.into()
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let (width, zeros) = match address {
            IpAddr::V4(address) => (32, address.to_bits().trailing_zeros()),
            IpAddr::V6(address) => (128, address.to_bits().trailing_zeros()),
        };
        let prefix = match prefix {
            // `parse` would also take a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| NetworkError)?
            }
            Some(_) => return Err(NetworkError),
            None => width,
        };
        if prefix > width || u32::from(prefix) + zeros < width.into() {
            return Err(NetworkError);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_has_the_addresses_with_its_prefix() {
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("10.0.0.0/8", "::ffff:10.0.0.1"), "mapped");
        assert!(contains("192.0.2.7", "192.0.2.7"));
        assert!(!contains("192.0.2.7", "192.0.2.6"));
        assert!(contains("0.0.0.0/0", "255.0.0.1"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(contains("fd00::/8", "fdff::1"));
        assert!(!contains("fd00::/8", "fe00::1"));
        assert!(contains("::/0", "::1"));
        assert!(contains("127.0.0.0/9", "127.127.255.255"));
        assert!(!contains("127.0.0.0/9", "127.128.0.0"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "::1/64",
            "::/129",
            "10.0.0.0/8/8",
            "localhost",
            "10.0.0.0/256",
            "10.0.0.0/ 8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
        let network: Network = "fd00::/8".parse().unwrap();
        assert_eq!(network.to_string().parse(), Ok(network));
    }
}
