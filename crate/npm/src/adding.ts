/** Adding photos: who is next, what came of it, how far it is. */
import type { Held } from './encoder-worker.js';
import { PhotorecallError } from './errors.js';
import type { Photo } from './photorecall.js';
import { PHOTOS_PER_WORKER, type Pool } from './pool.js';
import type { Remote } from './rpc.js';
import type { AddOptions, AddProgress, NamedSource, PhotoSource } from './types.js';
import type { WorkerApi } from './workers.js';

/** Changes are made to last at least this often, in milliseconds. */
const COMMIT_EVERY_MS = 3000;
/** Progress is told at most this often. */
const TELL_EVERY_MS = 100;
/** Photos that the rate is taken from. */
const RATE_WINDOW = 40;
/** A file that is larger is not read at all. */
const MAX_BYTES = 256 * 1024 * 1024;

/** A file with its name in the library. */
export function named(source: PhotoSource): NamedSource {
  if (!(source instanceof File)) return source;
  return { path: source.webkitRelativePath || source.name, file: source };
}

/** One call of `Library.add`. */
export class AddJob {
  private readonly progress: AddProgress = {
    done: 0,
    total: 0,
    added: 0,
    unchanged: 0,
    renamed: 0,
    removed: 0,
    skipped: [],
    rate: 0,
    etaMs: undefined,
  };
  private readonly finishedAt: number[] = [];
  /** Photos of the complete folder that have not been met. */
  private gone = new Set<string>();
  private lastTold = 0;
  private lastCommit = performance.now();
  private committing: Promise<unknown> | undefined;
  private failure: PhotorecallError | undefined;

  constructor(
    private readonly index: Remote<WorkerApi>,
    private readonly pool: Pool,
    private readonly options: AddOptions,
    private readonly tell: (progress: AddProgress) => void,
  ) {}

  /** Adds all photos; resolves when they are stored. */
  async run(sources: Iterable<PhotoSource> | AsyncIterable<PhotoSource>): Promise<AddProgress> {
    const queue: NamedSource[] = [];
    for await (const source of sources) queue.push(named(source));
    this.progress.total = queue.length;
    await this.findGone(queue);
    this.report(true);
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < queue.length && !this.stopped) {
        await this.options.gate?.();
        const source = queue[next];
        if (!source || this.stopped) return;
        next++;
        await this.one(source);
      }
    };
    await Promise.all(Array.from({ length: this.pool.size * PHOTOS_PER_WORKER }, lane));
    if (!this.stopped && this.gone.size > 0) {
      const { photos, stash } = await this.index.call('remove', [...this.gone]);
      await this.index.call('forget', stash);
      this.progress.removed = photos;
    }
    await this.committing;
    await this.index.call('commit');
    this.report(true);
    if (this.failure) throw this.failure;
    this.throwIfAborted();
    return this.snapshot();
  }

  private get stopped(): boolean {
    return this.failure !== undefined || (this.options.signal?.aborted ?? false);
  }

  private throwIfAborted(): void {
    if (this.options.signal?.aborted) throw new PhotorecallError('aborted', 'adding photos was stopped');
  }

  private async findGone(queue: NamedSource[]): Promise<void> {
    if (this.options.completeFolder === undefined) return;
    this.gone = new Set(await this.index.call('pathsBelow', this.options.completeFolder));
    for (const { path } of queue) this.gone.delete(path);
  }

  /** One photo; whatever is wrong with it is noted, only a failing store ends the job. */
  private async one({ path, file: source }: NamedSource): Promise<void> {
    try {
      const file = source instanceof File ? source : await source.getFile();
      if (await this.index.call('isUnchanged', path, file.size, file.lastModified)) {
        this.progress.unchanged++;
      } else if (file.size > MAX_BYTES) {
        throw new PhotorecallError('image_too_large', `${file.size} bytes are more than the limit of ${MAX_BYTES}`);
      } else {
        await this.take(path, file);
      }
    } catch (thrown) {
      const { code, message } = PhotorecallError.from(thrown);
      if (code === 'closed') this.failure = PhotorecallError.from(thrown);
      else this.progress.skipped.push({ path, code, reason: message });
    }
    this.progress.done++;
    this.report(false);
    this.commitSometimes();
  }

  private async take(path: string, file: File): Promise<void> {
    const facts = { path, bytes: file.size, modifiedMs: file.lastModified };
    const encoded = await this.pool.encode(file, this.options.trimBorders ?? false, (held) =>
      this.isKnown(facts, held),
    );
    if (!encoded) return;
    const { embedding, thumbnail, ...about } = encoded.photo;
    await this.index.call('put', { ...facts, ...about }, embedding, thumbnail);
    this.progress.added++;
    this.finishedAt.push(performance.now());
    if (this.finishedAt.length > RATE_WINDOW) this.finishedAt.shift();
  }

  /** The same bytes are in the library: a rename, or a copy that needs no encoding. */
  private async isKnown(facts: Pick<Photo, 'path' | 'bytes' | 'modifiedMs'>, { digest }: Held): Promise<boolean> {
    const of = await this.index.call('pathOfDigest', digest);
    if (of === undefined) return false;
    const photo: Photo = { ...facts, digest, width: 0, height: 0 };
    if (of === facts.path || this.gone.delete(of)) {
      const known = await this.index.call('renameTo', of, facts.path, facts.modifiedMs);
      if (known) of === facts.path ? this.progress.unchanged++ : this.progress.renamed++;
      return known;
    }
    const known = await this.index.call('putCopy', of, photo);
    if (known) this.progress.added++;
    return known;
  }

  private commitSometimes(): void {
    if (this.committing || performance.now() - this.lastCommit < COMMIT_EVERY_MS) return;
    this.committing = this.index
      .call('commit')
      .catch((thrown: unknown) => {
        this.failure = PhotorecallError.from(thrown);
      })
      .finally(() => {
        this.committing = undefined;
        this.lastCommit = performance.now();
      });
  }

  private snapshot(): AddProgress {
    return { ...this.progress, skipped: [...this.progress.skipped] };
  }

  private report(always: boolean): void {
    const now = performance.now();
    if (!always && now - this.lastTold < TELL_EVERY_MS) return;
    this.lastTold = now;
    const [first, last] = [this.finishedAt[0], this.finishedAt.at(-1)];
    if (first !== undefined && last !== undefined && last > first) {
      this.progress.rate = ((this.finishedAt.length - 1) * 1000) / (last - first);
      this.progress.etaMs = ((this.progress.total - this.progress.done) * 1000) / this.progress.rate;
    }
    this.tell(this.snapshot());
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
