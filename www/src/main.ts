/** Starts the page. */
import { type Library, PhotorecallError } from 'photorecall';
import { App } from './app.js';
import { button, find, h, toast } from './dom.js';
import { language, number, t } from './i18n.js';
import { keepOffline } from './offline.js';
import { openLibrary } from './open.js';

function note(text: string, ...more: Node[]): void {
  find('#main').replaceChildren(h('div', { className: 'note' }, [h('p', { textContent: text }), ...more]));
}

async function open(): Promise<Library | undefined> {
  // A fast start shows no note at all.
  let percent = 0;
  const later = setInterval(() => note(t('loading', { percent })), 400);
  try {
    return await openLibrary(({ done, total }) => (percent = Math.round((100 * done) / (total || 1))));
  } catch (thrown) {
    const { code, message } = PhotorecallError.from(thrown);
    const text = code === 'locked' ? t('locked') : t('failed', { reason: message });
    note(text, button(t('retry'), 'solid', () => location.reload()));
    return undefined;
  } finally {
    clearInterval(later);
  }
}

async function start(): Promise<void> {
  document.documentElement.lang = language;
  const library = await open();
  if (library) {
    const { readOnly, damaged } = await library.info();
    await new App(library, readOnly).show();
    if (damaged.length > 0) toast(t('damaged', { count: number(damaged.length) }), undefined, 30_000);
  }
  // After the library, so that the first visit's downloads do not compete.
  await keepOffline();
}

void start();
