/**
 * Where models are kept in this browser.
 *
 * ```text
 * database photorecall-models
 *   models  name             ─▶ { name, manifest }   written last: a model that is listed is whole
 *   chunks  [sha256, offset] ─▶ bytes                of files, whole ones and those on their way
 * ```
 * Files are kept by their digest: what two models share is kept once.
 */
import { PhotorecallError } from './errors.js';

const DATABASE = 'photorecall-models';

/** A model that is whole. */
export interface Shelved {
  name: string;
  manifest: Uint8Array;
}

interface Chunk {
  sha256: string;
  offset: number;
  bytes: Uint8Array;
}

/** All chunks of a file. */
function ofFile(sha256: string): IDBKeyRange {
  return IDBKeyRange.bound([sha256, 0], [sha256, Infinity]);
}

export class Shelf {
  private constructor(private readonly database: IDBDatabase) {}

  static open(): Promise<Shelf> {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore('models', { keyPath: 'name' });
        request.result.createObjectStore('chunks', { keyPath: ['sha256', 'offset'] });
      };
      request.onsuccess = () => {
        // Another tab that deletes everything must not wait for this one.
        request.result.onversionchange = () => request.result.close();
        resolve(new Shelf(request.result));
      };
      request.onerror = () => reject(failure(request.error));
    });
  }

  close(): void {
    this.database.close();
  }

  /** The models that are whole. */
  models(): Promise<Shelved[]> {
    return this.read('models', (store) => store.getAll() as IDBRequest<Shelved[]>);
  }

  async put(model: Shelved): Promise<void> {
    await this.change('models', (store) => store.put(model));
  }

  async remove(name: string): Promise<void> {
    await this.change('models', (store) => store.delete(name));
  }

  /** Bytes of a file that are here, from its beginning. */
  async have(sha256: string): Promise<number> {
    const last = await this.read('chunks', (store) => store.openCursor(ofFile(sha256), 'prev'));
    if (!last) return 0;
    const { offset, bytes } = last.value as Chunk;
    return offset + bytes.byteLength;
  }

  /** Keeps the bytes that follow those that are here. */
  async append(sha256: string, offset: number, bytes: Uint8Array): Promise<void> {
    const chunk: Chunk = { sha256, offset, bytes };
    await this.change('chunks', (store) => store.put(chunk));
  }

  /** What is here of a file, in one piece. */
  async file(sha256: string): Promise<Uint8Array<ArrayBuffer>> {
    const chunks = await this.read('chunks', (store) => store.getAll(ofFile(sha256)) as IDBRequest<Chunk[]>);
    const whole = new Uint8Array(chunks.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
    let at = 0;
    for (const { bytes } of chunks) {
      whole.set(bytes, at);
      at += bytes.byteLength;
    }
    return whole;
  }

  async dropFile(sha256: string): Promise<void> {
    await this.change('chunks', (store) => store.delete(ofFile(sha256)));
  }

  private read<T>(store: string, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const request = act(this.database.transaction(store, 'readonly').objectStore(store));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(failure(request.error));
    });
  }

  /** A change counts when its transaction is over: a full disk fails it as late as that. */
  private change(store: string, act: (store: IDBObjectStore) => IDBRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(store, 'readwrite');
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(failure(transaction.error));
      act(transaction.objectStore(store)).onerror = (event) => event.stopPropagation();
    });
  }
}

function failure(error: DOMException | null): PhotorecallError {
  const message = error?.message || 'it refused to keep more';
  if (error?.name === 'QuotaExceededError') {
    return new PhotorecallError('quota', `the browser gives this page no more storage (${message})`);
  }
  return new PhotorecallError('indexed_db', `IndexedDB: ${message}`);
}
