/** A model's files, fetched once and handed to the workers. */
import { PhotorecallError } from './errors.js';
import { canDigest, parseManifest, sha256 } from './known.js';
import type { LoadProgress } from './types.js';

/** What the wasm's `Encoder` is made of. */
export interface ModelFiles {
  manifest: Uint8Array;
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

/** A model's files and, where the engine has found them, their SHA-256 by name: what each worker would do again. */
export interface DigestedModel extends ModelFiles {
  digests?: Map<string, string>;
}

export async function digested(model: ModelFiles): Promise<DigestedModel> {
  if (!canDigest()) return model;
  const found = [...model.files].map(async ([name, bytes]): Promise<[string, string]> => [name, await sha256(bytes)]);
  return { ...model, digests: new Map(await Promise.all(found)) };
}

/** A folder's address, with the slash at the end that relative addresses need. */
export function folderUrl(url: string | URL): URL {
  const base = typeof document === 'undefined' ? self.location.href : document.baseURI;
  const folder = new URL(url, base);
  if (!folder.pathname.endsWith('/')) folder.pathname += '/';
  return folder;
}

/** What is at an address; anything but success is an error that names it. */
export async function fetchWhole(url: URL): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new PhotorecallError('fetch', `${url.href} cannot be reached`, { cause });
  }
  if (!response.ok) throw new PhotorecallError('fetch', `${url.href}: ${response.status} ${response.statusText}`);
  return response;
}

/** The bytes at an address. */
export async function fetchBytes(url: URL, onBytes?: (count: number) => void): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetchWhole(url);
  if (!response.body || !onBytes) return new Uint8Array(await response.arrayBuffer());
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, out) {
        onBytes(chunk.byteLength);
        out.enqueue(chunk);
      },
    }),
  );
  return new Uint8Array(await new Response(counted).arrayBuffer());
}

/** Fetches a model's manifest and every file that it lists. */
export async function fetchModel(url: string | URL, onLoad?: (progress: LoadProgress) => void): Promise<ModelFiles> {
  const folder = folderUrl(url);
  const manifest = await fetchBytes(new URL('manifest.json', folder));
  const { files, bytes: total } = parseManifest(manifest, `${folder.href}manifest.json`);
  let done = 0;
  const fetched = Object.keys(files).map(async (name): Promise<[string, Uint8Array<ArrayBuffer>]> => {
    const bytes = await fetchBytes(new URL(name, folder), (count) => {
      done += count;
      onLoad?.({ done, total });
    });
    return [name, bytes];
  });
  return { manifest, files: new Map(await Promise.all(fetched)) };
}
