import type { Way } from './browse.js';

/** What the address bar says is looked for. */
export interface Route {
  text: string;
  /** Path of the photo to find others like. */
  like: string;
  /** The photos that are there more than once, instead of a search. */
  duplicates?: boolean;
  /** What there is, to choose from. */
  browse?: Way | undefined;
  /** One of the topics, by its place among them. */
  topic?: number | undefined;
}

/** The query of the address. */
export function readRoute(): Route {
  const query = new URLSearchParams(location.search);
  const way = query.get('browse');
  return {
    text: query.get('q') ?? '',
    like: query.get('like') ?? '',
    duplicates: query.has('duplicates'),
    browse: way === 'months' || way === 'topics' ? way : undefined,
    topic: query.has('topic') ? Number(query.get('topic')) : undefined,
  };
}

/** Which of the photos from outside the library this entry of the history searches by. */
export function readExample(): number | undefined {
  const { state } = history as { state: { example?: number } | null };
  return state?.example;
}

/** Puts a query into the address and the history; "back" returns to the one before. */
export function writeRoute({ text, like, duplicates, browse, topic }: Route, example: number | undefined): void {
  const url = new URL(location.href);
  const all = { q: text, like, duplicates: duplicates ? '1' : '', browse, topic: topic?.toString() };
  for (const [key, value] of Object.entries(all)) {
    if (value) url.searchParams.set(key, value);
    else url.searchParams.delete(key);
  }
  if (url.href === location.href && example === readExample()) return;
  history.pushState(example === undefined ? null : { example }, '', url);
}
