/** Opening the library: this browser's own, or one that the server or the address names. */
import { type Follow, Library, type LoadProgress, PhotorecallError } from 'photorecall';
import { openingWith } from './catalogue.js';
import { current, SHIPPED_URL, wasFilled } from './state.js';

/** What `photorecall serve` tells at library.json; a static host has an empty one. */
interface Served {
  library?: string;
  model?: string;
  photos?: string;
  thumbs?: string;
}

/** A library that is to be opened. */
export interface Found {
  /** This browser's own, which had no photos yet. */
  fresh: boolean;
  /** This browser's own. */
  own: boolean;
  /** Its `follow` is told of another tab that writes to it. */
  open(onLoad: (progress: LoadProgress) => void, follow: Follow): Promise<Library>;
}

/** Finds out what is to be opened here. */
export async function findLibrary(): Promise<Found> {
  const asked = new URLSearchParams(location.search);
  const named = asked.get('library');
  // Beside the library's address `parts=1` or `parts=0`: otherwise its size decides.
  const inParts = asked.get('parts');
  const about = new URL(named ? `${named.replace(/\/?$/, '/')}../library.json` : 'library.json', document.baseURI);
  const served = await readServed(about);
  if (!named && !served.library) return { fresh: !wasFilled(), own: true, open: openOwn };
  const at = (part: string | undefined): URL | undefined => (part === undefined ? undefined : new URL(part, about));
  const [photosUrl, thumbnailsUrl] = [at(served.photos), at(served.thumbs)];
  const open = (onLoad: (progress: LoadProgress) => void): Promise<Library> =>
    Library.openUrl(named ?? new URL(served.library ?? '', about), {
      modelUrl: at(served.model) ?? SHIPPED_URL,
      onLoad,
      // A server on this machine sends all of it fast enough.
      ...(inParts !== null ? { parts: inParts !== '0' } : !named && { parts: false }),
      ...(photosUrl && { photosUrl }),
      ...(thumbnailsUrl && { thumbnailsUrl }),
    });
  return { fresh: false, own: false, open };
}

/** The library of this browser, with the model that it was made with. */
async function openOwn(onLoad: (progress: LoadProgress) => void, follow: Follow): Promise<Library> {
  const { library, model } = current();
  const options = { name: library, onLoad, follow, ...(await openingWith(model)) };
  try {
    return await Library.open(options);
  } catch (thrown) {
    // The page came with another model than last time: what is here can be seen until it is done again.
    if (PhotorecallError.from(thrown).code !== 'model_mismatch') throw thrown;
    return Library.open({ ...options, anyModel: true });
  }
}

/** Empty where nothing is served. */
async function readServed(about: URL): Promise<Served> {
  try {
    const response = await fetch(about);
    return response.ok ? ((await response.json()) as Served) : {};
  } catch {
    return {};
  }
}
