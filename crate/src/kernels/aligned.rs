//! Arrays that begin on a cache line.
//!
//! A register of 64 bytes that lies across two lines is read in twice the time, and so is each row of an AMX tile.

use std::ops::{Deref, DerefMut};

use aligned_vec::{AVec, ConstAlign};

/// Bytes of a line, and of the largest register.
const LINE: usize = 64;

/// A `Vec` whose values begin on a cache line.
#[derive(Debug, Clone)]
pub(crate) struct Aligned<T>(AVec<T, ConstAlign<LINE>>);

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self(AVec::new(LINE))
    }
}

impl<T: Clone> Aligned<T> {
    pub fn of(value: T, len: usize) -> Self {
        let mut values = Self::default();
        values.resize(len, value);
        values
    }

    /// Empties it.
    #[cfg(feature = "photos")]
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends values.
    #[cfg(feature = "photos")]
    pub fn extend_from_slice(&mut self, values: &[T]) {
        self.0.extend_from_slice(values);
    }

    /// Makes it shorter, or longer by `value`.
    pub fn resize(&mut self, len: usize, value: T) {
        self.0.resize(len, value);
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_begin_on_a_line() {
        let mut values = Aligned::of(1u8, 3);
        for len in [5, 1, 70_000] {
            values.resize(len, 2);
            assert_eq!(values.as_ptr().align_offset(LINE), 0);
            assert_eq!((values.len(), values[0]), (len, 1));
        }
        assert_eq!(values[1..], vec![2; 69_999]);
    }
}
