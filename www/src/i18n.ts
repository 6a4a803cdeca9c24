/** The language of the page, and how it writes numbers. */
import { chosen } from './prefs.js';
import { english, type Words } from './words/en.js';
import { korean, koreanReasons } from './words/ko.js';

export const language = (chosen('language') ?? navigator.language).startsWith('ko') ? 'ko' : 'en';
/** The reader's way to write dates and numbers, in the page's language. */
export const locale = navigator.language.startsWith(language) ? navigator.language : language;
const words: Words = language === 'ko' ? korean : english;

/** The words for a key; `{count:photo:photos}` is the first word for one, the second otherwise. */
export function t(key: keyof Words, values: Record<string, string | number> = {}): string {
  return words[key].replace(/\{(\w+)(?::(.*?):(.*?))?\}/g, (_, name: string, one?: string, more?: string) => {
    const value = String(values[name] ?? '');
    return one === undefined ? value : ((value === '1' ? one : more) ?? '');
  });
}

/** Why something did not work: in the reader's words where there are some for the error's code. */
export function why(code: string, reason: string): string {
  const known = language === 'ko' ? koreanReasons[code] : undefined;
  return known ? `${known} (${reason})` : reason;
}

/** A number as the reader writes it. */
export function number(n: number, digits = 0): string {
  return n.toLocaleString(locale, { maximumFractionDigits: digits });
}

/** A count of bytes, roughly. */
export function size(bytes: number): string {
  const [unit, name] = bytes < 1e6 ? [1e3, 'kB'] : bytes < 1e9 ? [1e6, 'MB'] : [1e9, 'GB'];
  return `${number(bytes / unit, 1)} ${name}`;
}

/** A length of time, roughly. */
export function duration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 90) return t('seconds', { n: seconds });
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? t('minutes', { n: minutes }) : t('hours', { n: number(minutes / 60, 1) });
}
