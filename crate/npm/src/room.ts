/** What photos will take of the browser's storage, before they are added. */
import type { IndexClient } from './index-client.js';

/** What a library needs and has, in bytes. */
export interface Room {
  /** What this site uses, as far as the browser tells. */
  usage: number;
  /** What it may use at most. */
  quota: number;
  /** What is left of that. */
  free: number;
  /** What adding the photos that were asked for will take at most, roughly. */
  needed: number;
}

/** A small picture of 320 pixels, where none is stored yet that tells better. */
const PICTURE_BYTES = 20_000;
/** What is kept of a photo beside its vector. */
const RECORD_BYTES = 400;
/** Fewer photos say little of the ones to come. */
const TELLING = 20;
/** Small pictures that stand for all. */
const SAMPLE = 32;
/** Photos of the segment that each commit writes anew, before the one before goes. */
const GROWING = 4096;

/** The room for so many more photos. */
export async function room(index: IndexClient, photos: number): Promise<Room> {
  const { usage = 0, quota = 0 } = (await navigator.storage?.estimate()) ?? {};
  const free = Math.max(0, quota - usage);
  if (photos === 0) return { usage, quota, free, needed: 0 };
  const stats = await index.call('stats');
  const isTelling = stats.photos >= TELLING;
  const row = isTelling ? stats.bytes / (stats.photos + stats.deleted) : 3 * stats.dim + RECORD_BYTES;
  const picture = (isTelling && (await pictureBytes(index))) || PICTURE_BYTES;
  const needed = photos * (row + picture) + Math.min(GROWING, photos) * row;
  return { usage, quota, free, needed: Math.ceil(needed) };
}

/** The mean of some small pictures; 0 of none. */
async function pictureBytes(index: IndexClient): Promise<number> {
  const { photos } = await index.call('list', SAMPLE, 0);
  const pictures = await index.call('thumbnails', photos.map(({ path }) => path));
  const bytes = pictures.reduce((sum, [, jpeg]) => sum + jpeg.byteLength, 0);
  return pictures.length === 0 ? 0 : bytes / pictures.length;
}
