/** Starting workers, and the one compiled module that all of them share. */
import type { EncoderApi } from './encoder-worker.js';
import { PhotorecallError } from './errors.js';
import type { Wasm } from './glue.js';
import type { IndexApi } from './index-worker.js';
import { type DigestedModel, folderUrl } from './model.js';
import { hasRelaxedSimd } from './relaxed.js';
import { Remote } from './rpc.js';
import type { OpenOptions } from './types.js';

export type WorkerApi = EncoderApi & IndexApi;

/** What is needed to start a worker, at any time. */
export interface Kit {
  wasm: Wasm;
  model: DigestedModel;
  workerUrl: string | URL | undefined;
}

type Where = Pick<OpenOptions, 'wasmUrl' | 'workerUrl'>;

/** A worker that has the module which all others are to share. */
export interface First {
  wasm: Wasm;
  worker: Remote<WorkerApi>;
}

/**
 * Compiles the wasm once, in a worker, so that the page stays free: the file with relaxed SIMD where the engine has
 * that and computes rightly.
 */
export async function compile({ wasmUrl, workerUrl }: Where): Promise<First> {
  if (wasmUrl !== undefined) return compileIn(workerUrl, 'simd128', new URL(wasmUrl, folderUrl('.')));
  if (hasRelaxedSimd()) {
    const relaxed = await compileIn(workerUrl, 'relaxed-simd', new URL('./relaxed/photorecall_bg.wasm', import.meta.url));
    if (await computesRightly(relaxed.worker)) return relaxed;
    relaxed.worker.end(new PhotorecallError('closed', 'another wasm is used'));
    console.warn('photorecall: this engine computes relaxed SIMD wrongly; simd128 is used');
  }
  return compileIn(workerUrl, 'simd128', new URL('./photorecall_bg.wasm', import.meta.url));
}

async function computesRightly(worker: Remote<WorkerApi>): Promise<boolean> {
  try {
    return (await worker.call('selfTest')).mismatches.length === 0;
  } catch {
    return false; // it does not even run
  }
}

async function compileIn(workerUrl: Kit['workerUrl'], build: Wasm['build'], url: URL): Promise<First> {
  const worker = new Remote<WorkerApi>(newWorker(workerUrl));
  try {
    return { wasm: await worker.call('compile', build, url.href), worker };
  } catch (thrown) {
    worker.end(PhotorecallError.from(thrown));
    throw thrown;
  }
}

/** Another worker without a model. */
export async function startBareWorker({ wasm, workerUrl }: Pick<Kit, 'wasm' | 'workerUrl'>): Promise<Remote<WorkerApi>> {
  const remote = new Remote<WorkerApi>(newWorker(workerUrl));
  await remote.call('start', wasm);
  return remote;
}

/** A worker that encodes photos. */
export async function startEncoder(kit: Kit): Promise<Remote<WorkerApi>> {
  const remote = await startBareWorker(kit);
  await remote.call('loadModel', kit.model, 'image');
  return remote;
}

function newWorker(url: string | URL | undefined): Worker {
  // Bundlers look for exactly this expression, address and all.
  if (url === undefined) return new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  return new Worker(url, { type: 'module' });
}

/** How many photos to encode at once: a core is left to the page, and memory is not used up. */
export function poolSize(asked: number | undefined): number {
  if (asked !== undefined) return Math.max(1, Math.floor(asked));
  const cores = navigator.hardwareConcurrency || 2;
  // Only Chromium tells the memory, in GiB and at most 8; an encoder takes some 200 MiB.
  const memory = (navigator as Navigator & { deviceMemory?: number }).deviceMemory ?? 8;
  return Math.max(1, Math.min(8, cores - 1, Math.floor(memory)));
}
