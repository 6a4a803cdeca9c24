/** The sample album: photographs to try the page with, from the page's own host. */
import type { NamedSource } from 'photorecall';

/** What begins the paths of its photos. */
const ROOT = 'Sample album';

/** What the host tells of it. */
interface Album {
  /** Each one's file name, and when it was made, in milliseconds since 1970. */
  photos: [string, number][];
  credit: string;
}

/** The album's folder; undefined where the site has none. */
function folder(): URL | undefined {
  const named = document.querySelector<HTMLMetaElement>('meta[name=photorecall-album]')?.content;
  return named ? new URL(named, document.baseURI) : undefined;
}

export function hasSample(): boolean {
  return folder() !== undefined;
}

/** The photos, each fetched when it is its turn; and whose they are. */
export async function sample(): Promise<{ sources: NamedSource[]; credit: string }> {
  const response = await fetch(new URL('index.json', folder()));
  if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
  const { photos, credit } = (await response.json()) as Album;
  const sources = photos.map(([name, lastModified]) => {
    const getFile = (): Promise<File> => fetched(name, lastModified);
    return { path: `${ROOT}/${name}`, file: { getFile } as FileSystemFileHandle };
  });
  return { sources, credit };
}

/** The photo's own file, where it is one of the album. */
export async function ofSample(path: string): Promise<File | undefined> {
  return hasSample() && path.startsWith(`${ROOT}/`) ? fetched(path.slice(ROOT.length + 1)) : undefined;
}

async function fetched(name: string, lastModified = 0): Promise<File> {
  const response = await fetch(new URL(encodeURIComponent(name), folder()));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return new File([await response.blob()], name, { lastModified });
}
