/** Handing photos on: copies into a folder of the reader's choice, or to another app. */
import type { Photo } from 'photorecall';
import { nameOf } from './grid.js';

/** Where a photo's own file comes from; undefined where it cannot be had. */
export type FileOf = (photo: Photo) => Promise<Blob | undefined>;

/** More are not handed to another app at once. */
const MOST_SHARED = 30;

type Picker = (options: { id: string; mode: 'readwrite' }) => Promise<FileSystemDirectoryHandle>;

function picker(): Picker | undefined {
  return (window as unknown as { showDirectoryPicker?: Picker }).showDirectoryPicker;
}

export function canCopy(): boolean {
  return picker() !== undefined;
}

/** Copies photos into a folder that is asked for; tells how many, or undefined when none was chosen. */
export async function copyInto(photos: readonly Photo[], fileOf: FileOf): Promise<number | undefined> {
  const folder = await picker()
    ?.call(window, { id: 'copies', mode: 'readwrite' })
    .catch((error: DOMException) => {
      if (error.name !== 'AbortError') throw error;
    });
  if (!folder) return undefined;
  let copied = 0;
  for (const photo of photos) {
    const file = await fileOf(photo);
    if (!file) continue;
    const handle = await folder.getFileHandle(await freeName(folder, nameOf(photo)), { create: true });
    const writable = await handle.createWritable();
    await writable.write(file);
    await writable.close();
    copied++;
  }
  return copied;
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
