/** What the grid shows: all photos, or what was found. */
import type { DateSuggestion, Library, Page, Photo, Search } from 'photorecall';
import type { Item, Source } from './grid.js';
import { number, t } from './i18n.js';

/** Results that are asked for at once. */
const RESULTS = 600;
/** The same where each one is read from a host: the first screens, and more where someone scrolls. */
const RESULTS_IN_PARTS = 48;

/** All photos of the library, the newest first. */
export async function everything(library: Library): Promise<Shown> {
  return {
    ratios: await library.shapes(),
    items: async (offset, k) => {
      const { photos } = await library.list({ offset, k });
      return photos.map((photo) => ({ photo }));
    },
  };
}

/** Photos, and what is to be said of them beside that. */
export interface Shown extends Source {
  /** What they are; without it, the query tells. */
  title?: string;
}

/** What was found, and what is to be said of it. */
export interface Results extends Shown {
  /** How many photos the filters let through. */
  total: number;
  /** False when the best one does not stand out: perhaps nothing fits. */
  likely: boolean;
  suggestion: DateSuggestion | undefined;
}

/** What a search finds, best first; it goes on as far as there are photos. */
export async function results(library: Library, query: Search): Promise<Results> {
  const found: Item[] = [];
  const ratios: number[] = [];
  // Where only filters are asked for, no photo is nearer than another.
  const words = (await library.parse(query.text ?? '')).parts.length > 0;
  const byPhoto = Boolean(query.image || query.like);
  const k = (await library.info()).inParts ? RESULTS_IN_PARTS : RESULTS;
  let after: string | undefined;
  const page = async (): Promise<Page> => {
    const page = await library.page({ ...query, k, ...(after !== undefined && { after }) });
    after = page.next;
    found.push(...page.found.map(({ photo, score, byName = 0 }) => ({ photo, ...((words || byPhoto) && { score, byName }) })));
    ratios.push(...page.found.map(({ photo }) => photo.width / photo.height));
    return page;
  };
  const { total, likely = true, suggestion } = await page();
  const items = async (offset: number, k: number): Promise<Item[]> => found.slice(offset, offset + k);
  const more = async (): Promise<boolean> => after !== undefined && (await page()).found.length > 0;
  // Between words and photos a cosine is no measure of likeness, and names rank too.
  return { ratios, items, more, total, likely, suggestion, percent: byPhoto && !words };
}

/** Photos that are there more than once; in each group the one to keep comes first. */
export interface Copies extends Shown {
  /** All but the first of each group. */
  extras: Photo[];
}

/** The same files and the same pictures, group after group. */
export async function copies(library: Library): Promise<Copies> {
  const { exact, near } = await library.duplicates();
  const same = new Map(exact.map((group) => [group[0]?.path, group]));
  // Of the same files, one stands for all among the same pictures.
  const merged = near.map((group) =>
    group.flatMap((photo) => {
      const files = same.get(photo.path);
      same.delete(photo.path);
      return files ?? [photo];
    }),
  );
  const groups = [...merged, ...same.values()];
  const found = groups.flat().map((photo): Item => ({ photo }));
  const extras = groups.flatMap((group) => group.slice(1));
  return {
    ratios: found.map(({ photo }) => photo.width / photo.height),
    items: async (offset, k) => found.slice(offset, offset + k),
    title: t('duplicatesFound', { groups: number(groups.length), extras: number(extras.length) }),
    extras,
  };
}
