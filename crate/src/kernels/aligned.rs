//! Arrays that begin on a cache line.
//!
//! A register of 64 bytes that lies across two lines is read in twice the time, and so is each row of an AMX tile.

use std::ops::{Deref, DerefMut};

use aligned_vec::{AVec, ConstAlign};

/// Bytes of a line, and of the largest register.
const LINE: usize = 64;

/// Values that begin on a cache line, and keep their memory when they become fewer.
#[derive(Debug, Clone)]
pub(crate) struct Aligned<T> {
    /// As many as it ever had.
    values: AVec<T, ConstAlign<LINE>>,
    len: usize,
}

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self {
            values: AVec::new(LINE),
            len: 0,
        }
    }
}

impl<T: Clone + Default> Aligned<T> {
    /// Makes it `len` values long. What it had before, at any length, stays as it was.
    pub fn resize(&mut self, len: usize) {
        if len > self.values.len() {
            self.values.resize(len, T::default());
        }
        self.len = len;
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[..self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_begin_on_a_line_and_stay() {
        let mut values = Aligned::default();
        values.resize(5);
        values.copy_from_slice(&[1u8, 2, 3, 4, 5]);
        for (len, first) in [(3, &[1, 2, 3][..]), (70_000, &[1, 2, 3, 4, 5, 0]), (0, &[])] {
            values.resize(len);
            assert_eq!(values.as_ptr().align_offset(LINE), 0);
            assert_eq!(values.len(), len);
            assert!(values.starts_with(first));
        }
    }
}
