/** What a library can be filtered by. */
import type { Photo } from './photorecall.js';
import type { Facets } from './types.js';

/** The time that a photo is sorted by: when it was taken, else when the file was changed. */
export function timeOf(photo: Photo): string {
  return photo.taken ?? new Date(photo.modifiedMs).toISOString();
}

/** Counts them, the most frequent words and the latest years first. */
export function facetsOf(photos: readonly Photo[]): Facets {
  const [years, albums, tags, cameras] = [new Map(), new Map(), new Map(), new Map()] as Map<string, number>[];
  const count = (counts: Map<string, number> | undefined, words: readonly string[]): void => {
    for (const word of words) counts?.set(word, (counts.get(word) ?? 0) + 1);
  };
  for (const photo of photos) {
    count(years, [timeOf(photo).slice(0, 4)]);
    count(albums, photo.albums ?? []);
    count(tags, photo.tags ?? []);
    count(cameras, photo.camera ? [photo.camera] : []);
  }
  const frequent = (counts: Map<string, number> | undefined): [string, number][] =>
    [...(counts ?? [])].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return {
    favourites: photos.filter((photo) => photo.favourite).length,
    places: photos.filter((photo) => photo.gps).length,
    years: [...(years ?? [])].sort(([a], [b]) => (a < b ? 1 : -1)),
    albums: frequent(albums),
    tags: frequent(tags),
    cameras: frequent(cameras),
  };
}
