/** Lists of photos as files: CSV for tables, JSON with all that is known. */
import type { Photo } from 'photorecall';
import { h } from './dom.js';

const COLUMNS: [string, (photo: Photo) => unknown][] = [
  ['path', (photo) => photo.path],
  ['taken', (photo) => photo.taken],
  ['camera', (photo) => photo.camera],
  ['latitude', (photo) => photo.gps?.[0]],
  ['longitude', (photo) => photo.gps?.[1]],
  ['width', (photo) => photo.width],
  ['height', (photo) => photo.height],
  ['bytes', (photo) => photo.bytes],
  ['format', (photo) => photo.format],
  ['favourite', (photo) => (photo.favourite ? 'yes' : '')],
  ['albums', (photo) => photo.albums?.join('; ')],
  ['tags', (photo) => photo.tags?.join('; ')],
  ['sha256', (photo) => photo.digest],
];

/** A value as RFC 4180 writes it. A spreadsheet must take none for a formula. */
function cell(value: unknown): string {
  const text = String(value ?? '');
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One line a photo, a line of names first. */
export function csvOf(photos: readonly Photo[]): string {
  const lines = photos.map((photo) => COLUMNS.map(([, value]) => cell(value(photo))).join(','));
  return [COLUMNS.map(([name]) => name).join(','), ...lines, ''].join('\r\n');
}

/** Hands a file to the browser's downloads. */
export function save(name: string, file: Blob): void {
  const link = h('a', { href: URL.createObjectURL(file), download: name });
  link.click();
  // The browser has taken hold of it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** The list of these photos as a file. */
export function saveList(photos: readonly Photo[], kind: 'csv' | 'json'): void {
  // The mark at the beginning tells spreadsheets that it is UTF-8.
  const text = kind === 'csv' ? `\ufeff${csvOf(photos)}` : JSON.stringify(photos, undefined, 1);
  const type = kind === 'csv' ? 'text/csv' : 'application/json';
  save(`photos-${new Date().toISOString().slice(0, 10)}.${kind}`, new Blob([text], { type }));
}
