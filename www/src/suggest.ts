/** What the search box offers: recent searches, and filters that begin like the word at the end. */
import type { Facets } from 'photorecall';
import { h } from './dom.js';
import { type Choice, choicesOf } from './filters.js';
import { t } from './i18n.js';

const KEY = 'photorecall.recent';
const RECENT = 8;
const OFFERED = 8;
const WORDS = 1000;

/** The searches of late, the latest first. */
export function recent(): string[] {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '[]') as string[];
  } catch {
    return [];
  }
}

/** Notes a search. */
export function noteRecent(text: string): void {
  if (!text) return;
  localStorage.setItem(KEY, JSON.stringify([text, ...recent().filter((other) => other !== text)].slice(0, RECENT)));
}

interface Offer {
  text: string;
  label: string;
}

/** Where offers come from, and where they lead. */
export interface Offering {
  facets(): Promise<Facets>;
  /** Words for what is seen on the photos, as far as they are known. */
  topics(): Promise<string[]>;
  go(text: string): void;
}

/** A combobox, as ARIA describes it: the focus stays in the field, arrows move through the list. */
export class Suggestions {
  private readonly list = h('ul', { className: 'suggestions', id: 'suggestions', role: 'listbox', ariaLabel: t('suggestions'), hidden: true });
  private offers: Offer[] = [];
  private chosen = -1;

  constructor(
    private readonly input: HTMLInputElement,
    private readonly page: Offering,
  ) {
    input.role = 'combobox';
    input.ariaAutoComplete = 'list';
    input.setAttribute('aria-controls', 'suggestions');
    input.after(this.list);
    input.addEventListener('input', () => void this.offer());
    input.addEventListener('focus', () => input.value === '' && void this.offer());
    input.addEventListener('blur', () => this.close());
    input.addEventListener('keydown', (event) => this.key(event));
    this.close();
  }

  close(): void {
    this.list.hidden = true;
    this.chosen = -1;
    this.input.ariaExpanded = 'false';
    this.input.removeAttribute('aria-activedescendant');
  }

  private async offer(): Promise<void> {
    const typed = this.input.value;
    const [facets, topics] = await Promise.all([this.page.facets().catch(() => undefined), this.page.topics().catch(() => [])]);
    if (this.input.value !== typed || document.activeElement !== this.input) return;
    const past = recent().filter((text) => text !== typed && text.startsWith(typed));
    const filters = facets && typed ? filtersFor(typed, choicesOf(facets, WORDS)) : [];
    const words = topics.filter((word) => word !== typed && word.startsWith(typed) && !past.includes(word));
    this.offers = [...[...past, ...words].map((text) => ({ text, label: text })), ...filters].slice(0, OFFERED);
    this.list.replaceChildren(...this.offers.map((offer, at) => this.option(offer, at)));
    this.chosen = -1;
    this.input.removeAttribute('aria-activedescendant');
    this.list.hidden = this.offers.length === 0;
    this.input.ariaExpanded = String(this.offers.length > 0);
  }

  private option({ text, label }: Offer, at: number): HTMLLIElement {
    const option = h('li', { role: 'option', id: `suggestion-${at}`, textContent: label, ariaSelected: 'false' });
    // Before the field loses the focus.
    option.onpointerdown = (event) => {
      event.preventDefault();
      this.take(text);
    };
    return option;
  }

  private take(text: string): void {
    this.close();
    this.input.value = text;
    this.page.go(text);
  }

  private key(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape' && !this.list.hidden) {
      event.preventDefault();
      this.close();
    } else if (event.key === 'Enter' && this.chosen >= 0) {
      event.preventDefault();
      this.take(this.offers[this.chosen]?.text ?? '');
    } else if (step && event.key === 'ArrowDown' && this.list.hidden) {
      void this.offer();
    } else if (step && !this.list.hidden) {
      event.preventDefault();
      const count = this.offers.length;
      this.chosen = this.chosen < 0 && step < 0 ? count - 1 : (this.chosen + step + count) % count;
      [...this.list.children].forEach((option, at) => (option.ariaSelected = String(at === this.chosen)));
      this.input.setAttribute('aria-activedescendant', `suggestion-${this.chosen}`);
    }
  }
}

/** Filters that the word at the end may mean, in the word's place. */
function filtersFor(typed: string, choices: readonly Choice[]): Offer[] {
  const start = typed.lastIndexOf(' ') + 1;
  const word = typed.slice(start).toLowerCase();
  if (!word) return [];
  const fits = ({ filter, label }: Choice): boolean =>
    filter.toLowerCase().startsWith(word) || label.toLowerCase().split(/\s+/).some((part) => part.startsWith(word));
  return choices.filter(fits).map(({ filter, label }) => ({
    text: `${typed.slice(0, start)}${filter}`,
    label: filter.includes(label) ? filter : `${filter} (${label})`,
  }));
}
