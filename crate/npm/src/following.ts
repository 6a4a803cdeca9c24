/** Tabs that have one library open: one writes to it, the others read it and follow what is written. */
import { PhotorecallError } from './errors.js';
import type { Follow } from './types.js';

/** How long another tab may take to let go of the library, as while a page is reloaded. */
const LOCK_WAIT_MS = 3000;
/** The same for a tab that can follow it meanwhile. */
const FOLLOW_AFTER_MS = 1000;

/** A tab that is reloaded has its library back after so long. */
const RELOAD_MS = 1500;

/** What the writer's worker tells the other tabs. */
export type Told = 'committed' | 'destroyed';

/** Where it tells it; also the name of the writer's lock. */
export function channelOf(name: string): string {
  return `photorecall:${name}`;
}

/** Two tabs that write to one library would lose each other's photos. */
export async function lock(name: string, follows: boolean): Promise<() => void> {
  // Without the Web Locks API (an insecure context) there is nothing to ask.
  if (!navigator.locks) return () => undefined;
  return new Promise((resolve, reject) => {
    const held = navigator.locks.request(
      channelOf(name),
      { signal: AbortSignal.timeout(follows ? FOLLOW_AFTER_MS : LOCK_WAIT_MS) },
      () => new Promise<void>((release) => resolve(release)),
    );
    held.catch(() => reject(new PhotorecallError('locked', `the library ${name} is open in another tab`)));
  });
}

/** Follows the writer: reads the library again after each of its commits. Returns how to stop. */
export function follow(name: string, library: { reopen(): Promise<unknown>; close(): Promise<unknown> }, told: Follow): () => void {
  const stop = new AbortController();
  const channel = new BroadcastChannel(channelOf(name));
  let reading: Promise<unknown> | undefined;
  let again = false;
  const read = async (): Promise<void> => {
    do {
      again = false;
      // One that fails is not the last: the next commit is read again.
      await library.reopen().catch(() => undefined);
    } while (again);
    reading = undefined;
    if (!stop.signal.aborted) told('changed');
  };
  channel.onmessage = async ({ data }: MessageEvent<Told>) => {
    if (data === 'destroyed') {
      // The database is not removed before every tab has let go of it.
      await reading;
      await library.close().catch(() => undefined);
      told('gone');
    } else if (reading) again = true;
    else reading = read();
  };
  const watch = async (): Promise<void> => {
    const request = (options: LockOptions): Promise<boolean> =>
      navigator.locks.request(channelOf(name), options, (lock) => lock !== null);
    do {
      await request({ signal: stop.signal });
      await new Promise((resolve) => setTimeout(resolve, RELOAD_MS));
    } while (!(await request({ ifAvailable: true })));
    if (!stop.signal.aborted) told('free');
  };
  watch().catch(() => undefined);
  return () => {
    stop.abort();
    channel.close();
  };
}
