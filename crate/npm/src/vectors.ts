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
import type { BinaryIndex as Binary, VectorIndex as Vectors } from './vectors/photorecall.js';

export { PhotorecallError } from './errors.js';
export type {
  BinaryIndex, BinaryMetric, BinaryOptions, Neighbours, VectorIndex, VectorOptions, VectorRange, VectorSearch,
} from './vectors/photorecall.js';

/** Where the wasm is. */
export interface VectorsOptions {
  /** Its address, or its bytes; without it, it lies beside this module. */
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
  const { default: init, BinaryIndex, VectorIndex } = await import('./vectors/photorecall.js');
  try {
    await init({ module_or_path: wasm ?? new URL('./vectors/photorecall_bg.wasm', import.meta.url) });
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new PhotorecallError('fetch', `the index's wasm could not be loaded: ${reason}`, { cause: thrown });
  }
  return { BinaryIndex, VectorIndex };
}
