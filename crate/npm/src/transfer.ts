/**
 * A whole library as one file: a tar archive of the very files that the command line has, and the small
 * pictures.
 *
 * ```text
 * library/library.manifest
 * library/NAME.segment       each segment
 * thumbs/PATH                each small JPEG
 * ```
 */
import { PhotorecallError } from './errors.js';
import type { IndexClient } from './index-client.js';
import type { ModelRef } from './photorecall.js';
import type { Remote } from './rpc.js';
import { readTar, TarWriter } from './tar.js';
import type { LoadProgress } from './types.js';
import type { WorkerApi } from './workers.js';

/** The file that the native side calls a library's manifest. */
export const MANIFEST = 'library.manifest';
const [LIBRARY, THUMBS] = ['library/', 'thumbs/'];
/** Small pictures that are handed over at once. */
const BATCH = 100;

/** How far writing or reading a library's file is. */
export interface TransferOptions {
  signal?: AbortSignal;
  onProgress?: (progress: LoadProgress) => void;
}

/** Where an exported library goes. */
export interface ImportOptions extends TransferOptions {
  name: string;
  wasmUrl?: string | URL;
  workerUrl?: string | URL;
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new PhotorecallError('aborted', 'the transfer was stopped');
}

/** Writes all that is stored. Progress counts photos. */
export async function exportLibrary(index: IndexClient, { signal, onProgress }: TransferOptions): Promise<Blob> {
  const tar = new TarWriter();
  for (const [name, bytes] of await index.call('storedFiles', MANIFEST)) tar.add(LIBRARY + name, bytes);
  const paths = await index.call('pathsBelow', '');
  for (let at = 0; at < paths.length; at += BATCH) {
    throwIfAborted(signal);
    const pictures = await index.call('thumbnails', paths.slice(at, at + BATCH));
    for (const [path, jpeg] of pictures) tar.add(THUMBS + path, jpeg);
    onProgress?.({ done: Math.min(paths.length, at + BATCH), total: paths.length });
  }
  return tar.finish();
}

/** Stores a library's file under a name that no library has; returns its model. Progress counts bytes. */
export async function importLibrary(
  worker: Remote<WorkerApi>,
  file: Blob,
  name: string,
  { signal, onProgress }: TransferOptions,
): Promise<ModelRef> {
  const files = new Map<string, Uint8Array>();
  let pictures: [string, Uint8Array][] = [];
  let [model, done]: [ModelRef | undefined, number] = [undefined, 0];
  const open = async (): Promise<ModelRef> => {
    const manifest = files.get(MANIFEST);
    if (!manifest) throw new PhotorecallError('damaged', `not a library's file: no ${LIBRARY}${MANIFEST} in it`);
    return worker.call('importFiles', name, manifest, files);
  };
  const flush = async (): Promise<void> => {
    await worker.call('putThumbnails', pictures);
    pictures = [];
  };
  for await (const { path, data } of readTar(file)) {
    throwIfAborted(signal);
    const bytes = new Uint8Array(await data.arrayBuffer());
    if (path.startsWith(LIBRARY)) files.set(path.slice(LIBRARY.length), bytes);
    if (path.startsWith(THUMBS)) {
      model ??= await open();
      pictures.push([path.slice(THUMBS.length), bytes]);
      if (pictures.length >= BATCH) await flush();
    }
    onProgress?.({ done: (done += data.size), total: file.size });
  }
  model ??= await open();
  await flush();
  await worker.call('close');
  return model;
}
