/** The wasm and its glue: one of two builds, chosen when a worker starts. */
import { PhotorecallError } from './errors.js';
import { fetchWhole } from './model.js';
import type * as Glue from './photorecall.js';

/** A compiled module; each build has glue of its own. */
export interface Wasm {
  build: 'simd128' | 'relaxed-simd';
  module: WebAssembly.Module;
}

let loaded: typeof Glue | undefined;

/**
 * Compiles what is at an address, as it arrives. Engines that keep compiled code for the next visit do so for
 * what is compiled this way, which needs a host that sends `application/wasm`.
 */
export async function compileAt(url: URL): Promise<WebAssembly.Module> {
  const response = await fetchWhole(url);
  if (response.headers.get('content-type') === 'application/wasm') return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

/** Makes the worker's one instance; returns its memory. */
export async function instantiate({ build, module }: Wasm): Promise<WebAssembly.Memory> {
  // The same interface; only the types' names are told apart.
  const glue = build === 'simd128' ? import('./photorecall.js') : import('./relaxed/photorecall.js');
  loaded = (await glue) as unknown as typeof Glue;
  return (await loaded.default({ module_or_path: module })).memory;
}

/** What the wasm offers. */
export function wasm(): typeof Glue {
  if (!loaded) throw new PhotorecallError('not_loaded', 'the wasm is not instantiated');
  return loaded;
}
