/** Starting workers, and the one compiled module that all of them share. */
import type { EncoderApi } from './encoder-worker.js';
import { PhotorecallError } from './errors.js';
import type { Wasm } from './glue.js';
import type { IndexApi } from './index-worker.js';
import { fetchBytes, folderUrl, type ModelFiles } from './model.js';
import { hasRelaxedSimd } from './relaxed.js';
import { Remote } from './rpc.js';
import type { OpenOptions } from './types.js';

export type WorkerApi = EncoderApi & IndexApi;

/** What is needed to start a worker, at any time. */
export interface Kit {
  wasm: Wasm;
  model: ModelFiles;
  workerUrl: string | URL | undefined;
}

type Where = Pick<OpenOptions, 'wasmUrl' | 'workerUrl'>;

/** Compiles the wasm once: the file with relaxed SIMD where the engine has that and computes rightly. */
export async function compile({ wasmUrl, workerUrl }: Where): Promise<Wasm> {
  if (wasmUrl !== undefined) return { build: 'simd128', module: await compileAt(new URL(wasmUrl, folderUrl('.'))) };
  if (hasRelaxedSimd()) {
    const module = await compileAt(new URL('./relaxed/photorecall_bg.wasm', import.meta.url));
    const relaxed: Wasm = { build: 'relaxed-simd', module };
    if (await computesRightly(relaxed, workerUrl)) return relaxed;
    console.warn('photorecall: this engine computes relaxed SIMD wrongly; simd128 is used');
  }
  return { build: 'simd128', module: await compileAt(new URL('./photorecall_bg.wasm', import.meta.url)) };
}

async function computesRightly(wasm: Wasm, workerUrl: Kit['workerUrl']): Promise<boolean> {
  const remote = new Remote<WorkerApi>(newWorker(workerUrl));
  try {
    await remote.call('start', wasm);
    return (await remote.call('selfTest')).mismatches.length === 0;
  } catch {
    return false; // it does not even run
  } finally {
    remote.end(new PhotorecallError('closed', 'the kernels are tested'));
  }
}

async function compileAt(url: URL): Promise<WebAssembly.Module> {
  // Not compileStreaming: it refuses hosts that do not send application/wasm.
  const bytes = await fetchBytes(url);
  return WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
}

/** A worker without a model. */
export async function startBareWorker(wasm: Wasm, workerUrl: Kit['workerUrl']): Promise<Remote<WorkerApi>> {
  const remote = new Remote<WorkerApi>(newWorker(workerUrl));
  await remote.call('start', wasm);
  return remote;
}

/** A worker with the model's towers asked for. */
export async function startWorker(kit: Kit, towers: 'image' | 'both'): Promise<Remote<WorkerApi>> {
  const remote = await startBareWorker(kit.wasm, kit.workerUrl);
  await remote.call('loadModel', kit.model, towers);
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
