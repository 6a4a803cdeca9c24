/** The worker's index: a library in IndexedDB, or one opened from bytes. */
import { encoderHandlers } from './encoder-worker.js';
import { PhotorecallError } from './errors.js';
import { channelOf, type Told } from './following.js';
import { wasm } from './glue.js';
import { Parts, prefersParts } from './parts.js';
import type {
  Cluster,
  Damage,
  DateSuggestion,
  Duplicates,
  Facets,
  FoundPage,
  Index,
  IndexQuery,
  LabelChange,
  Listed,
  Merged,
  ModelRef,
  Month,
  ParsedQuery,
  Photo,
  Stats,
} from './photorecall.js';
import { Moved } from './rpc.js';

let index: Index | undefined;

/** A library on a host, of which only parts are here; there is no index then. */
let parts: Parts | undefined;

/** Other tabs that have the library open. */
let others: BroadcastChannel | undefined;

/** Tells them what was done. */
function tell(told: Told): void {
  others?.postMessage(told);
}

/** Commits follow one another: each must know what the one before has made last. */
let commits: Promise<unknown> = Promise.resolve();

/** Photos that were taken out and may come back. */
interface Stashed {
  photo: Photo;
  embedding: Float32Array;
  thumbnail: Uint8Array | undefined;
}
const stashes = new Map<number, Stashed[]>();
/** Other numbers than an earlier worker's, whose stashes are lost. */
let nextStash = Math.floor(Math.random() * 2 ** 40);

/** Why the model's vectors do not go with the library's. */
let foreign: PhotorecallError | undefined;

/** More photos than any library has: what wasm takes for a number of them. */
const MAX_COUNT = 2 ** 32 - 1;

/** Made again after a change. */
let facets: Facets | undefined;

function opened(): Index {
  if (parts) throw new PhotorecallError('not_by_ranges', 'a library that is read in parts can only be searched, by words or by photos');
  if (!index) throw new PhotorecallError('closed', 'the library is closed');
  return index;
}

/** Runs a change of the library. */
function change<T>(act: (index: Index) => T): T {
  facets = undefined;
  return act(opened());
}

/** The index has the vectors of usual words, or will never have them. */
let learning: Promise<void> = Promise.resolve();
/** The vectors of usual words, once they are known. */
let usual: Float32Array | undefined;
/** Opening and the first search come before the usual words, in milliseconds. */
const LEARN_AFTER_MS = 500;

/** Photos that are added all the time would have clusters begun again for ever: the last try lets no one in. */
const CLUSTER_TRIES = 3;

/** Lets others in. */
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Gives the index the vectors of usual words, one at a time, so that calls come between them. */
async function learn(index: Index | Parts): Promise<void> {
  // A library that is read again has the same model.
  if (usual) return index.setVocabulary(usual);
  await pause(LEARN_AFTER_MS);
  const vectors: number[] = [];
  for (const text of wasm().vocabulary()) {
    if (index !== current()) return;
    vectors.push(...encoderHandlers.embedText(text));
    await pause(0);
  }
  usual = Float32Array.from(vectors);
  if (index === current()) index.setVocabulary(usual);
}

/** Puts an index's photos in clusters, with calls let in between the steps; undefined if one of those changed it. */
async function clustersOf(index: Index, count: number | undefined, letIn: boolean): Promise<Cluster[] | undefined> {
  const clustering = index.clustering(count);
  while (index.clusterOn(clustering)) {
    if (!letIn) continue;
    await pause(0);
    if (index !== current()) {
      clustering.free();
      return undefined;
    }
  }
  return index.clustered(clustering);
}

function current(): Index | Parts | undefined {
  return parts ?? index;
}

function use(opened: Index | Parts): void {
  if (opened instanceof Parts) parts = opened;
  else index = opened;
  facets = undefined;
  // A model without words has no usual ones, and another model's library none of this one's.
  learning = foreign ? Promise.resolve() : learn(opened).catch(() => undefined);
}

export const indexHandlers = {
  /** With `anyModel`, a library of another model is opened too, to list and to copy. */
  async openIndex(name: string, model: ModelRef, anyModel = false): Promise<void> {
    const opened = (anyModel && (await wasm().Index.openStored(name))) || (await wasm().Index.open(name, model));
    foreign = undefined;
    try {
      opened.requireModel(model);
    } catch (thrown) {
      foreign = PhotorecallError.from(thrown);
    }
    index?.close();
    others ??= new BroadcastChannel(channelOf(name));
    use(opened);
  },

  /** Whether the library is another model's. */
  isForeign(): boolean {
    return foreign !== undefined;
  },

  segmentNames(manifest: Uint8Array): string[] {
    return wasm().Index.segmentNames(manifest);
  },

  openBytes(manifest: Uint8Array, segments: Map<string, Uint8Array>, model: ModelRef): void {
    const opened = wasm().Index.fromBytes(manifest, segments);
    opened.requireModel(model);
    use(opened);
  },

  prefersParts,

  /** Opens a library that lies on a host and is read as queries need it; `kept` bytes of it stay here. */
  async openParts(folder: string, manifest: Uint8Array, model: ModelRef, kept: number | undefined): Promise<void> {
    use(await Parts.open(new URL(folder), manifest, model, kept));
  },

  put(photo: Photo, embedding: Float32Array, thumbnail?: Uint8Array): void {
    if (foreign) throw foreign;
    change((index) => index.put(photo, embedding, thumbnail));
  },

  /** Adds a photo whose bytes are those of another one: it is encoded already. */
  async putCopy(of: string, photo: Photo): Promise<boolean> {
    const [original, embedding] = [opened().photo(of), opened().embedding(of)];
    if (!original || !embedding) return false;
    const thumbnail = await opened().thumbnail(of);
    const { path, modifiedMs } = photo;
    // A copy is a photo of its own: what its owner says of the original is not said of it.
    const { favourite, albums, tags, ...facts } = original;
    change((index) => index.put({ ...facts, path, modifiedMs }, embedding, thumbnail));
    return true;
  },

  /** The photo at `from` is now at `path`, with the same bytes. */
  renameTo(from: string, path: string, modifiedMs: number): boolean {
    const old = opened().photo(from);
    return old ? change((index) => index.rename(from, { ...old, path, modifiedMs })) : false;
  },

  label(paths: string[], labels: LabelChange): number {
    return change((index) => index.label(paths, labels));
  },

  /** Takes photos out and keeps what is needed to put them back. */
  async remove(paths: string[]): Promise<{ stash: number; photos: number }> {
    const stashed: Stashed[] = [];
    for (const path of paths) {
      const [photo, embedding] = [opened().photo(path), opened().embedding(path)];
      if (!photo || !embedding) continue;
      stashed.push({ photo, embedding, thumbnail: await opened().thumbnail(path) });
    }
    change((index) => stashed.forEach(({ photo }) => index.remove(photo.path)));
    stashes.set(nextStash, stashed);
    return { stash: nextStash++, photos: stashed.length };
  },

  restore(stash: number): void {
    const stashed = stashes.get(stash);
    if (!stashed) throw new PhotorecallError('not_found', 'what was removed cannot be put back any more');
    stashes.delete(stash);
    change((index) => stashed.forEach((s) => index.put(s.photo, s.embedding, s.thumbnail)));
  },

  forget(stash: number): void {
    stashes.delete(stash);
  },

  commit(): Promise<boolean> {
    const commit = commits.then(() => opened().commit());
    commits = commit.then((changed) => changed && tell('committed'), () => undefined);
    return commit;
  },

  wantsCompaction(): boolean {
    return opened().wantsCompaction();
  },

  /** In a worker that has no index: merges a copy of what is stored of a library. */
  async mergeStored(name: string, all: boolean): Promise<Moved<Merged> | undefined> {
    const copy = await wasm().Index.openStored(name);
    // The database may be removed while the copy is worked on.
    copy?.close();
    const merged = copy?.merge(all);
    return merged && new Moved(merged, [merged.segment.buffer, merged.origins.buffer]);
  },

  /** Takes a merged segment over; false when what it was made of has changed. */
  adopt({ sources, segment, origins }: Merged): Promise<boolean> {
    // No commit may be on its way.
    const adopted = commits.then(() => change((index) => index.adopt(sources, segment, origins)));
    commits = adopted.catch(() => undefined);
    return adopted.then(async (taken) => taken && (await indexHandlers.commit(), true));
  },

  page(query: IndexQuery): FoundPage | Promise<FoundPage> {
    if (parts) return parts.page(query);
    if (foreign && query.embedding) throw foreign;
    return opened().page(query);
  },

  parseQuery(text: string): ParsedQuery {
    return wasm().parseQuery(text);
  },

  suggestDate(text: string, today: string): DateSuggestion | undefined {
    return wasm().suggestDate(text, today);
  },

  months(filter: string): Month[] {
    return opened().months(filter);
  },

  async clusters(count: number | undefined): Promise<Cluster[]> {
    await learning;
    for (let tries = 1; ; tries++) {
      const clusters = await clustersOf(opened(), count, tries < CLUSTER_TRIES);
      if (clusters) return clusters;
    }
  },

  duplicates(): Duplicates {
    return opened().duplicates();
  },

  list(k: number, offset: number): Listed {
    return opened().list(Math.min(k, MAX_COUNT), offset);
  },

  shapes(): Float32Array {
    return opened().shapes();
  },

  facets(): Facets {
    // Where filters cannot be answered, there is nothing to filter by.
    if (parts) return { favourites: 0, places: 0, years: [], albums: [], tags: [], cameras: [] };
    facets ??= opened().facets();
    return facets;
  },

  pathsBelow(folder: string): string[] {
    return opened().pathsBelow(folder);
  },

  photo(path: string): Photo | undefined {
    return (parts ?? opened()).photo(path);
  },

  photosAt(paths: string[]): (Photo | undefined)[] {
    return paths.map((path) => indexHandlers.photo(path));
  },

  pathOfDigest(digest: string): string | undefined {
    return opened().pathOfDigest(digest);
  },

  isUnchanged(path: string, bytes: number, modifiedMs: number): boolean {
    return opened().isUnchanged(path, bytes, modifiedMs);
  },

  embedding(path: string): Float32Array | undefined | Promise<Float32Array> {
    return (parts ?? opened()).embedding(path);
  },

  async thumbnail(path: string): Promise<Uint8Array | undefined> {
    // Small pictures are no part of a library's files.
    if (parts) return undefined;
    return opened().thumbnail(path);
  },

  stats(): Stats {
    return (parts ?? opened()).stats();
  },

  damaged(): Damage[] {
    // What is damaged of one that is read in parts is an error where it is read.
    if (parts) return [];
    return opened().damaged();
  },

  thumbnails(paths: string[]): Promise<[string, Uint8Array][]> {
    const pictures = paths.map(async (path): Promise<[string, Uint8Array][]> => {
      const jpeg = await opened().thumbnail(path);
      return jpeg ? [[path, jpeg]] : [];
    });
    return Promise.all(pictures).then((all) => all.flat());
  },

  /** All files of the library as they are stored, the manifest first. */
  storedFiles(manifestName: string): Promise<[string, Uint8Array][]> {
    // No commit may come between the manifest and the segments that it names.
    const files = indexHandlers.commit().then(async () => {
      const manifest = await opened().storedManifest();
      if (!manifest) throw new PhotorecallError('not_found', 'nothing is stored of this library yet');
      const all: [string, Uint8Array][] = [[manifestName, manifest]];
      for (const name of wasm().Index.segmentNames(manifest)) {
        const bytes = await opened().storedSegment(name);
        if (!bytes) throw new PhotorecallError('damaged', `the segment ${name} is not stored`);
        all.push([name, bytes]);
      }
      return all;
    });
    commits = files.catch(() => undefined);
    return files;
  },

  /** Stores a library's files and opens it, whichever model it is of. */
  async importFiles(name: string, manifest: Uint8Array, segments: Map<string, Uint8Array>): Promise<ModelRef> {
    await wasm().Index.importFiles(name, manifest, segments);
    index = await wasm().Index.openStored(name);
    facets = undefined;
    return opened().stats().model;
  },

  putThumbnails(pictures: [string, Uint8Array][]): Promise<boolean> {
    for (const [path, jpeg] of pictures) opened().putThumbnail(path, jpeg);
    return indexHandlers.commit();
  },

  verify(): Promise<Damage[]> {
    return opened().verify();
  },

  async close(): Promise<void> {
    await commits;
    parts?.close();
    index?.close();
    index = parts = undefined;
    others?.close();
    others = undefined;
    stashes.clear();
  },

  async destroy(name: string): Promise<void> {
    tell('destroyed');
    await indexHandlers.close();
    await wasm().Index.destroy(name);
  },
};

export type IndexApi = typeof indexHandlers;
