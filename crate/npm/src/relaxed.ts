/** Which of the two wasm files this browser can run. */

/**
 * A module of one function, which does `i8x16.relaxed_swizzle`: valid where the engine has relaxed SIMD.
 */
export const RELAXED_PROBE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  // type 0: () → v128; function 0 is of it
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b, 0x03, 0x02, 0x01, 0x00],
  // code: v128.const 0, v128.const 0, i8x16.relaxed_swizzle
  ...[0x0a, 0x2b, 0x01, 0x29, 0x00],
  ...[0xfd, 0x0c, ...new Array<number>(16).fill(0)],
  ...[0xfd, 0x0c, ...new Array<number>(16).fill(0)],
  ...[0xfd, 0x80, 0x02, 0x0b],
);

/** Whether the engine takes relaxed SIMD; whether it computes rightly, the kernels' own test tells. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(RELAXED_PROBE);
}
