/** What is known of a photo, in a panel beside it; and what its owner says of it. */
import type { LabelChange, Photo } from 'photorecall';
import { button, h } from './dom.js';
import { locale, size, t } from './i18n.js';

/** A photo's facts; `label` changes its labels, `search` shows what a query finds. */
export function factsOf(
  photo: Photo,
  label: ((change: LabelChange) => Promise<void>) | undefined,
  search: (query: string) => void,
): HTMLElement {
  const rows: [string, (Node | string)[]][] = [[t('factPath'), [photo.path]]];
  if (photo.taken) rows.push([t('factTaken'), [dateLink(photo.taken, search)]]);
  else rows.push([t('changedAt'), [dateLink(timeOf(photo), search)]]);
  if (photo.camera) rows.push([t('factCamera'), [link(photo.camera, `camera:${quoted(photo.camera)}`, search)]]);
  if (photo.gps) rows.push([t('factPlace'), placeOf(photo.gps, search)]);
  const kind = [photo.format?.toUpperCase(), size(photo.bytes)].filter(Boolean).join(', ');
  rows.push([t('factSize'), [`${photo.width} × ${photo.height}`]], [t('factFile'), [kind]]);
  const list = h('dl', {}, rows.flatMap(([name, values]) => [h('dt', { textContent: name }), h('dd', {}, values)]));
  return h('aside', { className: 'facts', ariaLabel: t('facts') }, [
    list,
    ...words(t('albums'), photo.albums ?? [], 'album', 'Albums', label, search),
    ...words(t('tags'), photo.tags ?? [], 'tag', 'Tags', label, search),
  ]);
}

/** The time that a photo without one of its own is sorted by: its file's. */
function timeOf({ modifiedMs }: Photo): string {
  return new Date(modifiedMs).toISOString();
}

/** A word as the search language takes it whole. */
export function quoted(word: string): string {
  return /^[\p{L}\p{N}_]+$/u.test(word) ? word : `"${word.replaceAll('"', '')}"`;
}

function link(text: string, query: string, search: (query: string) => void): HTMLElement {
  const button = h('button', { type: 'button', className: 'link', textContent: text, onclick: () => search(query) });
  button.title = query;
  return button;
}

function dateLink(taken: string, search: (query: string) => void): HTMLElement {
  return link(new Date(taken).toLocaleString(locale), `date:${taken.slice(0, 10)}`, search);
}

/** The place: photos near it, and a map. The map is another site: it is opened by the reader only. */
function placeOf([latitude, longitude]: [number, number], search: (query: string) => void): (Node | string)[] {
  const place = [latitude, longitude].map((degrees) => degrees.toFixed(5));
  const map = h('a', {
    href: `https://www.openstreetmap.org/?mlat=${place[0]}&mlon=${place[1]}#map=14/${place.join('/')}`,
    target: '_blank',
    rel: 'noopener noreferrer',
    textContent: t('map'),
    title: t('mapNote'),
  });
  return [link(place.map((degrees) => `${degrees}°`).join(', '), `near:${place.join(',')},5`, search), ' ', map];
}

/** Albums or tags: each leads to its photos and can be taken off; a new one can be put on. */
function words(
  title: string,
  all: readonly string[],
  filter: string,
  kind: 'Albums' | 'Tags',
  label: ((change: LabelChange) => Promise<void>) | undefined,
  search: (query: string) => void,
): HTMLElement[] {
  if (all.length === 0 && !label) return [];
  const chips = all.map((word) => {
    const chip = h('span', { className: 'word-chip' }, [link(word, `${filter}:${quoted(word)}`, search)]);
    if (label) chip.append(Object.assign(button('✕', '', () => void label({ [`remove${kind}`]: [word] })), { ariaLabel: t('takeOff', { word }) }));
    return chip;
  });
  const input = h('input', { type: 'text', placeholder: t('addWord'), ariaLabel: `${title}: ${t('addWord')}` });
  input.onkeydown = (event) => {
    event.stopPropagation(); // Arrows are the field's own.
    const word = input.value.trim();
    if (event.key === 'Enter' && word) void label?.({ [`add${kind}`]: [word] });
  };
  return [h('h3', { textContent: title }), h('div', { className: 'word-chips' }, label ? [...chips, input] : chips)];
}
