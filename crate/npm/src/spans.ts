/**
 * Parts of libraries on hosts, kept in this browser: so many bytes at most, those that were not used for the
 * longest time go first. Whoever takes bytes from here checks them as if they came from the host.
 *
 * ```text
 * database photorecall-parts
 *   bytes  key ─▶ Uint8Array
 *   uses   key ─▶ { bytes, used }
 * ```
 * Without storage, as in some private windows, nothing is kept and everything works.
 */
const DATABASE = 'photorecall-parts';

interface Use {
  bytes: number;
  /** Milliseconds since 1970. */
  used: number;
}

export class Spans {
  private constructor(
    private readonly database: IDBDatabase | undefined,
    private readonly most: number,
  ) {}

  /** `most` bytes are kept. */
  static open(most: number): Promise<Spans> {
    return new Promise((resolve) => {
      const none = (): void => resolve(new Spans(undefined, most));
      try {
        const request = indexedDB.open(DATABASE, 1);
        request.onupgradeneeded = () => ['bytes', 'uses'].forEach((name) => request.result.createObjectStore(name));
        request.onsuccess = () => {
          // Another tab that deletes everything must not wait for this one.
          request.result.onversionchange = () => request.result.close();
          resolve(new Spans(request.result, most));
        };
        request.onerror = none;
      } catch {
        none();
      }
    });
  }

  close(): void {
    this.database?.close();
  }

  /** What is kept under these keys. */
  async get(keys: string[]): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    await this.change(({ bytes, uses }) => {
      for (const key of keys) {
        const request = bytes.get(key) as IDBRequest<Uint8Array | undefined>;
        request.onsuccess = () => {
          if (!request.result) return;
          found.set(key, request.result);
          uses.put({ bytes: request.result.byteLength, used: Date.now() } satisfies Use, key);
        };
      }
    });
    return found;
  }

  /** Keeps bytes, and lets go of the oldest when there are too many. */
  put(parts: Map<string, Uint8Array>): Promise<void> {
    return this.change(({ bytes, uses }) => {
      for (const [key, part] of parts) {
        bytes.put(part, key);
        uses.put({ bytes: part.byteLength, used: Date.now() } satisfies Use, key);
      }
      const keys = uses.getAllKeys() as IDBRequest<string[]>;
      const all = uses.getAll() as IDBRequest<Use[]>;
      all.onsuccess = () => {
        for (const key of tooOld(keys.result, all.result, this.most)) [bytes, uses].forEach((store) => store.delete(key));
      };
    });
  }

  /** Lets go of what turned out to be damaged. */
  delete(key: string): Promise<void> {
    return this.change(({ bytes, uses }) => [bytes, uses].forEach((store) => store.delete(key)));
  }

  /** A failure, such as a full disk, keeps nothing; that is no failure of whoever asked. */
  private change(act: (stores: { bytes: IDBObjectStore; uses: IDBObjectStore }) => void): Promise<void> {
    return new Promise((resolve) => {
      try {
        if (!this.database) return resolve();
        const transaction = this.database.transaction(['bytes', 'uses'], 'readwrite');
        transaction.oncomplete = transaction.onabort = () => resolve();
        act({ bytes: transaction.objectStore('bytes'), uses: transaction.objectStore('uses') });
      } catch {
        resolve();
      }
    });
  }
}

/** The keys that have to go so that the others are at most `most` bytes. */
function tooOld(keys: string[], uses: Use[], most: number): string[] {
  const byAge = uses.map((use, i) => ({ ...use, key: keys[i] ?? '' })).sort((a, b) => b.used - a.used);
  let left = most;
  return byAge.filter(({ bytes }) => (left -= bytes) < 0).map(({ key }) => key);
}
