//! Every table against the scalar reference: odd lengths, tails, extremes. Integers, `multiply` and
//! `attention` to the bit, other floats to the bound written beside them. A table that could not run is printed.

mod encoder;
mod index;

use super::Kernels;

fn tables() -> Vec<&'static Kernels> {
    for name in Kernels::all_names() {
        if Kernels::by_name(name).is_none() {
            println!("NOT RUN on this machine: the kernels of {name}");
        }
    }
    Kernels::available()
}

fn scalar() -> &'static Kernels {
    Kernels::by_name("scalar").expect("scalar runs everywhere")
}

/// A small generator (Marsaglia's xorshift): the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn floats(&mut self, len: usize, size: f32) -> Vec<f32> {
        (0..len)
            .map(|_| ((self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * size)
            .collect()
    }

    fn int8(&mut self, len: usize) -> Vec<i8> {
        (0..len)
            .map(|_| ((self.next() >> 32) % 255) as i32 - 127)
            .map(|q| q as i8)
            .collect()
    }
}

fn assert_close(name: &str, what: &str, got: &[f32], want: &[f32], bound: f32) {
    for (at, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (g - w).abs() <= bound,
            "{name} {what}[{at}]: {g}, scalar {w}"
        );
    }
}
