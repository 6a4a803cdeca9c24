/** Photos out of folders, however the browser hands them over. */
import type { NamedSource } from './types.js';

/**
 * File name endings that are taken for photos, as on the command line. Kinds that cannot be decoded are
 * among them, so that they are named in the list of what was skipped.
 */
const ENDINGS = new Set(
  ('apng arw avif bmp cr2 cr3 dng gif heic heif hif jfif jp2 jpe jpeg jpg jxl nef orf png psd raf rw2 ' +
    'svg tif tiff webp').split(' '),
);

/** Whether a file's name is a photo's. */
export function isPhotoName(name: string): boolean {
  return !name.startsWith('.') && ENDINGS.has(name.slice(name.lastIndexOf('.') + 1).toLowerCase());
}

/** The photos of a folder and of those in it; hidden ones are left out. `root` starts their paths. */
export async function* photosOfFolder(
  folder: FileSystemDirectoryHandle,
  root: string = folder.name,
): AsyncGenerator<NamedSource, void> {
  for await (const entry of (folder as Listable).values()) {
    const path = `${root}/${entry.name}`;
    if (entry.kind === 'file') {
      if (isPhotoName(entry.name)) yield { path, file: entry as FileSystemFileHandle };
    } else if (!entry.name.startsWith('.')) {
      yield* photosOfFolder(entry as FileSystemDirectoryHandle, path);
    }
  }
}

/** The listing of a folder, which not every version of TypeScript's DOM types has. */
type Listable = FileSystemDirectoryHandle & { values(): AsyncIterable<FileSystemHandle> };

/** The photos of an `<input type=file webkitdirectory>` or of a plain one. */
export function photosOfInput(files: Iterable<File>): NamedSource[] {
  return [...files]
    .filter((file) => isPhotoName(file.name))
    .map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** The photos of what was dropped: files, and folders with all that is in them. */
export async function photosOfDrop(data: DataTransfer): Promise<NamedSource[]> {
  // The list is emptied when the event is over: everything is taken before the first await.
  const entries = [...data.items].flatMap((item) => {
    const entry = item.kind === 'file' ? item.webkitGetAsEntry() : null;
    const file = item.getAsFile();
    return entry || file ? [{ entry, file }] : [];
  });
  const found: NamedSource[] = [];
  for (const { entry, file } of entries) {
    // A file's own name is no reason to leave out what was dropped by hand. What comes from another
    // page or program may have no entry.
    if (file && !entry?.isDirectory) found.push({ path: file.name, file });
    else if (entry) await walk(entry, found);
  }
  return found;
}

async function walk(entry: FileSystemEntry, found: NamedSource[]): Promise<void> {
  if (entry.name.startsWith('.')) return;
  if (entry.isFile) {
    if (!isPhotoName(entry.name)) return;
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ path: entry.fullPath.replace(/^\//, ''), file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  // A reader gives some entries at a time, and none at the end.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const inner of some) await walk(inner, found);
  }
}
