/** Work through many photos: lanes, commits now and then, how far it is. */
import { PhotorecallError } from './errors.js';
import { PHOTOS_PER_WORKER, type Pool } from './pool.js';
import type { Remote } from './rpc.js';
import type { AddProgress, JobOptions } from './types.js';
import type { WorkerApi } from './workers.js';

/** Changes are made to last at least this often, in milliseconds. */
const COMMIT_EVERY_MS = 3000;
/** Progress is told at most this often. */
const TELL_EVERY_MS = 100;
/** Photos that the rate is taken from. */
const RATE_WINDOW = 40;

/** One run over items of a kind, each of them a photo. */
export abstract class Job<Item extends { path: string }> {
  protected readonly progress: AddProgress = {
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
  private lastTold = 0;
  private lastCommit = performance.now();
  private committing: Promise<unknown> | undefined;
  private failure: PhotorecallError | undefined;

  constructor(
    protected readonly index: Remote<WorkerApi>,
    protected readonly pool: Pool,
    protected readonly options: JobOptions,
    private readonly tell: (progress: AddProgress) => void,
  ) {}

  /** Does one item; what it throws is why the photo is skipped. */
  protected abstract one(item: Item): Promise<void>;

  /** Before the first item. */
  protected async begin(_queue: readonly Item[]): Promise<void> {}

  /** After the last one, unless the job was stopped. */
  protected async finish(): Promise<void> {}

  /** Does all of them; resolves when what came of them is stored. */
  async run(items: Iterable<Item> | AsyncIterable<Item>): Promise<AddProgress> {
    const queue: Item[] = [];
    for await (const item of items) queue.push(item);
    this.progress.total = queue.length;
    await this.begin(queue);
    this.report(true);
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < queue.length && !this.stopped) {
        await this.options.gate?.();
        const item = queue[next];
        if (!item || this.stopped) return;
        next++;
        await this.oneOrSkip(item);
      }
    };
    await Promise.all(Array.from({ length: this.pool.size * PHOTOS_PER_WORKER }, lane));
    if (!this.stopped) await this.finish();
    await this.committing;
    await this.index.call('commit');
    this.report(true);
    if (this.failure) throw this.failure;
    if (this.options.signal?.aborted) throw new PhotorecallError('aborted', 'adding photos was stopped');
    return this.snapshot();
  }

  private get stopped(): boolean {
    return this.failure !== undefined || (this.options.signal?.aborted ?? false);
  }

  /** Whatever is wrong with a photo is noted, only a failing store ends the job. */
  private async oneOrSkip(item: Item): Promise<void> {
    try {
      await this.one(item);
    } catch (thrown) {
      const { code, message } = PhotorecallError.from(thrown);
      if (code === 'closed') this.failure = PhotorecallError.from(thrown);
      else this.progress.skipped.push({ path: item.path, code, reason: message });
    }
    this.progress.done++;
    this.report(false);
    this.commitSometimes();
  }

  /** A photo was encoded and put: the rate is taken from such. */
  protected countAdded(): void {
    this.progress.added++;
    this.finishedAt.push(performance.now());
    if (this.finishedAt.length > RATE_WINDOW) this.finishedAt.shift();
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
