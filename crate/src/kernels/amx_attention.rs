//! AMX's attention: codes of 16 bits as a signed and an unsigned byte, of which tiles are multiplied one by one.
//!
//! ```text
//! code = 256·high + low      Σ a·b = 2¹⁶·Σ ah·bh + 2⁸·(Σ ah·bl + Σ al·bh) + Σ al·bl, modulo 2³²
//! tmm4, tmm5  a's high and low bytes: 16 queries by 64 dims, or by 64 tokens' weights
//! tmm6, tmm7  b's: [16, 16 · 4], four dims of 16 keys, or four tokens of 16 columns of values
//! tmm0 … 2    the sums of ah·bh, of ah·bl and al·bh, of al·bl
//! ```
//! A pair of tiles, the high bytes' before the low bytes', is what one step sums up.

use core::arch::asm;
use core::arch::x86_64::*;

use super::amx::Shapes;
use super::attention::{self, AttentionShape, Block, MOST_VALUE, Steps, code_scales, most_query};
use super::avx512_attention::{MOST_ROWS, weigh};
use super::avx512_math::{load, store};
use super::packed::AttentionScratch;

/// Rows, and columns of sums, of a tile.
const SIDE: usize = 16;
/// Dims or tokens that a step sums up.
const STEP: usize = 64;
/// Bytes of a tile.
const TILE: usize = SIDE * STEP;
/// Bytes of what a step has of one side.
const PAIR: usize = 2 * TILE;

/// Sums of products of bytes, each `[SIDE, SIDE]`: of high ones, of high with low ones, of low ones.
#[repr(C, align(64))]
struct Sums([[[i32; SIDE]; SIDE]; 3]);

/// [`attention::attention`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub(super) fn attention(
    qkv: [&[f32]; 3],
    shape: AttentionShape,
    mask: Option<&[f32]>,
    out: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let shapes = Shapes::of(SIDE, SIDE);
    // SAFETY: `shapes` has the 64 bytes that are read; its tiles are of palette 1 and not empty.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly)) };
    attention::attention(&Tiles, qkv, shape, mask, out, scratch);
    // SAFETY: back to the state before: tiles that are in use make every switch of threads dearer.
    unsafe { asm!("tilerelease", options(nomem, nostack)) };
}

/// Configured tiles. Made by [`attention`] alone, so that the CPU has what the functions below need.
struct Tiles;

impl Steps for Tiles {
    const ROWS: usize = MOST_ROWS;

    #[inline(always)]
    fn code(&self, qkv: [&[f32]; 3], shape: AttentionShape, head: usize, s: &mut AttentionScratch) {
        // SAFETY: see `Tiles`.
        unsafe { code(qkv, shape, head, s) }
    }

    #[inline(always)]
    fn score(&self, block: Block, s: &mut AttentionScratch) {
        // SAFETY: see `Tiles`.
        unsafe { score(block, s) }
    }

    #[inline(always)]
    fn weigh(&self, block: Block, s: &mut AttentionScratch) {
        // SAFETY: see `Tiles`.
        unsafe { weights(block, s) }
    }

    #[inline(always)]
    fn mix(&self, block: Block, s: &mut AttentionScratch, out: &mut [f32]) {
        // SAFETY: see `Tiles`.
        unsafe { mix(block, s, out) }
    }
}

/// Sixteen queries, keys or values of a head as they are coded; past the last one they are zeros.
struct Sixteen<'a> {
    rows: [&'a [f32]; SIDE],
    inverses: [f32; SIDE],
}

impl<'a> Sixteen<'a> {
    /// From row `first` of `x` on. [`code_scales`], with the steps' worth times `scale`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
    fn new(
        x: &'a [f32],
        (shape, head, first): (AttentionShape, usize, usize),
        (most, scale): (f32, f32),
        steps: &mut [f32; SIDE],
    ) -> Self {
        let AttentionShape { t, heads, d, .. } = shape;
        let mut rows: [&[f32]; SIDE] = [&[]; SIDE];
        let mut largest = [0f32; SIDE];
        for row in 0..SIDE.min(t.saturating_sub(first)) {
            rows[row] = &x[((first + row) * heads + head) * d..][..d];
            let (parts, rest) = rows[row].as_chunks::<SIDE>();
            let mut found = _mm512_max_ps(_mm512_abs_ps(some(rest)), _mm512_setzero_ps());
            for part in parts {
                found = _mm512_max_ps(_mm512_abs_ps(load(part)), found);
            }
            largest[row] = _mm512_reduce_max_ps(found);
        }
        let mut inverses = [0f32; SIDE];
        for row in 0..SIDE {
            let [inverse, step] = code_scales(largest[row], most);
            (inverses[row], steps[row]) = (inverse, step * scale);
        }
        Self { rows, inverses }
    }

    /// The codes of sixteen numbers of row `row`, from number `at` on.
    #[inline(always)]
    fn codes(&self, row: usize, at: usize) -> __m512i {
        let rest = self.rows[row].get(at..).unwrap_or_default();
        // SAFETY: made by functions that have these instructions alone.
        unsafe {
            let values = match rest.first_chunk() {
                Some(whole) => load(whole),
                None => some(rest),
            };
            _mm512_cvtps_epi32(_mm512_mul_ps(values, _mm512_set1_ps(self.inverses[row])))
        }
    }
}

/// Fewer than sixteen numbers; zeros past the end.
#[target_feature(enable = "avx512f")]
fn some(values: &[f32]) -> __m512 {
    debug_assert!(values.len() < SIDE);
    // A masked load from where there is no memory does no harm, but takes hundreds of cycles.
    if values.is_empty() {
        return _mm512_setzero_ps();
    }
    let there = ((1u32 << values.len()) - 1) as u16;
    // SAFETY: those that are there are read, no others.
    unsafe { _mm512_maskz_loadu_ps(there, values.as_ptr()) }
}

/// The high and the low bytes of the codes of a step: the first four of each part, the next four of each, and so on.
#[target_feature(enable = "avx512f,avx512bw")]
fn halves([a, b, c, d]: [__m512i; 4]) -> [__m512i; 2] {
    let above = |x| _mm512_srai_epi32::<8>(x);
    let below = |x| _mm512_and_si512(x, _mm512_set1_epi32(255));
    let first = _mm512_packs_epi32(above(a), above(b));
    let second = _mm512_packs_epi32(above(c), above(d));
    let third = _mm512_packs_epi32(below(a), below(b));
    let fourth = _mm512_packs_epi32(below(c), below(d));
    [
        _mm512_packs_epi16(first, second),
        _mm512_packus_epi16(third, fourth),
    ]
}

/// Writes row `row` of a pair of tiles.
#[target_feature(enable = "avx512f,avx512bw")]
fn put_row(pair: &mut [[u8; STEP]], row: usize, codes: [__m512i; 4]) {
    let [high, low] = halves(codes);
    put_line(&mut pair[row], high);
    put_line(&mut pair[SIDE + row], low);
}

#[target_feature(enable = "avx512f")]
fn put_line(to: &mut [u8; STEP], line: __m512i) {
    // SAFETY: 64 bytes are what is written.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), line) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn code([q, k, v]: [&[f32]; 3], shape: AttentionShape, head: usize, s: &mut AttentionScratch) {
    let AttentionShape { t, d, scale, .. } = shape;
    let (dims, tokens) = (d.div_ceil(STEP), t.div_ceil(STEP));
    let (sides, columns) = (t.div_ceil(SIDE), d.div_ceil(SIDE));
    let [queries, keys, values, weights] = &mut s.tiles;
    queries.resize(sides * dims * PAIR);
    keys.resize(sides * dims * PAIR);
    values.resize(columns * tokens * PAIR);
    weights.resize(MOST_ROWS / SIDE * tokens * PAIR);
    s.query_scale.resize(tokens * STEP);
    s.key_scale.resize(tokens * STEP);
    s.value_scale.resize(tokens * STEP);
    let most = most_query(d);
    // Past the last token there may be what another attention left.
    for side in 0..tokens * STEP / SIDE {
        let from = (shape, head, side * SIDE);
        if side < sides {
            let place = side * dims * PAIR..(side + 1) * dims * PAIR;
            let coded = Sixteen::new(q, from, (most, scale), at(&mut s.query_scale, side));
            put(&coded, &mut queries[place.clone()]);
            let coded = Sixteen::new(k, from, (most, 1.0), at(&mut s.key_scale, side));
            put(&coded, &mut keys[place.clone()]);
            let tiles = keys[place].as_chunks_mut::<TILE>().0;
            tiles.iter_mut().for_each(|tile| transpose(tile));
        }
        let coded = Sixteen::new(v, from, (MOST_VALUE, 1.0), at(&mut s.value_scale, side));
        let (step, part) = (side * SIDE / STEP, side % (STEP / SIDE));
        for column in 0..columns {
            let pair = &mut values[(column * tokens + step) * PAIR..][..PAIR];
            let lines = pair.as_chunks_mut::<STEP>().0;
            for four in 0..4 {
                let codes = [0, 1, 2, 3].map(|row| coded.codes(4 * four + row, column * SIDE));
                // As `halves` has the weights.
                let line = 4 * four + part;
                put_line(
                    &mut lines[line],
                    joined(codes.map(|x| _mm512_srai_epi32::<8>(x))),
                );
                put_line(&mut lines[SIDE + line], joined(codes));
            }
        }
    }
}

/// The place of sixteen rows' scales.
fn at(scales: &mut [f32], side: usize) -> &mut [f32; SIDE] {
    scales[side * SIDE..]
        .first_chunk_mut()
        .expect("whole sides")
}

/// Rows of codes as a side `a` of pairs of tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn put(coded: &Sixteen, pairs: &mut [u8]) {
    for (step, pair) in pairs.chunks_exact_mut(PAIR).enumerate() {
        let lines = pair.as_chunks_mut::<STEP>().0;
        for row in 0..SIDE {
            let codes = [0, 1, 2, 3].map(|part| coded.codes(row, step * STEP + part * SIDE));
            put_row(lines, row, codes);
        }
    }
}

/// Turns rows of four bytes into columns: a tile of a side `a` into one of a side `b`.
#[target_feature(enable = "avx512f")]
fn transpose(tile: &mut [u8; TILE]) {
    let (lines, _) = tile.as_chunks_mut::<STEP>();
    let mut rows = [_mm512_setzero_si512(); SIDE];
    for (row, line) in rows.iter_mut().zip(lines.iter()) {
        // SAFETY: 64 bytes are what is read.
        *row = unsafe { _mm512_loadu_si512(line.as_ptr().cast()) };
    }
    for four in rows.as_chunks_mut::<4>().0 {
        let [a, b, c, d] = *four;
        let (upper, lower) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (right, below) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        *four = [
            _mm512_unpacklo_epi64(upper, right),
            _mm512_unpackhi_epi64(upper, right),
            _mm512_unpacklo_epi64(lower, below),
            _mm512_unpackhi_epi64(lower, below),
        ];
    }
    // Lane l of row 4·g + j has column 4·l + j of rows 4·g to 4·g + 3.
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    for j in 0..4 {
        let [a, b, c, d] = [rows[j], rows[4 + j], rows[8 + j], rows[12 + j]];
        let (even, odd) = (
            [
                _mm512_shuffle_i32x4::<EVEN>(a, b),
                _mm512_shuffle_i32x4::<EVEN>(c, d),
            ],
            [
                _mm512_shuffle_i32x4::<ODD>(a, b),
                _mm512_shuffle_i32x4::<ODD>(c, d),
            ],
        );
        put_line(
            &mut lines[j],
            _mm512_shuffle_i32x4::<EVEN>(even[0], even[1]),
        );
        put_line(
            &mut lines[4 + j],
            _mm512_shuffle_i32x4::<EVEN>(odd[0], odd[1]),
        );
        put_line(
            &mut lines[8 + j],
            _mm512_shuffle_i32x4::<ODD>(even[0], even[1]),
        );
        put_line(
            &mut lines[12 + j],
            _mm512_shuffle_i32x4::<ODD>(odd[0], odd[1]),
        );
    }
}

/// The low bytes of four numbers, one after another.
#[target_feature(enable = "avx512f,avx512bw")]
fn joined([a, b, c, d]: [__m512i; 4]) -> __m512i {
    let byte = _mm512_set1_epi32(255);
    // a & 255 | (b & 255) << 8, and c & 255 | d << 8: of three inputs x, y, z the bits x & z | y.
    const CHOSEN: i32 = 0b1110_1100;
    let b = _mm512_slli_epi32::<8>(_mm512_and_si512(b, byte));
    let lower = _mm512_ternarylogic_epi32::<CHOSEN>(a, b, byte);
    let upper = _mm512_ternarylogic_epi32::<CHOSEN>(c, _mm512_slli_epi32::<8>(d), byte);
    _mm512_mask_blend_epi16(0xAAAA_AAAA, lower, _mm512_slli_epi32::<16>(upper))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn score(block: Block, s: &mut AttentionScratch) {
    let Block {
        shape,
        first,
        rows,
        seen,
        ..
    } = block;
    let (dims, stride) = (shape.d.div_ceil(STEP), block.stride());
    let [queries, keys, ..] = &s.tiles;
    let sides = first / SIDE..(first + rows).div_ceil(SIDE);
    let queries = &queries[sides.start * dims * PAIR..sides.end * dims * PAIR];
    let keys = keys.chunks_exact(dims * PAIR).take(seen.div_ceil(SIDE));
    each_product(
        queries.chunks_exact(dims * PAIR),
        keys,
        dims,
        |[side, column], sums| {
            let key_scale = load_from(&s.key_scale[column * SIDE..]);
            for row in side * SIDE..rows.min(side * SIDE + SIDE) {
                let scale = _mm512_set1_ps(s.query_scale[first + row]);
                let product = _mm512_cvtepi32_ps(whole(sums, row % SIDE));
                let score = _mm512_mul_ps(product, _mm512_mul_ps(scale, key_scale));
                let to = &mut s.scores[row * stride + column * SIDE..];
                store(score, to.first_chunk_mut().expect("whole tiles"));
            }
        },
    );
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn weights(block: Block, s: &mut AttentionScratch) {
    let (stride, lanes) = (block.stride(), block.lanes());
    let scales = weigh(block, s);
    let steps = block.seen.div_ceil(STEP);
    let weights = &mut s.tiles[3];
    for (row, scale) in scales.iter().enumerate().take(block.rows) {
        let scale = _mm512_set1_ps(*scale);
        let scores = s.scores[row * stride..][..lanes].as_chunks::<SIDE>().0;
        let weights = &mut weights[row / SIDE * steps * PAIR..][..steps * PAIR];
        for (step, pair) in weights.chunks_exact_mut(PAIR).enumerate() {
            let codes = [0, 1, 2, 3].map(|part| match scores.get(4 * step + part) {
                Some(x) => _mm512_cvtps_epi32(_mm512_mul_ps(load(x), scale)),
                None => _mm512_setzero_si512(),
            });
            put_row(pair.as_chunks_mut::<STEP>().0, row % SIDE, codes);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn mix(block: Block, s: &AttentionScratch, out: &mut [f32]) {
    let AttentionShape { t, d, .. } = block.shape;
    let steps = block.seen.div_ceil(STEP);
    let [_, _, values, weights] = &s.tiles;
    let values = values.chunks_exact(t.div_ceil(STEP) * PAIR);
    let weights = weights[..block.rows.div_ceil(SIDE) * steps * PAIR].chunks_exact(steps * PAIR);
    each_product(weights, values, steps, |[side, column], sums| {
        let columns = column * SIDE..(column * SIDE + SIDE).min(d);
        for row in side * SIDE..block.rows.min(side * SIDE + SIDE) {
            let scale = _mm512_set1_ps(s.scales[row]);
            let mixed = _mm512_mul_ps(_mm512_cvtepi32_ps(whole(sums, row % SIDE)), scale);
            let to = &mut out[block.place(row, columns.clone())];
            match to.as_mut_array() {
                Some(to) => store(mixed, to),
                None => {
                    let mut lanes = [0.0; SIDE];
                    store(mixed, &mut lanes);
                    to.copy_from_slice(&lanes[..to.len()]);
                }
            }
        }
    });
}

/// What `then` makes of the products of each of `a` with each of `b`; the next is begun before: tiles and registers take turns.
#[inline(always)]
fn each_product<'a>(
    a: impl Iterator<Item = &'a [u8]> + Clone,
    b: impl Iterator<Item = &'a [u8]>,
    steps: usize,
    mut then: impl FnMut([usize; 2], &Sums),
) {
    let mut sums = [const { Sums([[[0; SIDE]; SIDE]; 3]) }; 2];
    let (mut turn, mut last) = (0, None);
    for (column, b) in b.enumerate() {
        for (side, a) in a.clone().enumerate() {
            products(a, b, steps, &mut sums[turn]);
            turn = 1 - turn;
            if let Some(last) = last.replace([side, column]) {
                then(last, &sums[turn]);
            }
        }
    }
    if let Some(last) = last {
        then(last, &sums[1 - turn]);
    }
}

#[target_feature(enable = "avx512f")]
fn load_from(values: &[f32]) -> __m512 {
    load(values.first_chunk().expect("whole tiles"))
}

/// A row of the sums of products of whole codes.
#[target_feature(enable = "avx512f")]
fn whole(sums: &Sums, row: usize) -> __m512i {
    // SAFETY: a row is the 64 bytes that are read.
    let part = |of: usize| unsafe { _mm512_load_si512(sums.0[of][row].as_ptr().cast()) };
    let high = _mm512_add_epi32(_mm512_slli_epi32::<8>(part(0)), part(1));
    _mm512_add_epi32(_mm512_slli_epi32::<8>(high), part(2))
}

/// The sums over `steps` pairs of tiles of `a` and `b`. Tiles are configured, all of them whole.
#[inline(always)]
fn products(a: &[u8], b: &[u8], steps: usize, sums: &mut Sums) {
    assert!(steps > 0 && a.len() >= steps * PAIR && b.len() >= steps * PAIR);
    // SAFETY: `steps` pairs of tiles are read of either side; three tiles of sums are written.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "2:",
            "tileloadd tmm4, [{a} + {row}]",
            "tileloadd tmm6, [{b} + {row}]",
            "tileloadd tmm7, [{b} + {row} + 1024]",
            "tileloadd tmm5, [{a} + {row} + 1024]",
            "tdpbssd tmm0, tmm4, tmm6",
            "tdpbsud tmm1, tmm4, tmm7",
            "tdpbuud tmm2, tmm5, tmm7",
            "tdpbusd tmm1, tmm5, tmm6",
            "add {a}, 2048",
            "add {b}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {row}], tmm0",
            "tilestored [{sums} + {row} + 1024], tmm1",
            "tilestored [{sums} + {row} + 2048], tmm2",
            a = inout(reg) a.as_ptr() => _,
            b = inout(reg) b.as_ptr() => _,
            steps = inout(reg) steps => _,
            sums = in(reg) sums,
            row = in(reg) STEP,
            out("tmm0") _, out("tmm1") _, out("tmm2") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
