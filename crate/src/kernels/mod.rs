//! Distances, popcounts and matrix products: one contract, one scalar reference, one file an
//! instruction set.
//!
//! ```text
//! Kernels::best() ─▶ &'static Kernels ─ dot_f32, l2_squared_f32, dot_i8, dot_i8_rows, fast_scan, at_least,
//!                                       look_ups, look_up_bytes, nearest_of_16, hamming_u64, overlaps_u64, quantise,
//!                                       multiply, gemm_f32, attention, layer_norm, gelu, softmax_rows
//! scalar │ scalar-7bit │ avx2 │ avx2-7bit │ avxvnni │ avx512 │ avx512vnni │          bodies in portable.rs,
//! avx512vpopcntdq │ amx │ simd128 │ relaxed-simd-u8 │ relaxed-simd-s8 │              or intrinsics
//! relaxed-simd-16bit
//! ```
//!
//! A table is chosen once and held: whoever holds a `&Kernels` may call it, since a table is only
//! given out after the CPU was found to have its instructions (`choice`). Integers agree to the bit between all
//! tables, `multiply` and `attention` whole (but for `relaxed-simd-16bit` and `avx2-7bit`, whose
//! activations have 7 bits, and `scalar-7bit`, their reference); other f32 results differ by rounding. `pages` has the
//! system keep large arrays where the processor finds them sooner, `aligned` begins arrays where it reads them at once.

#[cfg(any(target_arch = "x86_64", target_arch = "wasm32"))]
#[macro_use]
mod by_rows;

mod aligned;
#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod amx_attention;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_sevens;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_attention;
#[cfg(target_arch = "x86_64")]
mod avx512_index;
#[cfg(target_arch = "x86_64")]
mod avx512_math;
#[cfg(target_arch = "x86_64")]
mod avx512_rows;
#[cfg(target_arch = "x86_64")]
mod avxvnni;
mod choice;
mod packed;
pub(crate) mod pages;
#[cfg(test)]
mod parity;
mod portable;
#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd", feature = "photos"))]
mod relaxed;
#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
mod relaxed_index;
#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd", feature = "photos"))]
mod relaxed_pairs;
mod rows;
mod scalar;
#[cfg(target_arch = "wasm32")]
mod simd128;
#[cfg(target_arch = "wasm32")]
mod simd128_index;
mod transformer;
#[cfg(target_arch = "x86_64")]
mod vpopcntdq;

#[cfg(feature = "photos")]
pub(crate) use aligned::Aligned;
pub use attention::AttentionShape;
use packed::Layout;
pub use packed::{AttentionScratch, PackedF32, PackedI8, Rows};
#[cfg(feature = "photos")]
pub(crate) use portable::nearest;
pub use rows::{Activation, Before, Norm};
use transformer::Transformer;

/// The signature of `dot_i8_rows`: codes, query, ids, output.
type DotRows = unsafe fn(&[i8], &[i16], &[u32], &mut [i32]);

/// The signature of `overlaps_u64`: rows, query, output.
type Overlaps = unsafe fn(&[u64], &[u64], &mut [u32]);

/// The signature of `fast_scan`: codes, tables, blocks, output.
type FastScan = unsafe fn(&[u8], &[u8], &[u32], &mut [u16]);

/// The sums of a block of `fast_scan`.
pub type BlockSums = [u16; FAST_SCAN_ROWS];
/// Sixteen numbers of a subspace, one for each code of four bits.
pub type Sixteen = [f32; 16];

/// The signature of `look_ups`: query, codebook, products, extents.
type LookUps = unsafe fn(&[f32], &[f32], &mut [Sixteen], &mut [[f32; 2]]);

/// The signature of `look_up_bytes`: products, extents, inverse, output.
type LookUpBytes = unsafe fn(&[Sixteen], &[[f32; 2]], f32, &mut [u8]);

/// The signature of `nearest_of_16`: points, centres, output.
type NearestOf16 = unsafe fn(&[[f32; 2]], &[[Sixteen; 2]], &mut [u8]);

/// What becomes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// It takes the output's place.
    Store,
    /// It is added to the output.
    Add,
}

/// How a table tiles its matrices.
struct Tiles {
    i8: Layout,
    f32_nr: usize,
}

/// One instruction set's functions. Shapes are checked by the methods, so that no kernel reads or
/// writes out of bounds; a wrong shape is our own bug and panics.
pub struct Kernels {
    name: &'static str,
    tiles: Tiles,
    dot_f32: unsafe fn(&[f32], &[f32]) -> f32,
    l2_squared_f32: unsafe fn(&[f32], &[f32]) -> f32,
    dot_i8: unsafe fn(&[i8], &[i8]) -> i32,
    dot_i8_rows: DotRows,
    fast_scan: FastScan,
    at_least: unsafe fn(&BlockSums, u16) -> u32,
    look_ups: LookUps,
    look_up_bytes: LookUpBytes,
    nearest_of_16: NearestOf16,
    hamming_u64: unsafe fn(&[u64], &[u64]) -> u32,
    overlaps_u64: Overlaps,
    quantise: unsafe fn(&[f32], usize, Before, &mut Rows),
    multiply: unsafe fn(&Rows, &PackedI8, Then, &mut [f32]),
    gemm_f32: unsafe fn(&[f32], usize, &PackedF32, &mut [f32]),
    /// None where the build does not encode.
    transformer: Option<Transformer>,
}

/// Whether the build encodes: in wasm the index alone is to be small.
const ENCODES: bool = cfg!(any(feature = "photos", not(target_arch = "wasm32")));

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kernels({})", self.name)
    }
}

/// Rows of a block of [`Kernels::fast_scan`]'s codes.
pub const FAST_SCAN_ROWS: usize = 32;
/// The largest number in the tables of [`Kernels::fast_scan`]: two of them are added up in a byte.
pub const FAST_SCAN_MOST: u8 = 127;

impl Kernels {
    /// `scalar`, `scalar-7bit`, `avx2`, `avx2-7bit`, `avxvnni`, `avx512`, `avx512vnni`, `avx512vpopcntdq`,
    /// `amx`, `simd128`, `relaxed-simd-u8`, `relaxed-simd-s8` or `relaxed-simd-16bit`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Σ aᵢ·bᵢ.
    ///
    /// # Panics
    /// When the lengths differ; so do the next three.
    pub fn dot_f32(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "dot_f32");
        // SAFETY: `choice` found this table's instructions; the lengths agree.
        unsafe { (self.dot_f32)(a, b) }
    }

    /// Σ (aᵢ − bᵢ)².
    pub fn l2_squared_f32(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "l2_squared_f32");
        // SAFETY: `choice` found this table's instructions; the lengths agree.
        unsafe { (self.l2_squared_f32)(a, b) }
    }

    /// Σ aᵢ·bᵢ, exact up to 2¹⁶ elements.
    pub fn dot_i8(&self, a: &[i8], b: &[i8]) -> i32 {
        assert_eq!(a.len(), b.len(), "dot_i8");
        // SAFETY: `choice` found this table's instructions; the lengths agree.
        unsafe { (self.dot_i8)(a, b) }
    }

    /// Σ queryᵢ·rowᵢ for the rows `ids` of `codes` `[rows, dim]`, in the order of `ids`; exact for
    /// |query| < 2¹² and up to 2¹² axes. The rows to come are fetched ahead of their turn.
    ///
    /// # Panics
    /// When an id is out of range, the query is empty, or there are not as many outputs as ids.
    pub fn dot_i8_rows(&self, codes: &[i8], query: &[i16], ids: &[u32], out: &mut [i32]) {
        let rows = codes.len() / query.len();
        assert!(ids.iter().all(|id| (*id as usize) < rows), "ids of {rows}");
        assert_eq!(ids.len(), out.len(), "dot_i8_rows");
        // SAFETY: `choice` found this table's instructions; every id is a whole row of `codes`.
        unsafe { (self.dot_i8_rows)(codes, query, ids, out) }
    }

    /// Σ tableⱼ[codeⱼ] of each row of some blocks, by look-up in registers (André et al. 2015, "Cache
    /// locality is not enough"). `codes` are blocks of 32 rows, each `[pairs, 32]` bytes: the low half of
    /// byte r of pair j is row r's code in subspace 2j, the high half that in 2j+1. `tables` are
    /// `[2·pairs, 16]`, each at most [`FAST_SCAN_MOST`]; a sum past 2¹⁶ wraps. `sums` are `[n, 32]`, of the first n blocks. Blocks
    /// are fetched ahead of their turn, those after the n-th too, which are known to come next.
    ///
    /// # Panics
    /// When the number of pairs is odd or zero, a block is out of range, or the lengths do not fit; in debug
    /// builds also when a number in the tables is too large.
    pub fn fast_scan(&self, codes: &[u8], tables: &[u8], blocks: &[u32], sums: &mut [u16]) {
        let pairs = tables.len() / 32;
        assert!(
            pairs > 0 && pairs.is_multiple_of(2) && tables.len().is_multiple_of(32),
            "tables of {pairs} pairs"
        );
        let count = codes.len() / tables.len();
        assert!(
            blocks.iter().all(|block| (*block as usize) < count),
            "blocks of {count}"
        );
        assert!(
            sums.len().is_multiple_of(FAST_SCAN_ROWS)
                && sums.len() <= blocks.len() * FAST_SCAN_ROWS,
            "a sum a row"
        );
        debug_assert!(tables.iter().all(|number| *number <= FAST_SCAN_MOST));
        // SAFETY: `choice` found this table's instructions; every block is a whole one of `codes`.
        unsafe { (self.fast_scan)(codes, tables, blocks, sums) }
    }

    /// What [`Kernels::fast_scan`] looks up, in f32: the inner products of `query` `[subspaces, 2]` with the centres
    /// `codebook` `[subspaces, 2, 16]`, and the least and the most of each subspace. Rounded alike by every table.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn look_ups(
        &self,
        query: &[f32],
        codebook: &[f32],
        products: &mut [Sixteen],
        extents: &mut [[f32; 2]],
    ) {
        let subspaces = products.len();
        assert_eq!(
            [query.len(), codebook.len(), extents.len()],
            [2 * subspaces, 32 * subspaces, subspaces],
            "{subspaces} subspaces"
        );
        // SAFETY: `choice` found this table's instructions.
        unsafe { (self.look_ups)(query, codebook, products, extents) }
    }

    /// The same as the whole numbers nearest to (product − least) · `inverse`, of two the even one: `[subspaces, 16]`,
    /// which must not pass 255.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn look_up_bytes(
        &self,
        products: &[Sixteen],
        extents: &[[f32; 2]],
        inverse: f32,
        bytes: &mut [u8],
    ) {
        let subspaces = products.len();
        assert_eq!(
            [extents.len(), bytes.len()],
            [subspaces, 16 * subspaces],
            "{subspaces} subspaces"
        );
        // SAFETY: `choice` found this table's instructions.
        unsafe { (self.look_up_bytes)(products, extents, inverse, bytes) }
    }

    /// Which of 16 centres in two dimensions, the first axis of all and then the second, each point is nearest to; of
    /// two the first. There are as many sets of `centres` as points, or one for all. Rounded alike by every table.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn nearest_of_16(&self, points: &[[f32; 2]], centres: &[[Sixteen; 2]], nearest: &mut [u8]) {
        assert_eq!(points.len(), nearest.len(), "one centre a point");
        assert!(
            centres.len() == 1 || centres.len() == points.len(),
            "{} sets of centres for {} points",
            centres.len(),
            points.len()
        );
        // SAFETY: `choice` found this table's instructions.
        unsafe { (self.nearest_of_16)(points, centres, nearest) }
    }

    /// A bit for each sum of a block that is `least` or more, the first one the lowest.
    pub fn at_least(&self, sums: &BlockSums, least: u16) -> u32 {
        // SAFETY: `choice` found this table's instructions.
        unsafe { (self.at_least)(sums, least) }
    }

    /// The number of bits that differ.
    pub fn hamming_u64(&self, a: &[u64], b: &[u64]) -> u32 {
        assert_eq!(a.len(), b.len(), "hamming_u64");
        // SAFETY: `choice` found this table's instructions; the lengths agree.
        unsafe { (self.hamming_u64)(a, b) }
    }

    /// Σ popcount(xᵢ & queryᵢ) of each row x of `rows` `[rows, query.len()]`: how many bits it shares with the
    /// query.
    ///
    /// # Panics
    /// When the query is empty, or there are not as many outputs as rows.
    pub fn overlaps_u64(&self, rows: &[u64], query: &[u64], out: &mut [u32]) {
        assert!(!query.is_empty(), "a query of no words");
        assert_eq!(rows.len(), query.len() * out.len(), "overlaps_u64");
        // SAFETY: `choice` found this table's instructions; the lengths agree.
        unsafe { (self.overlaps_u64)(rows, query, out) }
    }

    /// Packs int8 weights `w` `[k, n]`, q ∈ [-127, 127], with one scale and one bias a column.
    ///
    /// # Panics
    /// When the lengths are not k·n and n.
    pub fn pack_i8(
        &self,
        w: &[i8],
        k: usize,
        n: usize,
        scale: &[f32],
        bias: Option<&[f32]>,
    ) -> PackedI8 {
        PackedI8::new(self.name, self.tiles.i8, w, (k, n), scale, bias)
    }

    /// Quantises the rows of `a` `[m, k]`, each by its own extent, to int8 or 7 bits, after what is to come `before`.
    ///
    /// # Panics
    /// When `a` has no whole rows, or `norm` not `k` columns.
    pub fn quantise(&self, a: &[f32], k: usize, before: Before, rows: &mut Rows) {
        assert!(k > 0 && a.len().is_multiple_of(k), "rows of {k}");
        if let Before::Norm(norm) = before {
            assert_eq!((norm.scale.len(), norm.bias.len()), (k, k), "a norm of {k}");
        }
        rows.table = self.name;
        // SAFETY: `choice` found this table's instructions.
        unsafe { (self.quantise)(a, k, before, rows) }
    }

    /// `a[m, k] · w[k, n] + bias`, products summed exactly in i32; `then` says what becomes of it.
    ///
    /// # Panics
    /// When the shapes do not fit each other, or `a` or `w` are another table's.
    pub fn multiply(&self, a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
        assert_eq!(w.table, self.name, "weights packed by another table");
        assert_eq!(a.table, self.name, "rows quantised by another table");
        assert_eq!(a.k, w.k, "activations of {}, weights of {}", a.k, w.k);
        assert_eq!(out.len(), a.scale.len() * w.n, "output [_, {}]", w.n);
        // SAFETY: `choice` found this table's instructions; the lengths agree with the shapes, and
        // `PackedI8::new` and `quantise` made panels and rows whole.
        unsafe { (self.multiply)(a, w, then, out) }
    }

    /// Packs f32 weights `w` `[k, n]` with one bias a column.
    ///
    /// # Panics
    /// When the lengths are not k·n and n.
    pub fn pack_f32(&self, w: &[f32], k: usize, n: usize, bias: Option<&[f32]>) -> PackedF32 {
        assert_eq!(w.len(), k * n, "weights [{k}, {n}]");
        assert!(bias.is_none_or(|bias| bias.len() == n), "one bias a column");
        let mut packed = PackedF32::default();
        packed.fill(k, n, self.tiles.f32_nr, |row, column| w[row * n + column]);
        if let Some(bias) = bias {
            packed.bias[..n].copy_from_slice(bias);
        }
        packed
    }

    /// `out[m, n] = a[m, k] · w[k, n] + bias`.
    ///
    /// # Panics
    /// When the lengths are not m·k and m·n, or `w` was packed by another table.
    pub fn gemm_f32(&self, a: &[f32], m: usize, w: &PackedF32, out: &mut [f32]) {
        assert_eq!(w.nr, self.tiles.f32_nr, "weights packed by another table");
        assert_eq!(a.len(), m * w.k, "activations [{m}, {}]", w.k);
        assert_eq!(out.len(), m * w.n, "output [{m}, {}]", w.n);
        // SAFETY: `choice` found this table's instructions.
        unsafe { (self.gemm_f32)(a, m, w, out) }
    }
}
