/** Models beside the one that a site ships: fetched from a hub or taken from disk, checked, kept, deleted. */
import { PhotorecallError } from './errors.js';
import { fetchFile } from './hub.js';
import { type FileEntry, type KnownModel, addressOf, parseManifest, sha256 } from './known.js';
import type { ModelFiles } from './model.js';
import { Shelf } from './shelf.js';
import type { LoadProgress } from './types.js';

/** How models come. */
export interface InstallOptions {
  /** Stops; what came so far stays, and the next call goes on from there. */
  signal?: AbortSignal;
  onProgress?: (progress: LoadProgress) => void;
}

/** Copies of a file from disk are kept in pieces of so many bytes. */
const PIECE = 4 * 1024 * 1024;

/**
 * The models of this browser.
 *
 * ```js
 * const models = await ModelStore.open();
 * await models.fetch(parseManifest(bytes, 'tinyclip-8m.json'), { hub: 'https://huggingface.co' });
 * const library = await Library.open({ name: 'tiny', model: await models.load('tinyclip-8m') });
 * ```
 */
export class ModelStore {
  private constructor(private readonly shelf: Shelf) {}

  /** @throws {PhotorecallError} `indexed_db` without storage. */
  static async open(): Promise<ModelStore> {
    return new ModelStore(await Shelf.open());
  }

  close(): void {
    this.shelf.close();
  }

  /** The models that are here whole. */
  async list(): Promise<KnownModel[]> {
    return (await this.shelf.models()).map(({ name, manifest }) => parseManifest(manifest, name));
  }

  /** Bytes of a model's files that are here, whole or not. */
  async have(model: KnownModel): Promise<number> {
    const files = await Promise.all(Object.values(model.files).map((file) => this.shelf.have(file.sha256)));
    return files.reduce((sum, bytes) => sum + bytes, 0);
  }

  /**
   * Fetches a model's files from a hub, goes on where an earlier call was stopped, checks every file.
   *
   * @throws {PhotorecallError} `offline` or `fetch` when the hub cannot be reached or breaks off;
   * `model_file` for a file that is not the known one; `quota` when there is no room; `aborted`.
   */
  async fetch(model: KnownModel, { hub, signal, onProgress }: InstallOptions & { hub: string | URL }): Promise<void> {
    await this.install(model, onProgress, async (name, entry, told) => {
      await fetchFile(this.shelf, addressOf(model, name, hub), entry, signal, told);
    });
  }

  /**
   * Takes a model from files on disk: those of one of `known`, recognised by their digests, or any model's
   * with its `manifest.json` among them. Returns which it was.
   *
   * @throws {PhotorecallError} `model_file` names what is missing; `quota`; `aborted`.
   */
  async import(files: Iterable<File>, known: readonly KnownModel[], options: InstallOptions = {}): Promise<KnownModel> {
    const given = [...files];
    const own = given.find((file) => file.name === 'manifest.json');
    const manifest = own && parseManifest(new Uint8Array(await own.arrayBuffer()), own.name);
    const model = manifest ?? (await recognise(given, known));
    await this.install(model, options.onProgress, async (name, entry, told) => {
      for (const file of given) {
        if (await isAsPromised(file, entry)) return this.copy(file, entry, options.signal, told);
      }
      throw new PhotorecallError('model_file', `${model.name}: no file of ${entry.bytes} bytes with SHA-256 ${entry.sha256} for its ${name}`);
    });
    return model;
  }

  /** A model's files, for `Library.open`. */
  async load(name: string): Promise<ModelFiles> {
    const model = (await this.list()).find((model) => model.name === name);
    if (!model) throw new PhotorecallError('not_found', `the model ${name} is not in this browser`);
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    for (const [name, entry] of Object.entries(model.files)) files.set(name, await this.shelf.file(entry.sha256));
    return { manifest: model.manifest, files };
  }

  /** Deletes a model, and what came of one that is not whole. Files that another model has too stay. */
  async delete(model: KnownModel): Promise<void> {
    await this.shelf.remove(model.name);
    const shared = new Set((await this.list()).flatMap(({ files }) => Object.values(files).map((file) => file.sha256)));
    for (const { sha256 } of Object.values(model.files)) {
      if (!shared.has(sha256)) await this.shelf.dropFile(sha256);
    }
  }

  /** Brings every file, then the manifest: a model that is listed is whole. */
  private async install(
    model: KnownModel,
    onProgress: InstallOptions['onProgress'],
    bring: (name: string, entry: FileEntry, told: (have: number) => void) => Promise<void>,
  ): Promise<void> {
    const missing = model.bytes - (await this.have(model));
    await requireRoom(missing);
    let before = 0;
    for (const [name, entry] of Object.entries(model.files)) {
      const told = (have: number): void => onProgress?.({ done: before + have, total: model.bytes });
      told(await this.shelf.have(entry.sha256));
      await bring(name, entry, told);
      await this.verify(model, name, entry);
      before += entry.bytes;
    }
    onProgress?.({ done: model.bytes, total: model.bytes });
    await this.shelf.put({ name: model.name, manifest: model.manifest });
  }

  /** A file that is not the known one is not kept. */
  private async verify({ name }: KnownModel, file: string, entry: FileEntry): Promise<void> {
    const found = await sha256(await this.shelf.file(entry.sha256));
    if (found === entry.sha256) return;
    await this.shelf.dropFile(entry.sha256);
    throw new PhotorecallError('model_file', `${name}: ${file} is not the file that is known: SHA-256 ${found}, expected ${entry.sha256}; it was not kept`);
  }

  private async copy(
    file: File,
    entry: FileEntry,
    signal: AbortSignal | undefined,
    told: (have: number) => void,
  ): Promise<void> {
    await this.shelf.dropFile(entry.sha256);
    for (let at = 0; at < file.size; at += PIECE) {
      if (signal?.aborted) throw new PhotorecallError('aborted', 'taking the model was stopped');
      const piece = new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer());
      await this.shelf.append(entry.sha256, at, piece);
      told(at + piece.byteLength);
    }
  }
}

async function isAsPromised(file: File, entry: FileEntry): Promise<boolean> {
  return file.size === entry.bytes && (await sha256(new Uint8Array(await file.arrayBuffer()))) === entry.sha256;
}

/** The known model that one of the files belongs to. */
async function recognise(files: readonly File[], known: readonly KnownModel[]): Promise<KnownModel> {
  for (const model of known) {
    for (const entry of Object.values(model.files)) {
      for (const file of files) if (await isAsPromised(file, entry)) return model;
    }
  }
  throw new PhotorecallError('model_file', `none of the ${files.length} files has the digest of a known model's; a model of your own comes with its manifest.json`);
}

/** Says so before a long download that would fail at its end. */
async function requireRoom(bytes: number): Promise<void> {
  const { usage = 0, quota = Infinity } = (await navigator.storage?.estimate()) ?? {};
  const free = quota - usage;
  if (bytes <= free) return;
  const mb = (n: number): string => `${Math.ceil(n / 1e6)} MB`;
  throw new PhotorecallError('quota', `the model needs ${mb(bytes)}, this browser gives the page ${mb(Math.max(0, free))} more`);
}
