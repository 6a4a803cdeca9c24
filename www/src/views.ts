/** The ways to look at the library: all photos, months, topics, duplicates. */
import { button, h } from './dom.js';
import { t } from './i18n.js';
import type { Route } from './route.js';

type To = Pick<Route, 'browse' | 'duplicates'>;

/** A row of buttons; `go` leads to one of them. */
export function viewRow({ text, like, browse, duplicates }: Route, go: (to: To) => void): HTMLElement {
  const way = browse ?? (duplicates ? 'duplicates' : text || like ? 'search' : 'all');
  const view = (name: string, label: string, to: To): HTMLElement => {
    const made = button(label, 'view', () => go(to));
    if (name === way) made.ariaCurrent = 'page';
    return made;
  };
  return h('nav', { className: 'views', ariaLabel: t('views') }, [
    view('all', t('allPhotos'), {}),
    view('months', t('byMonth'), { browse: 'months' }),
    view('topics', t('byTopic'), { browse: 'topics' }),
    view('duplicates', t('duplicates'), { duplicates: true }),
  ]);
}
