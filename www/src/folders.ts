/**
 * Folders that were chosen, remembered by the browser where it can: they are looked through again
 * on return, and a photo is shown in full size from its file.
 */
import { isPhotoName, type NamedSource, photosOfFolder } from 'photorecall';
import { ofSample } from './sample.js';

const STORE = 'folders';

/** A folder and the name that the paths of its photos begin with. */
export interface Folder {
  root: string;
  handle: FileSystemDirectoryHandle;
}

/** Asking for permission, which TypeScript's DOM types do not have. */
interface Permitted {
  queryPermission?(options: { mode: 'read' }): Promise<PermissionState>;
  requestPermission?(options: { mode: 'read' }): Promise<PermissionState>;
}

type Picker = { showDirectoryPicker?: (options: { id: string }) => Promise<FileSystemDirectoryHandle> };

/** Files that were chosen in this visit, by path: for the full size. */
const seen = new Map<string, File | FileSystemFileHandle>();

/** Notes where photos come from. */
export function remember(sources: Iterable<NamedSource>): void {
  for (const { path, file } of sources) seen.set(path, file);
}

function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('photorecall-app', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'root' });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function withStore<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const db = await database();
  try {
    return await new Promise((resolve, reject) => {
      const request = act(db.transaction(STORE, mode).objectStore(STORE));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } finally {
    db.close();
  }
}

/** The folders that are remembered. */
export function folders(): Promise<Folder[]> {
  return withStore('readonly', (store) => store.getAll() as IDBRequest<Folder[]>);
}

/** Forgets them all. */
export async function forgetFolders(): Promise<void> {
  await withStore('readwrite', (store) => store.clear());
}

/** Whether the browser has a folder picker that can be remembered. */
export function canPickFolder(): boolean {
  return 'showDirectoryPicker' in window;
}

/** Asks for a folder; undefined when the asking was called off. */
export async function pickFolder(): Promise<Folder | undefined> {
  try {
    const handle = await (window as unknown as Picker).showDirectoryPicker?.({ id: 'photos' });
    return handle && (await keep(handle));
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return undefined;
    throw error;
  }
}

/** Two folders of one name must not share paths: the second one gets a number. */
async function keep(handle: FileSystemDirectoryHandle): Promise<Folder> {
  const known = await folders();
  for (const folder of known) if (await folder.handle.isSameEntry(handle)) return folder;
  let root = handle.name;
  for (let n = 2; known.some((folder) => folder.root === root); n++) root = `${handle.name} (${n})`;
  const folder = { root, handle };
  await withStore('readwrite', (store) => store.put(folder));
  return folder;
}

/** Whether the folder may be read; asks when `ask` is true, which a click must have led to. */
export async function mayRead(folder: Folder, ask: boolean): Promise<boolean> {
  const handle = folder.handle as FileSystemDirectoryHandle & Permitted;
  if ((await handle.queryPermission?.({ mode: 'read' })) === 'granted') return true;
  return ask && (await handle.requestPermission?.({ mode: 'read' })) === 'granted';
}

/** All photos of a folder, named as in the library. */
export async function listFolder(folder: Folder): Promise<NamedSource[]> {
  const found: NamedSource[] = [];
  for await (const source of photosOfFolder(folder.handle, folder.root)) found.push(source);
  remember(found);
  return found;
}

/** The photo's own file, where it can be had without asking. */
export async function original(path: string): Promise<File | undefined> {
  try {
    const chosen = seen.get(path);
    if (chosen) return chosen instanceof File ? chosen : await chosen.getFile();
    const sample = await ofSample(path);
    if (sample) return sample;
    if (!isPhotoName(path.slice(path.lastIndexOf('/') + 1))) return undefined;
    for (const folder of await folders()) {
      if (path.startsWith(`${folder.root}/`) && (await mayRead(folder, false))) {
        return await descend(folder.handle, path.slice(folder.root.length + 1).split('/'));
      }
    }
  } catch {
    // Moved or deleted since: the small picture is shown instead.
  }
  return undefined;
}

async function descend(folder: FileSystemDirectoryHandle, parts: string[]): Promise<File> {
  const [first = '', ...rest] = parts;
  if (rest.length === 0) return (await folder.getFileHandle(first)).getFile();
  return descend(await folder.getDirectoryHandle(first), rest);
}
