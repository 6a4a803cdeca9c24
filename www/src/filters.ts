/** Filters of one click, below the search box: what this library has to filter by. */
import type { Facets } from 'photorecall';
import { button, h } from './dom.js';
import { quoted } from './facts.js';
import { number, t } from './i18n.js';

/** Of each kind, the most frequent ones. */
const OF_EACH = 6;

/** A filter as it is written, and as it is shown. */
export interface Choice {
  filter: string;
  label: string;
  count: number;
}

/** All that the library can be filtered by. */
export function choicesOf({ favourites, places, years, albums, tags, cameras }: Facets, most = OF_EACH): Choice[] {
  const words = (kind: string, all: Facets['tags']): Choice[] =>
    all.slice(0, most).map(([word, count]) => ({ filter: `${kind}:${quoted(word)}`, label: word, count }));
  const one = (filter: string, label: string, count: number): Choice[] => (count > 0 ? [{ filter, label, count }] : []);
  return [
    ...one('is:favourite', t('favourites'), favourites),
    ...words('album', albums),
    ...words('tag', tags),
    ...years.slice(0, most).map(([year, count]) => ({ filter: `date:${year}`, label: year, count })),
    ...words('camera', cameras),
    ...one('has:place', t('withPlace'), places),
  ];
}

/** The query with a filter put on, or taken off where it is on. */
export function toggled(text: string, filter: string): string {
  return isOn(text, filter) ? ` ${text} `.replace(` ${filter} `, ' ').trim() : `${text} ${filter}`.trim();
}

export function isOn(text: string, filter: string): boolean {
  return ` ${text} `.includes(` ${filter} `);
}

/** Changes the query that is asked for now, which may be a later one than the row of filters is of. */
export type Change = (edit: (text: string) => string) => void;

/** The row of filters for `text`, those of the query alone first. */
export function filterRow(choices: Choice[], text: string, change: Change, own: HTMLElement[]): HTMLElement {
  const chips = choices.map(({ filter, label, count }) => {
    const chip = button(label, 'filter', () => change((now) => toggled(now, filter)));
    chip.ariaPressed = String(isOn(text, filter));
    chip.title = `${filter} (${number(count)})`;
    return chip;
  });
  const all = [...own, ...chips];
  return h('div', { className: 'filters', role: 'group', ariaLabel: t('filters'), hidden: all.length === 0 }, all);
}
