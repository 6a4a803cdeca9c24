/** Starting workers, and the one compiled module that all of them share. */
import type { EncoderApi } from './encoder-worker.js';
import type { IndexApi } from './index-worker.js';
import { fetchBytes, folderUrl, type ModelFiles } from './model.js';
import { Remote } from './rpc.js';
import type { OpenOptions } from './types.js';

export type WorkerApi = EncoderApi & IndexApi;

/** What is needed to start a worker, at any time. */
export interface Kit {
  module: WebAssembly.Module;
  model: ModelFiles;
  workerUrl: string | URL | undefined;
}

/** Compiles the wasm once. */
export async function compile({ wasmUrl }: Pick<OpenOptions, 'wasmUrl'>): Promise<WebAssembly.Module> {
  if (wasmUrl === undefined) return compileAt(new URL('./photorecall_bg.wasm', import.meta.url));
  return compileAt(new URL(wasmUrl, folderUrl('.')));
}

async function compileAt(url: URL): Promise<WebAssembly.Module> {
  // Not compileStreaming: it refuses hosts that do not send application/wasm.
  const bytes = await fetchBytes(url);
  return WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
}

/** A worker with the model's towers asked for. */
export async function startWorker(kit: Kit, towers: 'image' | 'both'): Promise<Remote<WorkerApi>> {
  const remote = new Remote<WorkerApi>(newWorker(kit.workerUrl));
  await remote.call('start', kit.module);
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
