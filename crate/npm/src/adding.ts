/** Adding photos: what is done with each, and the progress as its caller sees it. */
import type { Held } from './encoder-worker.js';
import { PhotorecallError } from './errors.js';
import type { IndexClient } from './index-client.js';
import { Job, type Outcome } from './job.js';
import type { Photo } from './photorecall.js';
import type { Pool } from './pool.js';
import type { AddOptions, AddProgress, NamedSource, PhotoSource } from './types.js';

/** A file that is larger is not read at all. */
const MAX_BYTES = 256 * 1024 * 1024;

/** A file with its name in the library. */
function named(source: PhotoSource): NamedSource {
  if (!(source instanceof File)) return source;
  return { path: source.webkitRelativePath || source.name, file: source };
}

/** All of them by name. */
export async function* allNamed(sources: Iterable<PhotoSource> | AsyncIterable<PhotoSource>): AsyncGenerator<NamedSource, void> {
  for await (const source of sources) yield named(source);
}

/** One call of `Library.add`. */
export class AddJob extends Job<NamedSource> {
  /** Photos of the complete folder that have not been met. */
  private gone = new Set<string>();

  constructor(
    index: IndexClient,
    pool: Pool,
    private readonly adding: AddOptions,
    tell: (progress: AddProgress) => void,
  ) {
    super(index, pool, adding, tell);
  }

  protected override async begin(queue: readonly NamedSource[]): Promise<void> {
    if (this.adding.completeFolder === undefined) return;
    this.gone = new Set(await this.index.call('pathsBelow', this.adding.completeFolder));
    for (const { path } of queue) this.gone.delete(path);
  }

  protected override async finish(): Promise<void> {
    if (this.gone.size === 0) return;
    const { photos, stash } = await this.index.call('remove', [...this.gone]);
    this.progress.removed = photos;
    this.progress.undoRemoved = async () => {
      await this.index.call('restore', stash);
      await this.index.call('commit');
    };
  }

  protected override async one({ path, file: source }: NamedSource): Promise<Outcome> {
    const file = source instanceof File ? source : await source.getFile();
    if (await this.index.call('isUnchanged', path, file.size, file.lastModified)) return 'unchanged';
    if (file.size > MAX_BYTES) {
      throw new PhotorecallError('image_too_large', `${file.size} bytes are more than the limit of ${MAX_BYTES}`);
    }
    const facts = { path, bytes: file.size, modifiedMs: file.lastModified };
    let known: Outcome | undefined;
    const encoded = await this.pool.encode(file, this.adding.trimBorders ?? false, async (held) => {
      known = await this.knownAs(facts, held);
      return known !== undefined;
    });
    if (!encoded) return known ?? 'unchanged';
    const { embedding, thumbnail, ...about } = encoded;
    await this.index.call('put', { ...facts, ...about }, embedding, thumbnail);
    return 'added';
  }

  /** The same bytes are in the library: a rename, or a copy that needs no encoding. */
  private async knownAs(
    facts: Pick<Photo, 'path' | 'bytes' | 'modifiedMs'>,
    { digest }: Held,
  ): Promise<Outcome | undefined> {
    const of = await this.index.call('pathOfDigest', digest);
    if (of === undefined) return undefined;
    if (of === facts.path || this.gone.delete(of)) {
      const known = await this.index.call('renameTo', of, facts.path, facts.modifiedMs);
      return known ? (of === facts.path ? 'unchanged' : 'renamed') : undefined;
    }
    const photo: Photo = { ...facts, digest, width: 0, height: 0 };
    return (await this.index.call('putCopy', of, photo)) ? 'added' : undefined;
  }
}

/** Progress as it comes: iterate over it, or await the end. Leaving the loop stops the adding. */
export class Adding implements AsyncIterable<AddProgress>, PromiseLike<AddProgress> {
  private latest: AddProgress | undefined;
  private wake: (() => void) | undefined;
  private over = false;

  constructor(
    private readonly end: Promise<AddProgress>,
    private readonly stop: () => void,
  ) {
    const finish = (): void => {
      this.over = true;
      this.wake?.();
    };
    end.then(finish, finish);
  }

  /** Called by the job. */
  tell(progress: AddProgress): void {
    this.latest = progress;
    this.wake?.();
  }

  then<A = AddProgress, B = never>(
    done?: ((progress: AddProgress) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.end.then(done, failed);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AddProgress, void> {
    try {
      for (;;) {
        const progress = this.latest;
        this.latest = undefined;
        if (progress) yield progress;
        else if (this.over) break;
        else await new Promise<void>((resolve) => (this.wake = resolve));
      }
      await this.end;
    } finally {
      if (!this.over) this.stop();
    }
  }
}
