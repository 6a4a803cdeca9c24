/** Work through many photos: lanes, commits now and then, how far it is. */
import { PhotorecallError } from './errors.js';
import type { IndexClient } from './index-client.js';
import { PHOTOS_PER_WORKER, type Pool } from './pool.js';
import type { AddProgress, JobOptions } from './types.js';

/** Changes are made to last at least this often, in milliseconds. */
const COMMIT_EVERY_MS = 3000;
/** Progress is told at most this often. */
const TELL_EVERY_MS = 100;
/** Photos that the rate is taken from. */
const RATE_WINDOW = 40;

/** What came of a photo. */
export type Outcome = 'added' | 'unchanged' | 'renamed';

/** A photo whose outcome is not committed yet. */
interface Unsaved<Item> {
  item: Item;
  outcome: Outcome;
  /** The worker's that has it. */
  epoch: number;
}

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
  private queue: Item[] = [];
  private next = 0;
  private unsaved: Unsaved<Item>[] = [];
  /** What came of photos that may have been lost: done again, they may be found unchanged. */
  private readonly before = new Map<Item, Outcome>();
  private readonly finishedAt: number[] = [];
  private lastTold = 0;
  private lastCommit = performance.now();
  private committing: Promise<unknown> | undefined;
  private failure: PhotorecallError | undefined;

  constructor(
    protected readonly index: IndexClient,
    protected readonly pool: Pool,
    protected readonly options: JobOptions,
    private readonly tell: (progress: AddProgress) => void,
  ) {}

  /** Does one item; what it throws is why the photo is skipped. */
  protected abstract one(item: Item): Promise<Outcome>;

  /** Before the first item. */
  protected async begin(_queue: readonly Item[]): Promise<void> {}

  /** After the last one, unless the job was stopped. */
  protected async finish(): Promise<void> {}

  /** Does all of them; resolves when what came of them is stored. */
  async run(items: Iterable<Item> | AsyncIterable<Item>): Promise<AddProgress> {
    for await (const item of items) this.queue.push(item);
    this.progress.total = this.queue.length;
    await this.begin(this.queue);
    this.report(true);
    // Once as a rule; what a crashed worker has lost is done again.
    do {
      await Promise.all(Array.from({ length: this.pool.size * PHOTOS_PER_WORKER }, () => this.lane()));
      if (!this.stopped) await this.finish();
      await this.committing;
      await this.commit();
    } while (this.next < this.queue.length && !this.stopped);
    this.report(true);
    if (this.failure) throw this.failure;
    if (this.options.signal?.aborted) throw new PhotorecallError('aborted', 'adding photos was stopped');
    return this.snapshot();
  }

  private async lane(): Promise<void> {
    while (this.next < this.queue.length && !this.stopped) {
      await this.options.gate?.();
      const item = this.queue[this.next];
      if (!item || this.stopped) return;
      this.next++;
      await this.oneOrSkip(item);
    }
  }

  private get stopped(): boolean {
    return this.failure !== undefined || (this.options.signal?.aborted ?? false);
  }

  /** Whatever is wrong with a photo is noted, only a failing store ends the job. */
  private async oneOrSkip(item: Item): Promise<void> {
    const { epoch } = this.index;
    try {
      const found = await this.one(item);
      const outcome = found === 'unchanged' ? (this.before.get(item) ?? found) : found;
      this.unsaved.push({ item, outcome, epoch });
      this.progress[outcome]++;
      if (outcome === 'added') this.noteTime();
    } catch (thrown) {
      const { code, message } = PhotorecallError.from(thrown);
      if (code === 'closed') this.failure = PhotorecallError.from(thrown);
      else this.progress.skipped.push({ path: item.path, code, reason: message });
    }
    this.progress.done++;
    this.report(false);
    this.commitSometimes();
  }

  /** The rate is taken from photos that were added. */
  private noteTime(): void {
    this.finishedAt.push(performance.now());
    if (this.finishedAt.length > RATE_WINDOW) this.finishedAt.shift();
  }

  /** Makes what was done last. */
  private async commit(): Promise<void> {
    const { epoch } = this.index;
    const batch = this.unsaved.splice(0);
    await this.index.call('commit');
    const lost = batch.filter((one) => one.epoch !== this.index.epoch || epoch !== this.index.epoch);
    for (const { item, outcome } of lost) {
      this.queue.push(item);
      this.before.set(item, outcome);
      this.progress[outcome]--;
      this.progress.done--;
    }
  }

  private commitSometimes(): void {
    if (this.committing || performance.now() - this.lastCommit < COMMIT_EVERY_MS) return;
    this.committing = this.commit()
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
