//! AMX: a tile of 16 rows by 64 input rows and 16 columns is multiplied by one instruction (`tdpbsud`); all
//! else is AVX-512's.
//!
//! ```text
//! tmm4, tmm5  rows of activations   i8  [≤ 16, 64]       tmm0 tmm1    sums of tmm4 with tmm6, tmm7
//! tmm6, tmm7  columns of weights    u8  [16, 16 · 4]     tmm2 tmm3    sums of tmm5 with tmm6, tmm7
//! ```
//! A tile of weights is what 16 groups of VNNI's quads are already. Intel's "Architecture Instruction Set
//! Extensions Programming Reference" has the tiles, Linux' `Documentation/arch/x86/xstate.rst` how a
//! process comes by their registers. Rust has no intrinsics for them yet.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count, __m512i, _mm512_loadu_si512};
use std::sync::LazyLock;

use super::avx512::{self, NR};
use super::packed::{PackedI8, Rows};
use super::portable::RowAt;
use super::transformer::Transformer;
use super::{Kernels, Then, amx_attention, vpopcntdq};

pub(super) static TABLE: Kernels = Kernels {
    name: "amx",
    multiply,
    transformer: Some(Transformer {
        attention: amx_attention::attention,
        ..avx512::TRANSFORMER
    }),
    ..vpopcntdq::TABLE
};

/// Bytes of a tile's row, and the input rows that one instruction sums up.
const WIDTH: usize = 64;
/// Rows of a tile.
const HEIGHT: usize = 16;
/// Bytes from one group of four input rows to the next.
const GROUP: usize = 4 * NR;

/// Whether the CPU has tiles, and Linux lets this process use them: it has to be asked once, since they make
/// what it saves of each thread larger.
pub(super) fn granted() -> bool {
    static GRANTED: LazyLock<bool> = LazyLock::new(|| {
        const TILE: u32 = 1 << 24;
        const INT8: u32 = 1 << 25;
        __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & (TILE | INT8) == TILE | INT8 && ask()
    });
    *GRANTED
}

#[cfg(target_os = "linux")]
fn ask() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: this call reads and writes no memory of ours; a kernel that does not know it says so.
    unsafe {
        libc::syscall(
            libc::SYS_arch_prctl,
            ARCH_REQ_XCOMP_PERM,
            XFEATURE_XTILEDATA,
        ) == 0
    }
}

#[cfg(not(target_os = "linux"))]
fn ask() -> bool {
    false
}

/// `ldtilecfg`'s operand for the tiles above.
#[repr(C, align(64))]
pub(super) struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row, a tile each.
    width: [u16; 16],
    /// Rows, a tile each.
    height: [u8; 16],
}

impl Shapes {
    /// For `upper` rows of activations in tmm4, `lower` ones in tmm5.
    pub(super) fn of(upper: usize, lower: usize) -> Self {
        let mut shapes = Self {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            width: [0; 16],
            height: [0; 16],
        };
        shapes.width[..8].fill(WIDTH as u16);
        let heights = [upper, upper, lower, lower, upper, lower, HEIGHT, HEIGHT];
        for (height, rows) in shapes.height.iter_mut().zip(heights) {
            *height = rows as u8;
        }
        shapes
    }
}

/// Every block of `2 · HEIGHT` rows or a little less, those of one size together: `(first row, blocks, rows
/// of a block)`. 50 rows are two blocks of 25, not one of 32 and one of 18.
fn blocks(m: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let count = m.div_ceil(2 * HEIGHT).max(1);
    let (rows, larger) = (m / count, m % count);
    [
        (0, larger, rows + 1),
        (larger * (rows + 1), count - larger, rows),
    ]
    .into_iter()
    .filter(|(_, count, _)| *count > 0)
}

/// Whole tiles only; what has none is VNNI's.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn multiply(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    let m = a.scale.len();
    if m < 2 || !w.kp.is_multiple_of(WIDTH) {
        return avx512::multiply_quads(a, w, then, out);
    }
    let mut sums = Sums([[0; NR]; 2 * HEIGHT]);
    for (first, count, rows) in blocks(m) {
        let upper = rows.div_ceil(2);
        let shapes = Shapes::of(upper, rows - upper);
        // SAFETY: `shapes` has the 64 bytes that are read; its tiles are of palette 1 and not empty, since
        // a block has two rows at least. No code but this uses tiles.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly)) };
        for (panel, weights) in w.data.chunks_exact(NR * w.kp).enumerate() {
            for row in (first..).step_by(rows).take(count) {
                let activations = &a.narrow[row * w.kp..][..rows * w.kp];
                // SAFETY: there are `rows` rows of `kp` bytes, `kp / 4` groups of weights, `kp` is a multiple of
                // `WIDTH`, and the tiles have the shapes that are configured.
                unsafe { products(activations, upper, w.kp, weights, &mut sums.0) };
                for (r, sums) in sums.0.iter().enumerate().take(rows) {
                    // Weights were packed with 128 added: Σ (w + 128)·x − 128·Σ x = Σ w·x.
                    let at = RowAt {
                        offset: 128 * a.sum[row + r],
                        ..RowAt::of(a, row + r, panel * NR)
                    };
                    avx512::store(halves(sums), at, w, then, out);
                }
            }
        }
    }
    // SAFETY: back to the state before: tiles that are in use make every switch of threads dearer.
    unsafe { asm!("tilerelease", options(nomem, nostack)) };
}

/// A row of sums in registers.
#[target_feature(enable = "avx512f")]
fn halves(sums: &[i32; NR]) -> [__m512i; 2] {
    // SAFETY: a row is the 128 bytes that are read.
    [0, 16].map(|lane| unsafe { _mm512_loadu_si512(sums.as_ptr().add(lane).cast()) })
}

/// Sums of a block.
#[repr(C, align(64))]
struct Sums([[i32; NR]; 2 * HEIGHT]);

/// Σ of a block of rows with a panel of weights; `upper` of its rows are tmm4's.
///
/// # Safety
/// The tiles are configured for `upper` and the rest of the rows, at most `HEIGHT` each; rows are of `kp` bytes, a
/// multiple of `WIDTH` and not 0; `weights` are `kp · NR` bytes.
#[inline(always)]
unsafe fn products(
    rows: &[i8],
    upper: usize,
    kp: usize,
    weights: &[u8],
    sums: &mut [[i32; NR]; 2 * HEIGHT],
) {
    let start = sums.as_mut_ptr().cast::<u8>();
    // SAFETY: by the contract above, all that is read and written lies in `rows`, `weights` and `sums`.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{upper} + {kp}]",
            "tileloadd tmm6, [{weights} + {group}]",
            "tileloadd tmm5, [{lower} + {kp}]",
            "tileloadd tmm7, [{weights} + {group} + 64]",
            "tdpbsud tmm0, tmm4, tmm6",
            "tdpbsud tmm1, tmm4, tmm7",
            "tdpbsud tmm2, tmm5, tmm6",
            "tdpbsud tmm3, tmm5, tmm7",
            "add {upper}, 64",
            "add {lower}, 64",
            "add {weights}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{above} + {group}], tmm0",
            "tilestored [{above} + {group} + 64], tmm1",
            "tilestored [{below} + {group}], tmm2",
            "tilestored [{below} + {group} + 64], tmm3",
            upper = inout(reg) rows.as_ptr() => _,
            lower = inout(reg) rows.as_ptr().add(upper * kp) => _,
            weights = inout(reg) weights.as_ptr() => _,
            steps = inout(reg) kp / WIDTH => _,
            above = in(reg) start,
            below = in(reg) start.add(upper * GROUP),
            kp = in(reg) kp,
            group = in(reg) GROUP,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
