//! Which table runs here, and which of them is chosen.

use std::sync::LazyLock;

use super::Kernels;
use super::packed::Layout;
#[cfg(all(
    target_arch = "wasm32",
    not(feature = "photos"),
    feature = "relaxed-simd"
))]
use super::relaxed_index;
use super::scalar;
#[cfg(target_arch = "wasm32")]
use super::simd128;
#[cfg(target_arch = "x86_64")]
use super::{amx, avx2, avx2_sevens, avx512, avxvnni, vpopcntdq};
#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd", feature = "photos"))]
use super::{relaxed, relaxed_pairs};

/// Every table of this architecture, the best first.
#[cfg(target_arch = "x86_64")]
static TABLES: &[&Kernels] = &[
    &amx::TABLE,
    &vpopcntdq::TABLE,
    &avx512::VNNI,
    &avx512::TABLE,
    &avxvnni::TABLE,
    &avx2_sevens::TABLE,
    &avx2::TABLE,
    &scalar::TABLE,
    &scalar::SEVENS,
];
#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd", feature = "photos"))]
static TABLES: &[&Kernels] = &[
    &relaxed::UNSIGNED,
    &relaxed::SIGNED,
    &relaxed_pairs::TABLE,
    &simd128::TABLE,
    &scalar::TABLE,
    &scalar::SEVENS,
];
#[cfg(all(
    target_arch = "wasm32",
    feature = "photos",
    not(feature = "relaxed-simd")
))]
static TABLES: &[&Kernels] = &[&simd128::TABLE, &scalar::TABLE, &scalar::SEVENS];
// The index alone compares itself with nothing: references would be a twentieth of it.
#[cfg(all(
    target_arch = "wasm32",
    not(feature = "photos"),
    not(feature = "relaxed-simd")
))]
static TABLES: &[&Kernels] = &[&simd128::TABLE];
#[cfg(all(
    target_arch = "wasm32",
    not(feature = "photos"),
    feature = "relaxed-simd"
))]
static TABLES: &[&Kernels] = &[&relaxed_index::TABLE];
#[cfg(not(any(target_arch = "x86_64", target_arch = "wasm32")))]
static TABLES: &[&Kernels] = &[&scalar::TABLE, &scalar::SEVENS];

/// A table that runs everywhere.
#[cfg(not(all(target_arch = "wasm32", not(feature = "photos"))))]
const ANYWHERE: &Kernels = &scalar::TABLE;
#[cfg(all(target_arch = "wasm32", not(feature = "photos")))]
const ANYWHERE: &Kernels = &simd128::TABLE;

/// Whether this CPU has what the table needs.
fn runs_here(table: &Kernels) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        let avx512 = || has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("fma");
        let vnni = || avx512() && has!("avx512vnni");
        let vpopcntdq = || vnni() && has!("avx512vpopcntdq");
        let avx2 = || has!("avx2") && has!("fma") && has!("popcnt");
        match table.name {
            "avx2" | "avx2-7bit" => avx2(),
            "avxvnni" => avx2() && has!("avxvnni"),
            "avx512" => avx512(),
            "avx512vnni" => vnni(),
            "avx512vpopcntdq" => vpopcntdq(),
            "amx" => vpopcntdq() && amx::granted(),
            _ => true,
        }
    }
    // In wasm a module with instructions that the engine lacks does not load at all.
    #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd", feature = "photos"))]
    {
        let four_at_once = [&relaxed::UNSIGNED, &relaxed::SIGNED];
        let is = |other: &Kernels| std::ptr::eq(table, other);
        !four_at_once.into_iter().any(is) || relaxed::of_this_engine().is_some_and(is)
    }
    #[cfg(not(any(
        target_arch = "x86_64",
        all(target_arch = "wasm32", feature = "relaxed-simd", feature = "photos")
    )))]
    {
        let _ = table;
        true
    }
}

impl Kernels {
    /// The best table of this machine, chosen once. The environment variable `PHOTORECALL_KERNELS`
    /// names another one, to compare or to reproduce; a name that cannot run here is passed over.
    pub fn best() -> &'static Self {
        static BEST: LazyLock<&'static Kernels> = LazyLock::new(|| {
            let asked = std::env::var("PHOTORECALL_KERNELS").ok();
            let named = asked.as_deref().and_then(Kernels::by_name);
            named
                .or_else(|| Kernels::available().first().copied())
                .unwrap_or(ANYWHERE)
        });
        *BEST
    }

    /// The tables that this machine can run, the best first.
    pub fn available() -> Vec<&'static Self> {
        TABLES
            .iter()
            .copied()
            .filter(|table| runs_here(table))
            .collect()
    }

    /// The names of all tables of this architecture, whether they can run here or not.
    pub fn all_names() -> Vec<&'static str> {
        TABLES.iter().map(|table| table.name).collect()
    }

    /// The table of that name, if this machine can run it.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::available()
            .into_iter()
            .find(|table| table.name == name)
    }

    /// The table to use where every machine must come to the same result: this one, or the next whose
    /// activations have 8 bits.
    pub fn exact(&'static self) -> &'static Self {
        Self::available()
            .into_iter()
            .skip_while(|table| table.name != self.name)
            .find(|table| !table.is_of_sevens())
            .unwrap_or(ANYWHERE)
    }

    /// The plain loops that come to the same integers, to the bit.
    pub fn reference(&self) -> &'static Self {
        if self.is_of_sevens() {
            &scalar::SEVENS
        } else {
            &scalar::TABLE
        }
    }

    fn is_of_sevens(&self) -> bool {
        matches!(self.tiles.i8, Layout::Sevens { .. })
    }
}
