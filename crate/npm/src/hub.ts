/** A model's file from a hub: goes on where it was broken off. */
import { PhotorecallError } from './errors.js';
import type { FileEntry } from './known.js';
import type { Shelf } from './shelf.js';

/** What comes is kept in pieces of about so many bytes. */
const PIECE = 1024 * 1024;

/** Brings what is missing of a file; `told` is told how much is here. The caller checks the digest. */
export async function fetchFile(
  shelf: Shelf,
  url: URL,
  entry: FileEntry,
  signal: AbortSignal | undefined,
  told: (have: number) => void,
): Promise<void> {
  let have = await shelf.have(entry.sha256);
  if (have === entry.bytes) return;
  if (have > entry.bytes) have = await empty(shelf, entry);
  const response = await ask(url, have, signal);
  if (response.status !== 206 && have > 0) have = await empty(shelf, entry);
  const reader = response.body?.getReader();
  const pieces = new Pieces(shelf, entry, have, told);
  try {
    for (;;) {
      const next = await reader?.read();
      if (!next || next.done) break;
      await pieces.take(next.value);
    }
  } catch (thrown) {
    await pieces.flush();
    // What storing has thrown tells more than "broke off".
    if (thrown instanceof PhotorecallError) throw thrown;
    throw stoppedOr(signal, `${url.href} broke off after ${pieces.end} of ${entry.bytes} bytes; start it again to go on`, thrown);
  }
  await pieces.flush();
  if (pieces.end < entry.bytes) {
    throw new PhotorecallError('fetch', `${url.href} ended after ${pieces.end} of ${entry.bytes} bytes; start it again to go on`);
  }
}

async function empty(shelf: Shelf, entry: FileEntry): Promise<number> {
  await shelf.dropFile(entry.sha256);
  return 0;
}

/** Asks without anything that could tell who asks. */
async function ask(url: URL, from: number, signal: AbortSignal | undefined): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, {
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      cache: 'no-store',
      headers: from > 0 ? { range: `bytes=${from}-` } : {},
      signal: signal ?? null,
    });
  } catch (thrown) {
    throw stoppedOr(signal, `${url.href} cannot be reached`, thrown);
  }
  if (response.ok) return response;
  throw new PhotorecallError('fetch', `${url.href}: ${response.status} ${response.statusText}`);
}

function stoppedOr(signal: AbortSignal | undefined, message: string, cause: unknown): PhotorecallError {
  if (signal?.aborted) return new PhotorecallError('aborted', 'fetching the model was stopped', { cause });
  if (navigator.onLine === false) return new PhotorecallError('offline', `there is no network; ${message}`, { cause });
  return new PhotorecallError('fetch', message, { cause });
}

/** Gathers what comes into pieces, so that the database is not asked for each packet. */
class Pieces {
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;

  constructor(
    private readonly shelf: Shelf,
    private readonly entry: FileEntry,
    private stored: number,
    private readonly told: (have: number) => void,
  ) {}

  /** Bytes from the beginning to where the next one goes. */
  get end(): number {
    return this.stored + this.waitingBytes;
  }

  async take(bytes: Uint8Array): Promise<void> {
    if (this.end + bytes.byteLength > this.entry.bytes) {
      [this.waiting, this.waitingBytes] = [[], 0];
      await this.shelf.dropFile(this.entry.sha256);
      throw new PhotorecallError('model_file', `more than the ${this.entry.bytes} bytes of the known file came`);
    }
    this.waiting.push(bytes);
    this.waitingBytes += bytes.byteLength;
    this.told(this.end);
    if (this.waitingBytes >= PIECE) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.waitingBytes === 0) return;
    const piece = new Uint8Array(this.waitingBytes);
    let at = 0;
    for (const bytes of this.waiting) {
      piece.set(bytes, at);
      at += bytes.byteLength;
    }
    const offset = this.stored;
    this.stored += at;
    [this.waiting, this.waitingBytes] = [[], 0];
    await this.shelf.append(this.entry.sha256, offset, piece);
  }
}
