/** Filling a library from another one: the same photos in another model's space. */
import type { IndexClient } from './index-client.js';
import { Job, type Outcome } from './job.js';
import type { LabelChange, Photo } from './photorecall.js';
import type { Pool } from './pool.js';
import type { AddProgress, ReindexOptions } from './types.js';

/** The library that the photos come from. */
export interface Donor {
  thumbnail(path: string): Promise<Blob | undefined>;
}

/** One call of `Library.reindex`. */
export class ReindexJob extends Job<Photo> {
  /** What is here already, by path. */
  private readonly here = new Map<string, Photo>();

  constructor(
    index: IndexClient,
    pool: Pool,
    private readonly donor: Donor,
    private readonly reindexing: ReindexOptions,
    tell: (progress: AddProgress) => void,
  ) {
    super(index, pool, reindexing, tell);
  }

  /** Photos that the other library has no more are not wanted here either. */
  protected override async begin(queue: readonly Photo[]): Promise<void> {
    const { photos: here } = await this.index.call('list', Infinity, 0);
    for (const photo of here) this.here.set(photo.path, photo);
    const gone = new Set(this.here.keys());
    for (const { path } of queue) gone.delete(path);
    if (gone.size === 0) return;
    const { photos, stash } = await this.index.call('remove', [...gone]);
    await this.index.call('forget', stash);
    this.progress.removed = photos;
  }

  protected override async one(photo: Photo): Promise<Outcome> {
    const here = this.here.get(photo.path);
    if (here?.digest === photo.digest) {
      const change = changeBetween(here, photo);
      if (change) await this.index.call('label', [photo.path], change);
      return 'unchanged';
    }
    const thumbnail = await this.donor.thumbnail(photo.path);
    const encoded = await this.encode(photo, thumbnail);
    const small = thumbnail ? new Uint8Array(await thumbnail.arrayBuffer()) : encoded.thumbnail;
    // What is known of the photo stays, only the vector is new.
    await this.index.call('put', photo, encoded.embedding, small);
    return 'added';
  }

  /** The photo's file where it is as it was when it was indexed, else its small picture. */
  private async encode(photo: Photo, thumbnail: Blob | undefined): Promise<{ embedding: Float32Array; thumbnail: Uint8Array }> {
    const file = await this.reindexing.file?.(photo.path).catch(() => undefined);
    const same = file && file.size === photo.bytes && file.lastModified === photo.modifiedMs;
    const source = same ? file : (thumbnail ?? file);
    if (!source) throw new Error('neither the photo nor its small picture is here');
    const encoded = await this.pool.encode(source, false);
    if (!encoded) throw new Error('the photo was not encoded');
    return encoded;
  }
}

/** What makes one photo's labels the other one's; undefined where they are. */
function changeBetween(here: Photo, there: Photo): LabelChange | undefined {
  const without = (all: string[] = [], others: string[] = []): string[] => all.filter((word) => !others.includes(word));
  const favourite = there.favourite ?? false;
  const words = {
    addAlbums: without(there.albums, here.albums),
    removeAlbums: without(here.albums, there.albums),
    addTags: without(there.tags, here.tags),
    removeTags: without(here.tags, there.tags),
  };
  const same = favourite === (here.favourite ?? false) && Object.values(words).every((list) => list.length === 0);
  return same ? undefined : { favourite, ...words };
}
