/** All ways by which photos come to the page. */
import { type NamedSource, photosOfDrop, photosOfInput } from 'photorecall';
import { find, h } from './dom.js';
import { canPickFolder, listFolder, pickFolder, remember } from './folders.js';
import { t } from './i18n.js';

/** Adds photos; `completeFolder` as in the package. */
export type Add = (sources: NamedSource[], completeFolder?: string) => void;

/** Asks for a folder, in the way that the browser has. */
export async function chooseFolder(add: Add): Promise<void> {
  if (!canPickFolder()) return chooseByInput({ webkitdirectory: true, multiple: true }, add);
  const folder = await pickFolder();
  if (folder) add(await listFolder(folder), folder.root);
}

/** Asks for photos. */
export function chooseFiles(add: Add): void {
  chooseByInput({ multiple: true, accept: 'image/*,.heic,.heif,.avif,.jxl' }, add);
}

/** Asks for one photo to search by. */
export function chooseExample(search: (photo: File) => void): void {
  chooseByInput({ accept: 'image/*' }, ([source]) => {
    if (source?.file instanceof File) search(source.file);
  });
}

function chooseByInput(properties: Partial<HTMLInputElement>, add: Add): void {
  const input = h('input', { type: 'file', hidden: true, ...properties });
  input.onchange = () => {
    const sources = photosOfInput(input.files ?? []);
    input.remove();
    remember(sources);
    add(sources);
  };
  input.oncancel = () => input.remove();
  // In the document, so that tests and assistive tools can find it.
  document.body.append(input);
  input.click();
}

/** Drops anywhere add photos; one photo on the search box, or pasted, is searched by. */
export function acceptDrops(canAdd: boolean, add: Add, search: (photo: File) => void): void {
  const hint = find('.drop-hint');
  hint.textContent = t('dropHere');
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
  addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    hint.hidden = false;
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) hint.hidden = true;
  });
  addEventListener('drop', (event) => {
    if (!event.dataTransfer || !hasFiles(event)) return;
    event.preventDefault();
    hint.hidden = true;
    const onSearch = event.target instanceof Element && event.target.closest('.search') !== null;
    const first = event.dataTransfer.files[0];
    if (first && (onSearch || !canAdd)) return search(first);
    void photosOfDrop(event.dataTransfer).then((sources) => {
      remember(sources);
      add(sources);
    });
  });
  addEventListener('paste', (event) => {
    const file = event.clipboardData?.files[0];
    if (file) search(file);
  });
}
