/** Handing photos on: copies into a folder of the reader's choice, or to another app. */
import { type AddProgress, type Photo, PhotorecallError } from 'photorecall';
import { nameOf } from './grid.js';
import { number, t } from './i18n.js';
import type { PanelWords, Steer } from './progress.js';

/** Where a photo's own file comes from; undefined where it cannot be had. */
export type FileOf = (photo: Photo) => Promise<Blob | undefined>;

/** More are not handed to another app at once. */
const MOST_SHARED = 30;

/** What a panel says of copying. */
export const COPYING: PanelWords = {
  label: t('copyInto'),
  running: (done, total) => t('copying', { done, total }),
  paused: (done, total) => t('copyPaused', { done, total }),
  finished: ({ added = 0 }) => t('copied', { count: number(added) }),
  stopped: (count) => t('copyStopped', { count }),
};

type Picker = (options: { id: string; mode: 'readwrite' }) => Promise<FileSystemDirectoryHandle>;

function picker(): Picker | undefined {
  return (window as unknown as { showDirectoryPicker?: Picker }).showDirectoryPicker;
}

export function canCopy(): boolean {
  return picker() !== undefined;
}

/** Asks for a folder to write into; undefined when the asking was called off. */
export async function pickTarget(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await picker()?.call(window, { id: 'copies', mode: 'readwrite' });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return undefined;
    throw error;
  }
}

/** Copies photos into a folder, one after the other; those whose files cannot be had are skipped. */
export async function* copies(
  folder: FileSystemDirectoryHandle,
  photos: readonly Photo[],
  fileOf: FileOf,
  { signal, gate }: Steer,
): AsyncGenerator<AddProgress, void> {
  const counts = { done: 0, total: photos.length, added: 0, unchanged: 0, renamed: 0, removed: 0, rate: 0, etaMs: undefined };
  const progress: AddProgress = { ...counts, skipped: [] };
  const begun = performance.now();
  for (const photo of photos) {
    await gate();
    if (signal.aborted) throw new PhotorecallError('aborted', 'copying was stopped');
    const file = await fileOf(photo);
    if (file) {
      await write(folder, nameOf(photo), file);
      progress.added++;
    } else progress.skipped.push({ path: photo.path, code: 'not_found', reason: t('noFile') });
    progress.done++;
    progress.rate = (1000 * progress.done) / (performance.now() - begun);
    progress.etaMs = ((progress.total - progress.done) * 1000) / progress.rate;
    yield progress;
  }
}

async function write(folder: FileSystemDirectoryHandle, name: string, file: Blob): Promise<void> {
  const handle = await folder.getFileHandle(await freeName(folder, name), { create: true });
  const writable = await handle.createWritable();
  await writable.write(file);
  await writable.close();
}

/** The name, or one with a number where the folder has it: nothing is written over. */
async function freeName(folder: FileSystemDirectoryHandle, name: string): Promise<string> {
  const dot = name.lastIndexOf('.') < 0 ? name.length : name.lastIndexOf('.');
  for (let n = 1; ; n++) {
    const free = n === 1 ? name : `${name.slice(0, dot)} (${n})${name.slice(dot)}`;
    const taken = await folder.getFileHandle(free).then(() => true, () => false);
    if (!taken) return free;
  }
}

export function canShare(): boolean {
  return navigator.canShare?.({ files: [new File([], 'a.jpg', { type: 'image/jpeg' })] }) ?? false;
}

/** Hands photos to the app that the reader chooses; tells how many. */
export async function share(photos: readonly Photo[], fileOf: FileOf): Promise<number> {
  const files: File[] = [];
  for (const photo of photos.slice(0, MOST_SHARED)) {
    const file = await fileOf(photo);
    if (file) files.push(new File([file], nameOf(photo), { type: file.type || 'image/jpeg' }));
  }
  if (files.length > 0) await navigator.share({ files });
  return files.length;
}
