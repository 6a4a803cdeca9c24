/** Starts the page. */
import { type Follow, type Library, PhotorecallError } from 'photorecall';
import { App } from './app.js';
import { button, find, h, toast, undoByKey } from './dom.js';
import { language, number, t } from './i18n.js';
import { keepOffline } from './offline.js';
import { type Found, findLibrary } from './open.js';
import { applyTheme } from './prefs.js';
import { acceptDrops, type Add, type Inbox } from './sources.js';
import { welcome } from './welcome.js';

function note(text: string, ...more: Node[]): void {
  find('#main').replaceChildren(h('div', { className: 'note' }, [h('p', { textContent: text }), ...more]));
}

/** Photos that were chosen before the library was open. */
type Waiting = Parameters<Add>[];

/** The first screen is there at once; what is chosen on it waits for the library. */
function showWelcome(inbox: Inbox): Waiting {
  const waiting: Waiting = [];
  inbox.add = (...chosen) => void waiting.push(chosen);
  // What is bound to the screen's buttons leads to wherever photos go then.
  find('#main').replaceChildren(welcome((...chosen) => inbox.add?.(...chosen)));
  return waiting;
}

async function open({ open, fresh }: Found, waiting: Waiting, follow: Follow): Promise<Library | undefined> {
  // A fast start shows no note at all.
  let percent = 0;
  const later = setInterval(() => (!fresh || waiting.length > 0) && note(t('loading', { percent })), 400);
  try {
    return await open(({ done, total }) => (percent = Math.round((100 * done) / (total || 1))), follow);
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
  applyTheme();
  undoByKey(t('undo'));
  const inbox: Inbox = { add: undefined, search: () => undefined };
  acceptDrops(inbox);
  const found = await findLibrary();
  const waiting = found.fresh ? showWelcome(inbox) : [];
  // The first screen is painted before megabytes are asked for.
  if (found.fresh) await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  let app: App | undefined;
  const library = await open(found, waiting, (event) => {
    if (event === 'changed') void app?.show();
    // Another library, or this one to write.
    else location.reload();
  });
  if (library) {
    const { readOnly, damaged } = await library.info();
    app = new App(library, readOnly, inbox);
    const { add } = app;
    waiting.forEach((chosen) => add(...chosen));
    await app.show();
    if (readOnly && found.own) toast(t('following'), undefined, 30_000);
    if (damaged.length > 0) toast(t('damaged', { count: number(damaged.length) }), undefined, 30_000);
  }
  // After the library, so that the first visit's downloads do not compete.
  await keepOffline();
}

void start();
