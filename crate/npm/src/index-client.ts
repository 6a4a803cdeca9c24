/**
 * The worker that has the index, as its callers see it. One that crashes is started anew, from what is
 * stored, and the call is made once more; when that crashes too, its caller is told.
 */
import { PhotorecallError } from './errors.js';
import type { Remote } from './rpc.js';
import type { WorkerApi } from './workers.js';

type Call = Remote<WorkerApi>['call'];

export class IndexClient {
  /** Counts the workers that there were: what was not committed in an earlier one is lost. */
  epoch = 0;
  private remote: Promise<Remote<WorkerApi>>;
  private closed: PhotorecallError | undefined;

  constructor(
    first: Remote<WorkerApi>,
    private readonly restart: () => Promise<Remote<WorkerApi>>,
  ) {
    this.remote = Promise.resolve(first);
  }

  /** As `Remote.call`. */
  readonly call: Call = async (method, ...args) => {
    const { epoch } = this;
    const remote = await this.remote;
    try {
      return await remote.call(method, ...args);
    } catch (thrown) {
      const error = PhotorecallError.from(thrown);
      if (error.code !== 'crashed' || this.closed) throw error;
      const fresh = await this.renew(epoch, remote, error);
      return fresh.call(method, ...args).catch((again: unknown) => this.crashedTwice(method, again));
    }
  };

  /** Does several calls that belong together; all of them once more when the worker crashed among them. */
  async together<T>(act: () => Promise<T>): Promise<T> {
    const { epoch } = this;
    const value = await act();
    return this.epoch === epoch ? value : act();
  }

  /** Ends the worker. */
  async end(error: PhotorecallError): Promise<void> {
    this.closed = error;
    await this.remote.then((remote) => remote.end(error), () => undefined);
  }

  /** A new worker in place of one that crashed; callers that meet the same crash share it. */
  private renew(epoch: number, crashed: Remote<WorkerApi>, error: PhotorecallError): Promise<Remote<WorkerApi>> {
    if (this.epoch === epoch) {
      console.warn(`photorecall: the index's worker crashed and is started anew: ${error.message}`);
      this.epoch++;
      crashed.end(error);
      this.remote = this.restart().catch((thrown: unknown) => {
        const reason = PhotorecallError.from(thrown).message;
        throw new PhotorecallError('closed', `the index's worker crashed (${error.message}) and could not be started again: ${reason}`);
      });
      // Whoever calls is told; nobody else has to be.
      this.remote.catch(() => undefined);
    }
    return this.remote;
  }

  private crashedTwice(method: string, thrown: unknown): never {
    const error = PhotorecallError.from(thrown);
    if (error.code !== 'crashed') throw error;
    throw new PhotorecallError('crashed', `the index's worker crashed twice at ${method}: ${error.message}. What was stored is safe.`);
  }
}
