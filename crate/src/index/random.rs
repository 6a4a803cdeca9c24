//! Seeded numbers: the same on every machine.

/// Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators" (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in 0 … n-1.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// About normal, mean 0 and variance 1: the sum of twelve uniform numbers.
    pub fn normal(&mut self) -> f32 {
        (0..12)
            .map(|_| (self.next() >> 40) as f32 / (1u64 << 24) as f32)
            .sum::<f32>()
            - 6.0
    }

    /// `count` different numbers below `n`, ascending; all of them when there are no more.
    pub fn sample(&mut self, n: usize, count: usize) -> Vec<usize> {
        // Knuth, "Seminumerical algorithms", algorithm S.
        let mut wanted = count.min(n);
        let mut picked = Vec::with_capacity(wanted);
        for at in 0..n {
            if self.below(n - at) < wanted {
                picked.push(at);
                wanted -= 1;
            }
        }
        picked
    }

    /// Some of `rows` vectors, at most `count`, in their order: `[n, dim]`; `vector(row, out)` fills one in.
    pub fn vectors(
        &mut self,
        (rows, dim): (usize, usize),
        count: usize,
        vector: &dyn Fn(usize, &mut [f32]),
    ) -> Vec<f32> {
        let picked = self.sample(rows, count);
        let mut vectors = vec![0.0; picked.len() * dim];
        for (out, row) in vectors.chunks_exact_mut(dim).zip(picked) {
            vector(row, out);
        }
        vectors
    }
}
