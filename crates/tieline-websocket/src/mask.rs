//! Unmasking (RFC 6455, section 5.3).
//!
//! Knows only bytes.

/// How many bytes are unmasked at once; LLVM turns the inner loop into vector instructions.
const WIDTH: usize = 32;

/// Removes the mask from `data`, whose first byte is masked with `mask[0]`.
pub(crate) fn unmask(data: &mut [u8], mask: [u8; 4]) {
    if mask == [0; 4] {
        return;
    }
    let wide: [u8; WIDTH] = std::array::from_fn(|i| mask[i % 4]);
    let (chunks, tail) = data.as_chunks_mut::<WIDTH>();
    for chunk in chunks {
        for (byte, key) in chunk.iter_mut().zip(&wide) {
            *byte ^= key;
        }
    }
    for (byte, key) in tail.iter_mut().zip(&wide) {
        *byte ^= key;
    }
}

/// The mask for the byte that follows `count` bytes masked with `mask`.
pub(crate) fn advance(mut mask: [u8; 4], count: usize) -> [u8; 4] {
    mask.rotate_left(count % 4);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_and_any_split_give_what_single_bytes_give() {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let data: Vec<u8> = (0..=255).collect();
        for length in 0..data.len() {
            let expected: Vec<u8> = (0..length).map(|i| data[i] ^ mask[i % 4]).collect();
            for split in [0, 1, length / 3, length / 2, length] {
                let mut actual = data[..length].to_vec();
                let (left, right) = actual.split_at_mut(split.min(length));
                let next = advance(mask, left.len());
                unmask(left, mask);
                unmask(right, next);
                assert_eq!(actual, expected);
            }
        }
    }
}
