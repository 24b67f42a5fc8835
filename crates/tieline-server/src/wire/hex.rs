//! Hexadecimal digits, in which several wires write signatures and hashes.

/// Bytes as lower-case digits.
pub(super) fn encode(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}
