/** All ways by which photos come to the page. */
import { type NamedSource, photosOfDrop, photosOfInput } from 'photorecall';
import { find, h, toast } from './dom.js';
import { canPickFolder, type Folder, folders, listFolder, mayRead, pickFolder, remember } from './folders.js';
import { t } from './i18n.js';
import { said } from './said.js';
import { sample } from './sample.js';

/** Adds photos; `completeFolder` as in the package. What was not asked for is not told where nothing came of it. */
export type Add = (sources: NamedSource[], completeFolder?: string, unasked?: boolean) => void;

/** Where photos go that come by drops and pastes. */
export interface Inbox {
  /** Undefined where none can be added. */
  add: Add | undefined;
  search: (photo: File) => void;
}

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

/** Adds the sample album, and says whose its photographs are. */
export async function addSample(add: Add): Promise<void> {
  try {
    const { sources, credit } = await sample();
    remember(sources);
    add(sources);
    toast(credit);
  } catch (thrown) {
    toast(said(thrown));
  }
}

/** Looks through the folders of earlier visits: at once where the browser lets the page, else when it is told to. */
export async function lookAgain(add: Add): Promise<void> {
  const waiting: Folder[] = [];
  for (const folder of await folders().catch(() => [])) {
    if (await mayRead(folder, false)) add(await listFolder(folder), folder.root, true);
    else waiting.push(folder);
  }
  if (waiting.length === 0) return;
  const run = async (): Promise<void> => {
    for (const folder of waiting) if (await mayRead(folder, true)) add(await listFolder(folder), folder.root);
  };
  const names = waiting.map(({ root }) => root).join(', ');
  toast(t('rescan', { name: names }), { label: t('look'), run: () => void run().catch((thrown: unknown) => toast(said(thrown))) }, 20_000);
}

/** Drops anywhere add photos; one photo on the search box, or pasted, is searched by. */
export function acceptDrops(inbox: Inbox): void {
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
    const { add } = inbox;
    if (onSearch || !add) return first && inbox.search(first);
    void photosOfDrop(event.dataTransfer).then((sources) => {
      remember(sources);
      add(sources);
    });
  });
  addEventListener('paste', (event) => {
    const file = event.clipboardData?.files[0];
    if (file) inbox.search(file);
  });
}
