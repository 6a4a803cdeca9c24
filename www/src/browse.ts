/** The library without a query: by month, and by what is seen. */
import type { Cluster, Library, Month } from 'photorecall';
import { button, h } from './dom.js';
import type { Item } from './grid.js';
import { locale, number, t } from './i18n.js';
import type { Shown } from './lists.js';
import { Thumbnails } from './thumbs.js';

export type Way = 'months' | 'topics';

/** A card with a picture that leads to photos. */
interface Card {
  /** Path of the picture's photo. */
  cover: string;
  title: string;
  photos: number;
  open: () => void;
}

/** What browsing asks of the page. */
export interface Browsable {
  library: Library;
  clusters: () => Promise<Cluster[]>;
  search(text: string): void;
  /** Shows the photos of one cluster. */
  topic(at: number): void;
}

/** All months or all clusters, to choose from. */
export async function browse(way: Way, page: Browsable): Promise<HTMLElement> {
  const thumbnails = new Thumbnails(page.library);
  const parts = way === 'months' ? byYear(await page.library.months(), page, thumbnails) : [cards(topics(await page.clusters(), page), thumbnails)];
  return h('div', { className: 'browse' }, parts);
}

/** The months under their years, the newest first. */
function byYear(months: Month[], { search }: Browsable, thumbnails: Thumbnails): HTMLElement[] {
  const years = [...new Set(months.map(({ year }) => year))];
  return years.flatMap((year) => {
    const of = months.filter((month) => month.year === year);
    const list = of.map(({ month, photos, newest }): Card => {
      const title = new Date(Date.UTC(year, month - 1)).toLocaleDateString(locale, { month: 'long', timeZone: 'UTC' });
      return { cover: newest, title, photos, open: () => search(`date:${year}-${String(month).padStart(2, '0')}`) };
    });
    return [h('h2', { textContent: String(year) }), cards(list, thumbnails)];
  });
}

function topics(clusters: Cluster[], { topic }: Browsable): Card[] {
  return clusters.map(({ word, photos }, at) => {
    const [cover = ''] = photos;
    return { cover, title: titleOf(word, at), photos: photos.length, open: () => topic(at) };
  });
}

function titleOf(word: string | undefined, at: number): string {
  return word ?? t('topic', { n: at + 1 });
}

function cards(all: Card[], thumbnails: Thumbnails): HTMLElement {
  // Pictures are fetched for what comes near the window.
  const near = new IntersectionObserver(
    (seen) => {
      for (const { isIntersecting, target } of seen) {
        if (!isIntersecting || !(target instanceof HTMLImageElement)) continue;
        near.unobserve(target);
        thumbnails.want(target, target.dataset['path'] ?? '');
      }
    },
    { rootMargin: '600px' },
  );
  const items = all.map(({ cover, title, photos, open }) => {
    const image = h('img', { alt: '', draggable: false });
    image.dataset['path'] = cover;
    near.observe(image);
    const card = button('', 'card', open);
    card.append(image, h('strong', { textContent: title }), h('span', { textContent: t('count', { count: number(photos) }) }));
    return h('li', {}, [card]);
  });
  return h('ul', { className: 'cards', role: 'list' }, items);
}

/** The photos of one cluster, the most typical first. */
export async function topicOf(library: Library, cluster: Cluster, at: number): Promise<Shown> {
  const photos = (await library.photos(cluster.photos)).filter((photo) => photo !== undefined);
  const items = photos.map((photo): Item => ({ photo }));
  return {
    ratios: photos.map(({ width, height }) => width / height),
    items: async (offset, k) => items.slice(offset, offset + k),
    title: t('topicOf', { title: titleOf(cluster.word, at), count: number(photos.length) }),
  };
}
