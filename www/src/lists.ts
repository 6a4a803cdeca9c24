/** What the grid shows: all photos, or what was found. */
import type { Found, Library, Search } from 'photorecall';
import type { Item, Source } from './grid.js';

/** Results that are asked for at once. */
const RESULTS = 600;

/** All photos of the library, the newest first. */
export async function everything(library: Library): Promise<Source> {
  return {
    ratios: await library.shapes(),
    items: async (offset, k) => {
      const { photos } = await library.list({ offset, k });
      return photos.map((photo) => ({ photo, score: undefined }));
    },
  };
}

/** What a search finds, best first; it goes on as far as there are photos. */
export async function results(library: Library, query: Search): Promise<Source> {
  const found: Found[] = [];
  const ratios: number[] = [];
  const more = async (): Promise<boolean> => {
    const next = await library.search({ ...query, offset: found.length, k: RESULTS });
    found.push(...next);
    ratios.push(...next.map(({ photo }) => photo.width / photo.height));
    return next.length === RESULTS;
  };
  const first = await more();
  const items = async (offset: number, k: number): Promise<Item[]> => found.slice(offset, offset + k);
  return first ? { ratios, items, more } : { ratios, items };
}
