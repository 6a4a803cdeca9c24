/** What the address bar says is looked for. */
export interface Route {
  text: string;
  /** Path of the photo to find others like. */
  like: string;
  /** The photos that are there more than once, instead of a search. */
  duplicates?: boolean;
}

/** The query of the address. */
export function readRoute(): Route {
  const query = new URLSearchParams(location.search);
  return { text: query.get('q') ?? '', like: query.get('like') ?? '', duplicates: query.has('duplicates') };
}

/** Which of the photos from outside the library this entry of the history searches by. */
export function readExample(): number | undefined {
  const { state } = history as { state: { example?: number } | null };
  return state?.example;
}

/** Puts a query into the address and the history; "back" returns to the one before. */
export function writeRoute({ text, like, duplicates }: Route, example: number | undefined): void {
  const url = new URL(location.href);
  for (const [key, value] of [['q', text], ['like', like], ['duplicates', duplicates ? '1' : '']] as const) {
    if (value) url.searchParams.set(key, value);
    else url.searchParams.delete(key);
  }
  if (url.href === location.href && example === readExample()) return;
  history.pushState(example === undefined ? null : { example }, '', url);
}
