/** The part of a model's manifest that is read here; the Rust side reads and checks all of it. */
import { PhotorecallError } from './errors.js';

/** What a manifest promises of a file. */
export interface FileEntry {
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Where the file is in its repository; its own name if left out. */
  path?: string;
}

/** A model, by its manifest. */
export interface KnownModel {
  name: string;
  /** SPDX expression. */
  license: string;
  /** Axes of a vector. */
  dim: number;
  /** Bytes of all files. */
  bytes: number;
  /** Where the files come from; a model without it can only be imported. */
  source: { repository: string; revision: string } | undefined;
  files: Record<string, FileEntry>;
  /** The manifest's own bytes: a model's digest is theirs. */
  manifest: Uint8Array;
}

/** Reads a manifest; `where` is named when it is none. */
export function parseManifest(manifest: Uint8Array, where: string): KnownModel {
  let json: Partial<Omit<KnownModel, 'manifest'>>;
  try {
    json = JSON.parse(new TextDecoder().decode(manifest)) as typeof json;
  } catch {
    json = {};
  }
  const { name, license = '', dim = 0, source, files } = json;
  const sound = (file: Partial<FileEntry>): boolean =>
    Number.isSafeInteger(file?.bytes) && /^[0-9a-f]{64}$/.test(file?.sha256 ?? '');
  if (!name || !files || !Object.values(files).every(sound)) {
    throw new PhotorecallError('model_manifest', `${where} is not a model's manifest`);
  }
  const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
  return { name, license, dim, bytes, source, files, manifest };
}

/** A file's address below the hub's. */
export function addressOf({ name, source, files }: KnownModel, file: string, hub: string | URL): URL {
  if (!source) throw new PhotorecallError('model_manifest', `${name}: the manifest has no source to fetch from`);
  const path = files[file]?.path ?? file;
  return new URL(`${String(hub).replace(/\/+$/, '')}/${source.repository}/resolve/${source.revision}/${path}`);
}

/** Whether the engine computes digests here; the wasm does so everywhere, several times slower. */
export function canDigest(): boolean {
  return globalThis.crypto?.subtle !== undefined;
}

/** Lower-case hex of the SHA-256. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  if (!canDigest()) {
    throw new PhotorecallError('insecure_context', 'models are checked by crypto.subtle, which pages have over https only');
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
