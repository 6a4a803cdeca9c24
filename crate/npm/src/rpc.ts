/**
 * Calls between the page and its workers: a request has an id, a method and its arguments; the answer
 * has the same id.
 */
import { PhotorecallError } from './errors.js';

interface Request {
  id: number;
  method: string;
  args: readonly unknown[];
}

type Response =
  | { id: number; value: unknown }
  | { id: number; code: string; message: string };

/** The methods that a worker serves. */
export type Handlers = Record<string, (...args: never[]) => unknown>;

/** A handler's type as its caller sees it. */
type Result<H, M extends keyof H> = H[M] extends (...args: never[]) => infer R ? Awaited<R> : never;
type Args<H, M extends keyof H> = H[M] extends (...args: infer A) => unknown ? A : never;

/** A value with what moves instead of being copied. */
export class Moved<T> {
  constructor(
    readonly value: T,
    readonly transfer: Transferable[],
  ) {}
}

/** What the caller of a handler gets of its value. */
type Unmoved<T> = T extends Moved<infer V> ? V : T;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: PhotorecallError): void;
}

/** The page's end. */
export class Remote<H> {
  private readonly waiting = new Map<number, Waiting>();
  private next = 0;
  private ended: PhotorecallError | undefined;

  constructor(private readonly worker: Worker) {
    worker.onmessage = (event: MessageEvent<Response>) => this.settle(event.data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.end(new PhotorecallError('crashed', event.message || 'the worker did not start'));
    };
  }

  /** Requests that are not answered yet. */
  get pending(): number {
    return this.waiting.size;
  }

  call<M extends keyof H & string>(method: M, ...args: Args<H, M>): Promise<Unmoved<Result<H, M>>> {
    return new Promise((resolve, reject) => {
      if (this.ended) return reject(this.ended);
      const id = this.next++;
      this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      const request: Request = { id, method, args };
      this.worker.postMessage(request);
    });
  }

  /** Ends the worker; what was not answered fails with `error`. */
  end(error: PhotorecallError): void {
    this.ended ??= error;
    this.worker.terminate();
    for (const { reject } of this.waiting.values()) reject(this.ended);
    this.waiting.clear();
  }

  private settle(response: Response): void {
    const waiting = this.waiting.get(response.id);
    this.waiting.delete(response.id);
    if ('value' in response) waiting?.resolve(response.value);
    else waiting?.reject(new PhotorecallError(response.code, response.message));
  }
}

/** The part of a worker's global scope that is needed here. */
interface Scope {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(message: Response, transfer: Transferable[]): void;
}

/** The worker's end. */
export function serve(handlers: Handlers): void {
  const scope = self as unknown as Scope;
  scope.onmessage = async ({ data: { id, method, args } }) => {
    try {
      const handler = handlers[method];
      if (!handler) throw new PhotorecallError('unexpected', `no method ${method}`);
      const value = await handler(...(args as never[]));
      const moved = value instanceof Moved ? value : new Moved(value, []);
      scope.postMessage({ id, value: moved.value }, moved.transfer);
    } catch (thrown) {
      const { code, message } = PhotorecallError.from(thrown);
      scope.postMessage({ id, code, message }, []);
    }
  };
}
