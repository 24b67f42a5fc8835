//! The stamp at the start of a measured payload: scheduled time, sequence number and sender.
//!
//! Letters and digits, which no JSON encoder escapes, so that it can be found in any envelope that the
//! server adds. They are Base64 as well: a payload that the server decodes and encodes again comes back as
//! the same text. Every message is stamped and searched, so digits are encoded and decoded eight at a time.

/// Starts every payload. Common test servers have no command that starts like it.
const MARKER: [u8; 2] = *b"zt";
/// Length of the stamp, which is the minimum length of a payload.
pub(crate) const LENGTH: usize = MARKER.len() + 32;

/// Where the last stamp was. The next one is usually as far from the start of its message, or from the end if
/// names of different lengths come before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    from_start: usize,
    from_end: usize,
}

/// The content of a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The scheduled time of sending, by [`crate::clock::now`].
    pub(crate) time: u64,
    /// The sequence number within its process.
    pub(crate) sequence: u32,
    /// The number of the connection that sent it.
    pub(crate) from: u32,
}

impl Stamp {
    /// Writes the stamp to the start of `payload`, which has at least [`LENGTH`] bytes.
    pub(crate) fn write(self, payload: &mut [u8]) {
        payload[..2].copy_from_slice(&MARKER);
        let (high, low) = halves(self.time);
        let words = [high, low, self.sequence, self.from];
        for (digits, word) in payload[2..LENGTH].chunks_exact_mut(8).zip(words) {
            digits.copy_from_slice(&encode(word));
        }
    }

    /// Finds the stamp in a message, first where the last one was.
    #[inline]
    pub(crate) fn find(message: &[u8], hint: &mut Hint) -> Option<Self> {
        if let Some(stamp) = message.get(hint.from_start..).and_then(Self::read) {
            return Some(stamp);
        }
        let at = message.len().checked_sub(hint.from_end);
        if let Some(stamp) = at.and_then(|at| Self::read(&message[at..])) {
            return Some(stamp);
        }
        Self::search(message, hint)
    }

    #[cold]
    fn search(message: &[u8], hint: &mut Hint) -> Option<Self> {
        let starts = message.len().checked_sub(LENGTH)?;
        (0..=starts).find_map(|at| {
            let stamp = Self::read(&message[at..])?;
            *hint = Hint {
                from_start: at,
                from_end: message.len() - at,
            };
            Some(stamp)
        })
    }

    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let (marker, rest) = bytes.split_first_chunk::<2>()?;
        if *marker != MARKER {
            return None;
        }
        let (digits, _) = rest.split_first_chunk::<32>()?;
        let word = |i: usize| decode(*digits[i * 8..].first_chunk()?);
        Some(Self {
            time: u64::from(word(0)?) << 32 | u64::from(word(1)?),
            sequence: word(2)?,
            from: word(3)?,
        })
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Eight hexadecimal digits, one per byte.
#[inline]
fn encode(word: u32) -> [u8; 8] {
    let mut nibbles = u64::from(word);
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    digits(nibbles).to_be_bytes()
}

#[inline]
fn decode(bytes: [u8; 8]) -> Option<u32> {
    let text = u64::from_be_bytes(bytes);
    let letters = text >> 6 & ONES;
    let mut nibbles = (text & (ONES * 0x0f)) + letters * 9;
    if digits(nibbles) != text {
        return None;
    }
    nibbles = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles >> 8) & 0x0000_ffff_0000_ffff;
    let (high, low) = halves(nibbles);
    Some(high << 16 | low)
}

/// The digit of each byte, which is at most 24: [`decode`] refuses values above 15.
#[inline]
fn digits(nibbles: u64) -> u64 {
    let letters = (nibbles + ONES * 6) >> 4 & ONES;
    nibbles + ONES * u64::from(b'0') + letters * u64::from(b'a' - b'9' - 1)
}

#[allow(clippy::cast_possible_truncation, reason = "splits the word in halves")]
#[inline]
fn halves(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(stamp: Stamp) -> Vec<u8> {
        let mut payload = vec![b'x'; LENGTH + 5];
        stamp.write(&mut payload);
        payload
    }

    #[test]
    fn a_stamp_is_hexadecimal_text() {
        let stamp = Stamp {
            time: 0x0123_4567_89ab_cdef,
            sequence: 0xdead_beef,
            from: 7,
        };
        assert_eq!(written(stamp), b"zt0123456789abcdefdeadbeef00000007xxxxx");
    }

    #[test]
    fn a_message_without_a_stamp_is_recognized() {
        let mut hint = Hint::default();
        assert_eq!(Stamp::find(b"welcome", &mut hint), None);
        assert_eq!(
            Stamp::find(b"zt0123456789abcdefdeadbeef0000000G", &mut hint),
            None
        );
        assert_eq!(
            Stamp::find(b"zt0123456789ABCDEFdeadbeef00000001", &mut hint),
            None
        );
    }

    proptest! {
        #[test]
        fn a_stamp_is_found_at_any_position(
            time: u64, sequence: u32, from: u32, before in "[ -}]{0,40}",
            from_start in 0..60_usize, from_end in 0..60_usize,
        ) {
            let stamp = Stamp { time, sequence, from };
            let message = [before.as_bytes(), &written(stamp)].concat();
            let mut hint = Hint { from_start, from_end };
            prop_assert_eq!(Stamp::find(&message, &mut hint), Some(stamp));
            let kept = hint == Hint { from_start, from_end };
            prop_assert!(hint.from_start == before.len() || kept && from_end == message.len() - before.len());
        }

        #[test]
        fn any_bytes_are_accepted(bytes: Vec<u8>, from_start: usize, from_end: usize) {
            let mut hint = Hint { from_start, from_end };
            let marked = [&MARKER[..], &bytes].concat();
            Stamp::find(&bytes, &mut hint);
            Stamp::find(&marked, &mut hint);
        }
    }
}
