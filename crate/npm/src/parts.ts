/**
 * A library on a static host, read in parts: the coarse part first, then what each query needs, by HTTP
 * ranges.
 *
 * ```text
 * page(query) ─▶ needs: spans ─┬─ kept in this browser ─┬▶ give ─▶ page(query) ─▶ … ─▶ ready
 *                              └─ fetched, then kept ───┘   each block's checksum is looked at
 * ```
 */
import { PhotorecallError } from './errors.js';
import { wasm } from './glue.js';
import { fetchBytes } from './model.js';
import type { FoundPage, IndexQuery, ModelRef, Photo, Read, RemoteFile, RemoteIndex, Span, Stats } from './photorecall.js';
import { Spans } from './spans.js';

/** Libraries of more bytes are read in parts where they can be. */
const WHOLE_MOST = 128 * 1024 * 1024;
/** Bytes that are kept in this browser, of all libraries. */
export const KEPT_MOST = 256 * 1024 * 1024;
/** Spans with a smaller gap between them are fetched together: a request costs more than that. */
const GAP = 4096;
/** A question that is put more often than this would never be answered. */
const ROUNDS = 12;
/** Requests on their way at once. */
const AT_ONCE = 16;

/** Spans of a segment that are fetched together. */
interface Group {
  segment: string;
  start: number;
  end: number;
  spans: Span[];
}

/** Whether a library is better read in parts than fetched whole. */
export function prefersParts(manifest: Uint8Array): boolean {
  return (wasm().RemoteIndex.wholeBytes(manifest) ?? 0) > WHOLE_MOST;
}

export class Parts {
  /** Questions follow one another: what is given for one may be let go of by the next. */
  private asked: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly folder: URL,
    private readonly index: RemoteIndex,
    /** What tells a segment from another one of its name: its checksums' checksum. */
    private readonly versions: Map<string, number>,
    private readonly kept: Spans,
  ) {}

  /** Fetches what comes before any query. */
  static async open(folder: URL, manifest: Uint8Array, model: ModelRef, most = KEPT_MOST): Promise<Parts> {
    const kept = await Spans.open(most);
    const files = wasm().RemoteIndex.files(manifest);
    const keyOf = ({ name, crc32 }: RemoteFile): string => `${new URL(name, folder).href}#${crc32}`;
    const here = await kept.get(files.map(keyOf));
    const missing = files.filter((file) => here.get(keyOf(file))?.byteLength !== file.bytes);
    const fetched = await inTurns(missing, async (file): Promise<[string, Uint8Array]> => {
      const bytes = await fetchBytes(new URL(file.name, folder));
      here.set(keyOf(file), bytes);
      return [keyOf(file), bytes];
    });
    const bytes = new Map(files.map((file) => [file.name, here.get(keyOf(file)) ?? new Uint8Array()]));
    let index: RemoteIndex;
    try {
      index = wasm().RemoteIndex.open(manifest, bytes);
    } catch (thrown) {
      // What is kept may be what is wrong: the next time it is fetched.
      await Promise.all(files.map((file) => kept.delete(keyOf(file))));
      throw thrown;
    }
    index.requireModel(model);
    await kept.put(new Map(fetched));
    const versions = new Map(files.map(({ name, crc32 }) => [stem(name), crc32]));
    return new Parts(folder, index, versions, kept);
  }

  page(query: IndexQuery): Promise<FoundPage> {
    return this.answer(() => this.index.page(query));
  }

  /** The vector of a photo that was found before. */
  embedding(path: string): Promise<Float32Array> {
    return this.answer(() => this.index.embedding(path));
  }

  /** A photo that was found before. */
  photo(path: string): Photo | undefined {
    return this.index.photo(path);
  }

  stats(): Stats {
    return this.index.stats();
  }

  setVocabulary(vectors: Float32Array): void {
    this.index.setVocabulary(vectors);
  }

  close(): void {
    this.kept.close();
  }

  private answer<T>(ask: () => Read<T>): Promise<T> {
    const answer = this.asked.then(async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const read = ask();
        if ('ready' in read) return read.ready;
        await this.bring(read.needs);
      }
      throw new PhotorecallError('unexpected', `no answer after ${ROUNDS} rounds of reading`);
    });
    this.asked = answer.catch(() => undefined);
    return answer;
  }

  /** Gives the index all of these spans. */
  private async bring(spans: Span[]): Promise<void> {
    const here = await this.kept.get(spans.map((span) => this.keyOf(span)));
    const missing: Span[] = [];
    for (const span of spans) {
      const bytes = here.get(this.keyOf(span));
      if (!bytes) missing.push(span);
      else if (!this.isGiven(span, bytes)) {
        await this.kept.delete(this.keyOf(span));
        missing.push(span);
      }
    }
    const fetched = await inTurns(grouped(missing), async (group) => {
      const bytes = await fetchRange(new URL(group.segment, this.folder), group.start, group.end);
      return group.spans.map((span): [string, Uint8Array] => {
        const part = bytes.slice(span.start - group.start, span.end - group.start);
        this.index.give(span.segment, span.start, part);
        return [this.keyOf(span), part];
      });
    });
    await this.kept.put(new Map(fetched.flat()));
  }

  private isGiven({ segment, start }: Span, bytes: Uint8Array): boolean {
    try {
      this.index.give(segment, start, bytes);
      return true;
    } catch {
      return false;
    }
  }

  private keyOf({ segment, start, end }: Span): string {
    return `${new URL(segment, this.folder).href}#${this.versions.get(stem(segment))}:${start}-${end}`;
  }
}

function stem(name: string): string {
  return name.slice(0, name.lastIndexOf('.'));
}

/** Spans that lie close together, in order; they come sorted. */
function grouped(spans: Span[]): Group[] {
  const groups: Group[] = [];
  for (const span of spans) {
    const last = groups.at(-1);
    if (last?.segment === span.segment && span.start - last.end <= GAP) {
      last.end = Math.max(last.end, span.end);
      last.spans.push(span);
    } else {
      groups.push({ ...span, spans: [span] });
    }
  }
  return groups;
}

/** Bytes `start` to before `end` of what lies at an address. */
async function fetchRange(url: URL, start: number, end: number): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url, { headers: { range: `bytes=${start}-${end - 1}` } });
  } catch (cause) {
    throw new PhotorecallError('fetch', `${url.href} cannot be reached`, { cause });
  }
  if (response.status !== 206) {
    // A host that sends the whole file is not listened to.
    await response.body?.cancel();
    if (!response.ok) throw new PhotorecallError('fetch', `${url.href}: ${response.status} ${response.statusText}`);
    throw new PhotorecallError('no_ranges', `${url.host} does not answer range requests (it sent status ${response.status} in place of 206): put the library on a host that does, or open it whole`);
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.byteLength !== end - start) {
    throw new PhotorecallError('damaged', `${url.href}: ${bytes.byteLength} bytes in place of ${end - start}; the file is not the one that the manifest names`);
  }
  return bytes;
}

/** Does all, some of them at once; the first failure is thrown. */
async function inTurns<T, R>(all: T[], act: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const turn = async (): Promise<void> => {
    for (let at = next++; at < all.length; at = next++) results[at] = await act(all[at] as T);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, all.length) }, turn));
  return results;
}
