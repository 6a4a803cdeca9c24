/** The menu of all ways to add photos. */
import { button, find } from './dom.js';
import { folders, listFolder, mayRead } from './folders.js';
import { t } from './i18n.js';
import { hasSample } from './sample.js';
import { type Add, addSample, chooseFiles, chooseFolder } from './sources.js';

/** Makes the button of index.html open the menu. */
export function wireAddMenu(add: Add): void {
  const menu = find('.menu');
  const opener = find<HTMLButtonElement>('.add-button');
  const list = find('.menu-list');
  opener.textContent = `+ ${t('add')}`;
  const toggle = (open: boolean): void => {
    list.hidden = !open;
    opener.ariaExpanded = String(open);
  };
  opener.onclick = async () => {
    if (!list.hidden) return toggle(false);
    list.replaceChildren(...(await items(add, () => toggle(false))));
    toggle(true);
    list.querySelector('button')?.focus();
  };
  addEventListener('click', ({ target }) => {
    if (target instanceof Node && !menu.contains(target)) toggle(false);
  });
  menu.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') {
      toggle(false);
      opener.focus();
    } else if (step && !list.hidden) {
      event.preventDefault();
      const all = [...list.children];
      const at = all.indexOf(document.activeElement as Element);
      (all.at((at + step) % all.length) as HTMLElement).focus();
    }
  });
}

async function items(add: Add, close: () => void): Promise<HTMLButtonElement[]> {
  const item = (label: string, act: () => unknown): HTMLButtonElement =>
    button(label, '', () => {
      close();
      void act();
    });
  const known = await folders().catch(() => []);
  return [
    item(t('pickFolder'), () => chooseFolder(add)),
    item(t('pickFiles'), () => chooseFiles(add)),
    ...(hasSample() ? [item(t('trySample'), () => addSample(add))] : []),
    ...known.map((folder) =>
      item(t('rescan', { name: folder.root }), async () => {
        if (await mayRead(folder, true)) add(await listFolder(folder), folder.root);
      }),
    ),
  ];
}
