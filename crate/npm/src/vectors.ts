/**
 * The index alone: vectors in, neighbours out, without models and photos.
 *
 * ```js
 * import { loadVectors } from 'photorecall/vectors';
 * const { VectorIndex } = await loadVectors();
 * const index = new VectorIndex(512);
 * index.add(vectors); // a Float32Array of any number of vectors; the first one has the id 0
 * index.compact();
 * const { ids, scores } = index.search(query, { k: 10 });
 * ```
 * @module
 */
import { PhotorecallError } from './errors.js';
import { hasRelaxedSimd } from './relaxed.js';
import type * as Glue from './vectors/photorecall.js';
import type { BinaryIndex as Binary, VectorIndex as Vectors } from './vectors/photorecall.js';

export { PhotorecallError } from './errors.js';
export type {
  BinaryIndex, BinaryMetric, BinaryOptions, Neighbours, VectorIndex, VectorOptions, VectorRange, VectorSearch,
} from './vectors/photorecall.js';

/** Where the wasm is. */
export interface VectorsOptions {
  /** Its address, or its bytes; without it, one of two beside this module: the engine may have relaxed SIMD or not. */
  wasm?: string | URL | BufferSource;
}

/** What {@link loadVectors} gives. */
export interface VectorsModule {
  /** Vectors of numbers. */
  VectorIndex: typeof Vectors;
  /** Vectors of bits. */
  BinaryIndex: typeof Binary;
}

/** Loads the wasm, once. Throws a {@link PhotorecallError} `fetch` when it is not there. */
export async function loadVectors({ wasm }: VectorsOptions = {}): Promise<VectorsModule> {
  const isRelaxed = wasm === undefined && hasRelaxedSimd();
  // The same interface; only the types' names are told apart.
  const glue = isRelaxed ? import('./vectors/relaxed/photorecall.js') : import('./vectors/photorecall.js');
  const { default: init, BinaryIndex, VectorIndex } = (await glue) as unknown as typeof Glue;
  const beside = isRelaxed
    ? new URL('./vectors/relaxed/photorecall_bg.wasm', import.meta.url)
    : new URL('./vectors/photorecall_bg.wasm', import.meta.url);
  try {
    await init({ module_or_path: wasm ?? beside });
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new PhotorecallError('fetch', `the index's wasm could not be loaded: ${reason}`, { cause: thrown });
  }
  return { BinaryIndex, VectorIndex };
}
