/**
 * Compaction in the background: a worker of its own merges what is stored, a segment at a time, and the index
 * takes each over in one commit. Photos are searched, added and removed meanwhile.
 *
 * ```text
 * index    commit ─ wantsCompaction ─┐                          ┌ adopt, commit ─ wantsCompaction ─ …
 * worker                             └ reads a copy, merges it ─┘ and ends, which gives its memory back
 * ```
 */
import { PhotorecallError } from './errors.js';
import type { IndexClient } from './index-client.js';
import type { Remote } from './rpc.js';
import { type Kit, startBareWorker, type WorkerApi } from './workers.js';

/** Whether a step is due is asked at most this often, in milliseconds. */
const ASK_EVERY_MS = 5000;

export class Compacting {
  private running: Promise<void> = Promise.resolve();
  private busy = false;
  private asked = -ASK_EVERY_MS;
  private worker: Remote<WorkerApi> | undefined;
  private ended = false;

  constructor(
    private readonly index: IndexClient,
    private readonly kit: Kit,
    private readonly name: string,
  ) {}

  /** After a change: begins with what is due. A failure costs the step and nothing else; it is tried again. */
  tend(): void {
    const now = performance.now();
    if (this.busy || this.ended || now - this.asked < ASK_EVERY_MS) return;
    this.asked = now;
    this.busy = true;
    void this.inTurn(() => this.steps(false))
      .catch((thrown: unknown) => this.ended || console.warn(`photorecall: compaction: ${PhotorecallError.from(thrown).message}`))
      .finally(() => (this.busy = false));
  }

  /** Merges whatever can be. */
  all(): Promise<void> {
    return this.inTurn(() => this.steps(true));
  }

  /** Stops what runs; what it was about to make is lost. */
  async end(): Promise<void> {
    this.ended = true;
    this.worker?.end(new PhotorecallError('closed', 'the library is closed'));
    await this.running;
  }

  private inTurn(act: () => Promise<void>): Promise<void> {
    const turn = this.running.then(act);
    this.running = turn.catch(() => undefined);
    return turn;
  }

  private async steps(all: boolean): Promise<void> {
    // What is changed while it is merged is merged another time, not at once and for ever.
    while (!this.ended && (all || (await this.index.call('wantsCompaction')))) {
      if (!(await this.step(all))) break;
    }
  }

  /** Whether something was merged and taken over. */
  private async step(all: boolean): Promise<boolean> {
    const worker = await startBareWorker(this.kit);
    this.worker = worker;
    try {
      if (this.ended) return false;
      const merged = await worker.call('mergeStored', this.name, all);
      return merged !== undefined && (await this.index.call('adopt', merged));
    } finally {
      worker.end(new PhotorecallError('closed', 'the segment is merged'));
      this.worker = undefined;
    }
  }
}
