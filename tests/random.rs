//! Random numbers that every run of a test has the same.

/// A seeded source of numbers (Knuth's MMIX constants).
pub struct Random(pub u64);

impl Random {
    /// Below `n`; 0 when there is nothing below.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}
