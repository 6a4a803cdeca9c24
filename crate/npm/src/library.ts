/** The library as a page sees it. All work is done in workers. */
import { Adding, AddJob, allNamed } from './adding.js';
import { Compacting } from './compacting.js';
import { PhotorecallError } from './errors.js';
import { follow, lock } from './following.js';
import { IndexClient } from './index-client.js';
import { type DigestedModel, digested, fetchBytes, fetchModel, folderUrl } from './model.js';
import type {
  Cluster,
  Damage,
  Duplicates,
  EncoderInfo,
  LabelChange,
  ModelRef,
  Month,
  ParsedQuery,
  Photo,
} from './photorecall.js';
import { Pool } from './pool.js';
import { ReindexJob } from './reindex.js';
import { type Room, room } from './room.js';
import type { Remote } from './rpc.js';
import type {
  AddOptions,
  AddProgress,
  Facets,
  Info,
  JobOptions,
  Listed,
  OpenOptions,
  OpenUrlOptions,
  Page,
  PhotoSource,
  ReindexOptions,
  Removed,
  Results,
  Search,
} from './types.js';
import { type ImportOptions, type TransferOptions, exportLibrary, importLibrary, MANIFEST } from './transfer.js';
import { type Kit, type WorkerApi, compile, poolSize, startBareWorker } from './workers.js';

/** Where a library comes from, beside its index. */
interface Place {
  name: string;
  readOnly: boolean;
  inParts: boolean;
  photos: URL | undefined;
  thumbnails: URL | undefined;
  /** Lets other tabs have the library. */
  unlock: () => void;
}

export class Library {
  private readonly pool: Pool;
  private jobs: Promise<unknown> = Promise.resolve();
  private readonly stopAll = new AbortController();
  private readonly compacting: Compacting | undefined;
  private closed = false;

  private constructor(
    private readonly index: IndexClient,
    private readonly encoder: EncoderInfo,
    kit: Kit,
    workers: number,
    private readonly place: Place,
  ) {
    this.pool = new Pool(kit, workers);
    if (!place.readOnly) this.compacting = new Compacting(index, kit, place.name);
    this.compacting?.tend();
  }

  /**
   * Opens the library of this name in this browser, and makes it when it is not there.
   *
   * @throws {PhotorecallError} `locked` when another tab has it open, unless it is to be followed; `model_mismatch` when another
   * model filled it; `fetch` when the model or the wasm cannot be had; `indexed_db` without storage.
   */
  static async open(options: OpenOptions): Promise<Library> {
    const name = options.name ?? 'photos';
    const written = await lock(name, options.follow !== undefined).catch((thrown: unknown) => {
      if (!options.follow) throw thrown;
    });
    try {
      const { index, encoder, kit } = await start(options, (worker, model) => worker.call('openIndex', name, model, options.anyModel));
      const reader = {
        reopen: () => index.call('openIndex', name, encoder.model, options.anyModel),
        close: () => index.call('close'),
      };
      const unlock = written ?? follow(name, reader, options.follow ?? (() => undefined));
      const place = { name, readOnly: !written, inParts: false, photos: undefined, thumbnails: undefined, unlock };
      return new Library(index, encoder, kit, poolSize(options.workers), place);
    } catch (thrown) {
      written?.();
      throw thrown;
    }
  }

  /**
   * Opens a library that was built elsewhere, from the folder that has its files, to search only. A large one
   * is read in parts where `photorecall ranges` or `shard build` made that possible: its coarse part now, and then what
   * each query needs. Such a library can be searched by words and photos; what needs all of it (filters, lists)
   * throws `not_by_ranges`.
   *
   * @throws {PhotorecallError} `fetch` when the host cannot be reached; `no_ranges`, at the first query, when it
   * does not answer range requests; `damaged` for bytes that are not the library's; `model_mismatch`.
   */
  static async openUrl(url: string | URL, options: OpenUrlOptions): Promise<Library> {
    const folder = folderUrl(url);
    let inParts = false;
    const { index, encoder, kit } = await start(options, async (worker, model) => {
      const manifest = await fetchBytes(new URL(MANIFEST, folder));
      inParts = options.parts ?? (await worker.call('prefersParts', manifest));
      if (inParts) return worker.call('openParts', folder.href, manifest, model, options.keptBytes);
      const names = await worker.call('segmentNames', manifest);
      const segments = names.map(async (name): Promise<[string, Uint8Array]> => [name, await fetchBytes(new URL(name, folder))]);
      await worker.call('openBytes', manifest, new Map(await Promise.all(segments)), model);
    });
    const place = {
      name: folder.href,
      readOnly: true,
      inParts,
      photos: options.photosUrl === undefined ? undefined : folderUrl(options.photosUrl),
      thumbnails: options.thumbnailsUrl === undefined ? undefined : folderUrl(options.thumbnailsUrl),
      unlock: () => undefined,
    };
    return new Library(index, encoder, kit, poolSize(options.workers), place);
  }

  /**
   * Adds photos, skipping those that are there and unchanged. Await it, or iterate over its progress;
   * searching works meanwhile. Calls run one after another.
   */
  add(sources: Iterable<PhotoSource> | AsyncIterable<PhotoSource>, options: AddOptions = {}): Adding {
    return this.work(options, (steered, tell) => new AddJob(this.index, this.pool, steered, tell).run(allNamed(sources)));
  }

  /**
   * Fills this library with the photos of another one, for this one's model: facts stay, vectors are new.
   * What is here already is left alone, what the other one has no more is removed. Iterate or await it.
   */
  reindex(from: Library, options: ReindexOptions = {}): Adding {
    return this.work(options, async (steered, tell) => {
      const { photos } = await from.list({ k: Infinity });
      return new ReindexJob(this.index, this.pool, from, steered, tell).run(photos);
    });
  }

  /** Runs a job after those before it. */
  private work<O extends JobOptions>(
    options: O,
    run: (options: O, tell: (progress: AddProgress) => void) => Promise<AddProgress>,
  ): Adding {
    const own = new AbortController();
    const signal = AbortSignal.any([own.signal, this.stopAll.signal, ...(options.signal ? [options.signal] : [])]);
    const tell = (progress: AddProgress): void => {
      adding.tell(progress);
      options.onProgress?.(progress);
      this.compacting?.tend();
    };
    const end = this.jobs.then(() => {
      this.requireWritable();
      return run({ ...options, signal }, tell);
    });
    this.jobs = end.catch(() => undefined);
    const adding = new Adding(end, () => own.abort());
    return adding;
  }

  /**
   * The photos that are asked for, best first: `page` without what goes with it.
   *
   * @throws {PhotorecallError} as `page`.
   */
  async search(query: Search): Promise<Results> {
    return (await this.page(query)).found;
  }

  /**
   * A page of the photos that are asked for, best first; the newest first where only filters are.
   *
   * @throws {PhotorecallError} `query` for a text that cannot be understood, with the place;
   * `no_text_tower` for words with a model that knows images only; `cursor` for an `after` that is no
   * page's `next`; what decoding throws for a photo that cannot be read.
   */
  async page(query: Search): Promise<Page> {
    const { text = '', filter = '', names = true, k = 50, offset = 0, after, minScore, recall = 'high', grouped = false } = query;
    const like = [query.like ?? []].flat();
    const embedding = await this.embeddingFor(text, [query.image ?? []].flat(), like);
    const [page, suggestion] = await Promise.all([
      this.index.call('page', {
        ...{ text, filter, names, k, offset, recall, grouped, exclude: like },
        ...(embedding && { embedding }),
        ...(after === undefined ? {} : { after }),
        ...(minScore === undefined ? {} : { minScore }),
      }),
      // A date would be a filter.
      text && !this.place.inParts ? this.index.call('suggestDate', text, today()) : undefined,
    ]);
    return { ...page, ...(suggestion && { suggestion }) };
  }

  /** A query in text, taken apart: its words with their weights, and whether it filters. */
  parse(text: string): Promise<ParsedQuery> {
    return this.index.call('parseQuery', text);
  }

  /** Photos like the one of this path or like all of these, without themselves. */
  similar(path: string | string[], page: Omit<Search, 'text' | 'image' | 'like'> = {}): Promise<Results> {
    return this.search({ ...page, like: path });
  }

  /** How many photos each month has, the newest first; `filter` as in `Search`. */
  months(filter = ''): Promise<Month[]> {
    return this.index.call('months', filter);
  }

  /** Photos in clusters by what is seen, the largest first, each with a word; 2 to 24 if no number is asked for. */
  clusters(count?: number): Promise<Cluster[]> {
    return this.index.call('clusters', count);
  }

  /** Photos that are there more than once: the same file, the same picture, the same moment. */
  duplicates(): Promise<Duplicates> {
    return this.index.call('duplicates');
  }

  /** The vector of a query's words, by weight, and of the examples; undefined where there are none. */
  private async embeddingFor(text: string, images: Blob[], like: string[]): Promise<Float32Array | undefined> {
    const { parts } = await this.index.call('parseQuery', text);
    const words = parts.map(async ({ weight, words }) => ({ weight, vector: await this.embedText(words) }));
    const examples = [
      ...images.map((image) => this.embedImage(image)),
      ...like.map((path) => this.embeddingOf(path)),
    ].map(async (vector) => ({ weight: 1, vector: await vector }));
    return combine(await Promise.all([...words, ...examples]));
  }

  /** The vector of words: a unit vector of the model's space. */
  embedText(text: string): Promise<Float32Array> {
    return this.index.call('embedText', text);
  }

  /** The vector of a photo's file. */
  async embedImage(file: Blob): Promise<Float32Array> {
    const encoded = await this.pool.encode(file, false);
    if (!encoded) throw new PhotorecallError('unexpected', 'the photo was not encoded');
    return encoded.embedding;
  }

  /** Photos, the newest first. */
  list({ k = 100, offset = 0 }: { k?: number; offset?: number } = {}): Promise<Listed> {
    return this.index.call('list', k, offset);
  }

  /** Each photo's width by its height, in the order of `list`: enough to lay all of them out. */
  shapes(): Promise<Float32Array> {
    return this.index.call('shapes');
  }

  /** What the library can be filtered by: years, albums, tags, cameras. */
  facets(): Promise<Facets> {
    return this.index.call('facets');
  }

  /** What is known of the photo of this path. */
  photo(path: string): Promise<Photo | undefined> {
    return this.index.call('photo', path);
  }

  /** What is known of the photos of these paths, in their order; undefined where there is none. */
  photos(paths: string[]): Promise<(Photo | undefined)[]> {
    return this.index.call('photosAt', paths);
  }

  /** The small JPEG of a photo; the photo itself where a host has no small ones. */
  async thumbnail(path: string): Promise<Blob | undefined> {
    const { thumbnails, photos } = this.place;
    const folder = thumbnails ?? photos;
    if (folder) {
      const bytes = await fetchBytes(new URL(encodePath(path), folder));
      return new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'image/jpeg' });
    }
    const jpeg = await this.index.call('thumbnail', path);
    return jpeg && new Blob([jpeg as Uint8Array<ArrayBuffer>], { type: 'image/jpeg' });
  }

  /** The address of a photo's file, for a library opened by its address. */
  photoUrl(path: string): string | undefined {
    return this.place.photos && new URL(encodePath(path), this.place.photos).href;
  }

  /** Takes photos out of the library; the files stay where they are. */
  async remove(paths: Iterable<string>): Promise<Removed> {
    this.requireWritable();
    const all = [...paths];
    const { stash, photos } = await this.index.together(async () => {
      const removed = await this.index.call('remove', all);
      await this.index.call('commit');
      return removed;
    });
    this.compacting?.tend();
    return {
      photos,
      undo: async () => {
        await this.index.call('restore', stash);
        await this.index.call('commit');
      },
      forget: () => void this.index.call('forget', stash).catch(() => undefined),
    };
  }

  /**
   * Changes what is said of photos: favourite, albums, tags. Lasting when it resolves; returns how many
   * of the paths are there. Labels stay when a photo is moved, changed or added again.
   */
  async label(paths: Iterable<string>, change: LabelChange): Promise<number> {
    this.requireWritable();
    const all = [...paths];
    return this.index.together(async () => {
      const found = await this.index.call('label', all, change);
      await this.index.call('commit');
      return found;
    });
  }

  /**
   * Merges what is stored and lets go of what was removed, now and all of it. In a worker of its own: searching and
   * adding work meanwhile. What pays is merged without being asked.
   */
  async compact(): Promise<void> {
    this.requireWritable();
    await this.index.call('commit');
    await this.compacting?.all();
  }

  /** Reads everything that is stored again and checks every byte; what is damaged is listed. */
  verify(): Promise<Damage[]> {
    return this.index.call('verify');
  }

  async info(): Promise<Info> {
    const { index } = this;
    const [stats, damaged, foreign] = await Promise.all([index.call('stats'), index.call('damaged'), index.call('isForeign')]);
    return { ...stats, damaged, foreign, encoder: this.encoder, workers: this.pool.size, readOnly: this.place.readOnly, inParts: this.place.inParts };
  }

  /**
   * All that is stored as one file, a tar archive: the library's files as the command line has them below
   * `library/`, small pictures below `thumbs/`. Photos themselves are not in it.
   */
  export(options: TransferOptions = {}): Promise<Blob> {
    return exportLibrary(this.index, options);
  }

  /**
   * Stores an exported library under a name that no library has, and tells its model, with which it can be
   * opened.
   *
   * @throws {PhotorecallError} `damaged` for a file that is not a whole one; `quota` or `indexed_db` when it
   * cannot be stored: nothing of it stays.
   */
  static async import(file: Blob, { name, wasmUrl, workerUrl, ...options }: ImportOptions): Promise<ModelRef> {
    const where = { ...(wasmUrl && { wasmUrl }), ...(workerUrl && { workerUrl }) };
    const { worker } = await compile(where);
    const unlock = await lock(name, false);
    try {
      return await importLibrary(worker, file, name, options);
    } catch (thrown) {
      // What a library of this name has had before stays.
      const error = PhotorecallError.from(thrown);
      if (error.code !== 'bad_argument') await worker.call('destroy', name).catch(() => undefined);
      throw error;
    } finally {
      worker.end(new PhotorecallError('closed', 'the import is over'));
      unlock();
    }
  }

  /** Bytes that this site uses and may use, as far as the browser tells, and what so many more photos would take. */
  estimate(photos = 0): Promise<Room> {
    return room(this.index, photos);
  }

  /** Asks the browser not to clear the library when the disk is full. */
  async persist(): Promise<boolean> {
    return (await navigator.storage?.persist()) ?? false;
  }

  /** Stops what runs, stores what was added, and lets go of workers and memory. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.stopAll.abort();
    await this.jobs;
    await this.compacting?.end();
    await this.index.call('close');
    this.end();
  }

  /** Closes the library and removes it from this browser. */
  async destroy(): Promise<void> {
    this.requireWritable();
    this.closed = true;
    this.stopAll.abort();
    await this.jobs;
    await this.compacting?.end();
    await this.index.call('destroy', this.place.name);
    this.end();
  }

  private end(): void {
    this.pool.end();
    void this.index.end(new PhotorecallError('closed', 'the library is closed'));
    this.place.unlock();
  }

  private requireWritable(): void {
    if (this.closed) throw new PhotorecallError('closed', 'the library is closed');
    if (this.place.readOnly) throw new PhotorecallError('read_only', 'a library that another tab writes to, or that was opened by its address, cannot be changed here');
  }

  private async embeddingOf(path: string): Promise<Float32Array> {
    const embedding = await this.index.call('embedding', path);
    if (!embedding) throw new PhotorecallError('bad_argument', `no photo ${path} in the library`);
    return embedding;
  }
}

/** What a worker opens before it is asked for anything else. */
type Open = (worker: Remote<WorkerApi>, model: ModelRef) => Promise<void>;

/** Fetches model and wasm, and starts the worker that has the index and the words. */
async function start(options: OpenOptions, open: Open): Promise<{ index: IndexClient; encoder: EncoderInfo; kit: Kit }> {
  const compiling = compile(options);
  // It is awaited after the model.
  compiling.catch(() => undefined);
  const model = await modelOf(options).catch((thrown: unknown) => {
    void compiling.then(({ worker }) => worker.end(PhotorecallError.from(thrown)), () => undefined);
    throw thrown;
  });
  const first = await compiling;
  const kit = { wasm: first.wasm, model, workerUrl: options.workerUrl };
  const begin = async (worker: Remote<WorkerApi>): Promise<{ worker: Remote<WorkerApi>; encoder: EncoderInfo }> => {
    try {
      const encoder = await worker.call('loadModel', model, 'both');
      await open(worker, encoder.model);
      return { worker, encoder };
    } catch (thrown) {
      worker.end(PhotorecallError.from(thrown));
      throw thrown;
    }
  };
  const { worker, encoder } = await begin(first.worker);
  return { index: new IndexClient(worker, async () => (await begin(await startBareWorker(kit))).worker), encoder, kit };
}

async function modelOf({ model, modelUrl, onLoad }: OpenOptions): Promise<DigestedModel> {
  if (model) return digested(model);
  if (modelUrl === undefined) throw new PhotorecallError('bad_argument', 'a library is opened with a `model` or a `modelUrl`');
  return digested(await fetchModel(modelUrl, onLoad));
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** The day where the page is, like `2026-11-21`. */
function today(): string {
  const now = new Date();
  const two = (number: number): string => String(number).padStart(2, '0');
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}

/** The direction of the weighted sum. What cancels out has none, which the search tells. */
function combine(parts: { weight: number; vector: Float32Array }[]): Float32Array | undefined {
  const [first] = parts;
  if (!first) return undefined;
  const sum = first.vector.map((_, i) => parts.reduce((total, { weight, vector }) => total + weight * (vector[i] ?? 0), 0));
  const norm = Math.hypot(...sum);
  return sum.map((x) => x / norm);
}
