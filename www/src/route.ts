/** What the address bar says is looked for. */
export interface Route {
  text: string;
  /** Path of the photo to find others like. */
  like: string;
}

/** The query of the address. */
export function readRoute(): Route {
  const query = new URLSearchParams(location.search);
  return { text: query.get('q') ?? '', like: query.get('like') ?? '' };
}

/** Puts a query into the address; "back" returns to the one before. */
export function writeRoute({ text, like }: Route, replace = false): void {
  const url = new URL(location.href);
  for (const [key, value] of [['q', text], ['like', like]] as const) {
    if (value) url.searchParams.set(key, value);
    else url.searchParams.delete(key);
  }
  if (url.href === location.href) return;
  if (replace) history.replaceState(null, '', url);
  else history.pushState(null, '', url);
}
