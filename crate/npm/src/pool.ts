/**
 * Workers that encode photos.
 *
 * A module's memory never shrinks, and a broken file may end a module: a worker that grew large is
 * replaced, and a photo that is too large for its share of memory, or that a worker broke on, is tried
 * once more alone, in a worker of its own that is ended afterwards.
 */
import type { Encoded, EncodedPhoto, Held } from './encoder-worker.js';
import { PhotorecallError } from './errors.js';
import type { Remote } from './rpc.js';
import { type Kit, type WorkerApi, startEncoder } from './workers.js';

const MIB = 1024 * 1024;
/** What decoding may take beside other workers, and alone. */
const SHARED_MEMORY = 192 * MIB;
const ALONE_MEMORY = 640 * MIB;
/** A module that holds more is started anew. */
const LARGE_MODULE = 384 * MIB;
/** A photo that takes longer has met a bug. */
const TIMEOUT_MS = 60_000;

/** Photos that a worker has at once: one is read while the other one is encoded. */
export const PHOTOS_PER_WORKER = 2;

/** A place for a worker; `inFlight` counts the photos of the worker that is there now. */
interface Slot {
  worker: Promise<Remote<WorkerApi>> | undefined;
  inFlight: number;
}

function newSlot(): Slot {
  return { worker: undefined, inFlight: 0 };
}

export class Pool {
  private readonly slots: Slot[];
  private alone: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly kit: Kit,
    readonly size: number,
  ) {
    this.slots = Array.from({ length: size }, newSlot);
  }

  /**
   * Encodes a photo. `known` is asked with its digest first: true when no encoding is needed, and then
   * the answer is undefined.
   *
   * @throws {PhotorecallError} `crashed` when workers crashed twice on it; what decoding throws.
   */
  async encode(
    file: Blob,
    trimBorders: boolean,
    known: (held: Held) => Promise<boolean> = async () => false,
  ): Promise<EncodedPhoto | undefined> {
    const slot = this.slots.reduce((least, slot) => (slot.inFlight < least.inFlight ? slot : least));
    slot.inFlight++;
    try {
      slot.worker ??= startEncoder(this.kit);
      const worker = await slot.worker;
      const held = await worker.call('hold', file);
      if (await known(held)) {
        await worker.call('drop', held.id);
        return undefined;
      }
      return await this.encodeHeld(slot, worker, held, trimBorders);
    } catch (thrown) {
      const error = PhotorecallError.from(thrown);
      // A worker that crashed, or never started, must not be waited for again.
      if (error.code === 'crashed') this.vacate(slot, error);
      if (error.code !== 'crashed' && error.code !== 'image_too_large') throw error;
      return this.encodeAlone(file, trimBorders);
    } finally {
      slot.inFlight--;
    }
  }

  /** Ends all workers. */
  end(): void {
    const closed = new PhotorecallError('closed', 'the library is closed');
    for (const slot of this.slots) {
      slot.worker?.then((worker) => worker.end(closed), () => undefined);
      slot.worker = undefined;
    }
  }

  private async encodeHeld(
    slot: Slot,
    worker: Remote<WorkerApi>,
    held: Held,
    trimBorders: boolean,
  ): Promise<EncodedPhoto> {
    try {
      const { photo, memoryBytes } = await timed(worker, held, SHARED_MEMORY, trimBorders);
      if (memoryBytes > LARGE_MODULE) void this.retire(slot, worker);
      return photo;
    } catch (thrown) {
      if (PhotorecallError.from(thrown).code !== 'crashed') await worker.call('drop', held.id);
      throw thrown;
    }
  }

  /** One after another: two large photos at once could take all memory. */
  private encodeAlone(file: Blob, trimBorders: boolean): Promise<EncodedPhoto> {
    const encoded = this.alone.then(async () => {
      const worker = await startEncoder(this.kit);
      try {
        const held = await worker.call('hold', file);
        return (await timed(worker, held, ALONE_MEMORY, trimBorders)).photo;
      } catch (thrown) {
        const error = PhotorecallError.from(thrown);
        if (error.code !== 'crashed') throw error;
        throw new PhotorecallError('crashed', `the decoder crashed on this photo twice: ${error.message}`);
      } finally {
        worker.end(new PhotorecallError('closed', 'the worker has done its work'));
      }
    });
    this.alone = encoded.catch(() => undefined);
    return encoded;
  }

  /**
   * Makes room for a new worker; photos that the old one still has keep its slot. One that crashed is
   * ended, which those photos are told.
   */
  private vacate(slot: Slot, crash?: PhotorecallError): void {
    const at = this.slots.indexOf(slot);
    if (at >= 0) this.slots[at] = newSlot();
    if (crash) slot.worker?.then((worker) => worker.end(crash), () => undefined);
  }

  /** Replaces a worker; what it has in work is finished first. */
  private async retire(slot: Slot, worker: Remote<WorkerApi>): Promise<void> {
    this.vacate(slot);
    while (slot.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    worker.end(new PhotorecallError('closed', 'the worker was replaced'));
  }
}

/** A worker that takes too long is ended, which fails the call. */
async function timed(
  worker: Remote<WorkerApi>,
  held: Held,
  maxMemoryBytes: number,
  trimBorders: boolean,
): Promise<Encoded> {
  const timer = setTimeout(
    () => worker.end(new PhotorecallError('crashed', `the photo took more than ${TIMEOUT_MS / 1000} s`)),
    TIMEOUT_MS,
  );
  try {
    return await worker.call('encodeHeld', held.id, maxMemoryBytes, trimBorders);
  } finally {
    clearTimeout(timer);
  }
}
