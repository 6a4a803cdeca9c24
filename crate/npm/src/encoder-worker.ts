/** The worker's encoder: a photo or words in, a vector out. */
import { PhotorecallError } from './errors.js';
import { type Wasm, compileAt, instantiate, wasm } from './glue.js';
import { canDigest, sha256 } from './known.js';
import type { DigestedModel } from './model.js';
import type { Encoder, EncoderInfo, ImageEmbedding, SelfTest } from './photorecall.js';
import { decodeByPlatform } from './platform.js';
import { Moved } from './rpc.js';

let memory: WebAssembly.Memory | undefined;
let encoder: Encoder | undefined;

/** Photos that were read and wait to be encoded or forgotten. */
const held = new Map<number, { file: Blob; bytes: Uint8Array; digest: string }>();
/** The engine makes a large photo smaller only so far: the rest is the module's, as the model wants it. */
const SPARE = 4;
let nextHeld = 0;

/** A photo that was read: its bytes stay in the worker. */
export interface Held {
  id: number;
  digest: string;
  bytes: number;
  modifiedMs: number;
}

/** A photo's vector and facts, and the SHA-256 of its bytes. */
export type EncodedPhoto = ImageEmbedding & Pick<Held, 'digest'>;

/** What came of a photo, and how much memory the module holds now: it never gives any back. */
export interface Encoded {
  photo: EncodedPhoto;
  memoryBytes: number;
}

function loaded(): Encoder {
  if (!encoder) throw new PhotorecallError('not_loaded', 'the model is not loaded');
  return encoder;
}

async function embed(file: Blob, bytes: Uint8Array, maxMemoryBytes: number, trimBorders: boolean): Promise<ImageEmbedding> {
  const encoder = loaded();
  if (!wasm().glance(bytes).decodes) {
    const seen = await decodeByPlatform(file, SPARE * encoder.inputSide());
    if (seen) {
      const { rgba, width, height, fullWidth, fullHeight } = seen;
      return encoder.embedPixels(bytes, rgba, width, height, fullWidth, fullHeight, trimBorders);
    }
  }
  return encoder.embedImage(bytes, maxMemoryBytes, trimBorders);
}

export const encoderHandlers = {
  /** Compiles the wasm for all workers, and starts this one with it. */
  async compile(build: Wasm['build'], url: string): Promise<Wasm> {
    const compiled = { build, module: await compileAt(new URL(url)) };
    memory = await instantiate(compiled);
    return compiled;
  },

  async start(chosen: Wasm): Promise<void> {
    memory = await instantiate(chosen);
  },

  loadModel({ manifest, files, digests }: DigestedModel, towers: 'image' | 'both'): EncoderInfo {
    encoder?.free();
    encoder = new (wasm().Encoder)(manifest, files, towers, digests);
    return encoder.info();
  },

  async hold(file: Blob): Promise<Held> {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const digest = canDigest() ? await sha256(bytes) : wasm().digest(bytes);
    const id = nextHeld++;
    held.set(id, { file, bytes, digest });
    const modifiedMs = file instanceof File ? file.lastModified : 0;
    return { id, digest, bytes: bytes.byteLength, modifiedMs };
  },

  drop(id: number): void {
    held.delete(id);
  },

  async encodeHeld(id: number, maxMemoryBytes: number, trimBorders: boolean): Promise<Moved<Encoded>> {
    const waiting = held.get(id);
    if (!waiting) throw new PhotorecallError('bad_argument', `no photo ${id} is held`);
    const { file, bytes, digest } = waiting;
    const photo = { ...(await embed(file, bytes, maxMemoryBytes, trimBorders)), digest };
    held.delete(id);
    const memoryBytes = memory?.buffer.byteLength ?? 0;
    return new Moved({ photo, memoryBytes }, [photo.embedding.buffer, photo.thumbnail.buffer]);
  },

  embedText(text: string): Float32Array {
    return loaded().embedText(text);
  },

  selfTest(): SelfTest {
    return wasm().kernelsSelfTest();
  },
};

export type EncoderApi = typeof encoderHandlers;
