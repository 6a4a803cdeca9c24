/** The first screen. */
import { button, h } from './dom.js';
import { t } from './i18n.js';
import { hasSample } from './sample.js';
import { type Add, addSample, chooseFiles, chooseFolder } from './sources.js';

/** What is shown while there is nothing to search; without `add`, nothing can be added. */
export function welcome(add: Add | undefined): HTMLElement {
  if (!add) return h('p', { className: 'note', textContent: t('noPhotos') });
  return h('div', { className: 'welcome' }, [
    h('img', { src: 'icon.svg', alt: '', width: 84, height: 84 }),
    h('h1', { textContent: t('title') }),
    h('p', { textContent: t('explain') }),
    h('p', { className: 'privacy', textContent: t('privacy') }),
    h('div', { className: 'choices' }, [
      button(t('pickFolder'), 'solid', () => void chooseFolder(add)),
      button(t('pickFiles'), 'line', () => chooseFiles(add)),
    ]),
    h('p', { textContent: t('orDrop') }),
    ...(hasSample() ? [button(t('trySample'), 'plain try-sample', () => void addSample(add))] : []),
  ]);
}
