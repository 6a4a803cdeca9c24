/** What a query leaves out and filters by, as chips that take it away again. */
import { button, h } from './dom.js';
import type { Change } from './filters.js';
import { t } from './i18n.js';

/** A part of a query, and the query without it. */
interface Part {
  label: string;
  without: string;
}

/** `name:value`, with a sign or a `not` before it. */
const FILTER = /(?:^|(?<=\s))(?:not\s+|[-−]\s*)?[a-z]+:(?:"[^"]*"|[^\s"]+)/giu;
/** Words after a minus, up to the next sign or filter. */
const NEGATIVE = /(?:^|(?<=\s))[-−]\s*(?:"[^"]*"|[^\s:"]+(?:\s+(?![-−+]|not\s|\S*:)[^\s:"]+)*)(?=\s|$)/giu;

/** The parts that can be taken away; none where brackets or `or` hold them together. */
export function partsOf(text: string): Part[] {
  if (/[()]|\sor\s/i.test(text)) return [];
  const found = [...text.matchAll(FILTER), ...text.matchAll(NEGATIVE)].sort((a, b) => a.index - b.index);
  return found.map((match) => {
    const [{ length }, at] = [match[0], match.index];
    const without = `${text.slice(0, at)} ${text.slice(at + length)}`.replace(/\s+/g, ' ').trim();
    return { label: match[0].trim().replace(/^[-−]\s*/, '− '), without };
  });
}

function taken(text: string, part: string): string {
  return partsOf(text).find(({ label }) => label === part)?.without ?? text;
}

/** The chips of a query's parts; `known` are those that have chips already. */
export function partChips(text: string, known: (filter: string) => boolean, change: Change): HTMLElement[] {
  return partsOf(text)
    .filter(({ label }) => !known(label))
    .map(({ label }) => {
      const chip = button(label, 'filter on', () => change((now) => taken(now, label)));
      chip.append(h('span', { textContent: ' ✕', ariaHidden: 'true' }));
      chip.ariaLabel = t('takeAway', { part: label });
      return chip;
    });
}
