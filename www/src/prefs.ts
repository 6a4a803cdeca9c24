/** What the reader has chosen for the page; without a choice, the browser's own settings hold. */

/** What can be chosen, and where it is kept. */
const KEYS = { language: 'photorecall.language', theme: 'photorecall.theme' };
export type Pref = keyof typeof KEYS;

/** The choice; undefined where there is none. */
export function chosen(pref: Pref): string | undefined {
  return localStorage.getItem(KEYS[pref]) ?? undefined;
}

/** Notes a choice; an empty one is none. */
export function choose(pref: Pref, value: string): void {
  if (value) localStorage.setItem(KEYS[pref], value);
  else localStorage.removeItem(KEYS[pref]);
}

/** Light or dark, as chosen. */
export function applyTheme(): void {
  const theme = chosen('theme');
  if (theme) document.documentElement.dataset['theme'] = theme;
  else delete document.documentElement.dataset['theme'];
  // The browser's own bars: the first address is for light, the second one for dark.
  const metas = [...document.querySelectorAll<HTMLMetaElement>('meta[name=theme-color]')];
  metas.forEach((meta, dark) => {
    const used = theme === undefined ? undefined : Number(theme === 'dark');
    meta.media = used === undefined ? `(prefers-color-scheme: ${dark ? 'dark' : 'light'})` : used === dark ? 'all' : 'not all';
  });
}
