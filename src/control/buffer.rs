//! A byte buffer that leaves nothing behind: wiped on drop, and when it grows.

use std::io;

use zeroize::Zeroize as _;

/// Bytes of frames, which may hold secret values.
#[derive(Default)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// The bytes.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends; a buffer that is too small is replaced by a larger one and wiped.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.next_power_of_two().max(1024));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    /// Takes the first `count` bytes out.
    pub(super) fn take_front(&mut self, count: usize) -> Self {
        let count = count.min(self.0.len());
        let mut front = Self::default();
        front.extend(self.0.get(..count).unwrap_or(&[]));
        let mut rest = Self::default();
        rest.extend(self.0.get(count..).unwrap_or(&[]));
        *self = rest;
        front
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl io::Write for &mut Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_taken_and_the_rest_stays() {
        let mut buffer = Buffer::default();
        buffer.extend(&[b'a'; 2_000]);
        buffer.extend(b"tail");
        assert_eq!(buffer.take_front(2_000).len(), 2_000);
        assert_eq!(buffer.as_slice(), b"tail");
        buffer.clear();
        assert!(buffer.is_empty());
    }
}
