import type { ModelFiles } from './model.js';
import type { Damage, DateSuggestion, EncoderInfo, Found, FoundPage, Stats } from './photorecall.js';

export type {
  Cluster,
  Damage,
  DateSuggestion,
  Duplicates,
  EncoderInfo,
  Facets,
  Found,
  LabelChange,
  Listed,
  ModelRef,
  Month,
  ParsedQuery,
  Photo,
  SelfTest,
  Stats,
} from './photorecall.js';

/** A photo to be added: a file, or a file with the path that it has in the library. */
export type PhotoSource = File | NamedSource;

/** A file under a name of the caller's. */
export interface NamedSource {
  /** Below the chosen folder, with `/`. */
  path: string;
  /** Bytes are read when it is the photo's turn, never before. */
  file: File | FileSystemFileHandle;
}

/** How a library is opened. */
export interface OpenOptions {
  /** Which of this site's libraries; `photos` if left out. */
  name?: string;
  /** Folder of the model on your own host: the one that has `manifest.json`. This or `model`. */
  modelUrl?: string | URL;
  /** A model that is here already, as `ModelStore.load` gives it. */
  model?: ModelFiles;
  /**
   * `photorecall_bg.wasm`, where it does not lie beside the package's modules. The file for engines with
   * relaxed SIMD is not looked for then.
   */
  wasmUrl?: string | URL;
  /** The worker's module, where a bundler cannot find it by itself. */
  workerUrl?: string | URL;
  /** Opens a library of another model, too: to list, to export, to `reindex` another one from it. */
  anyModel?: boolean;
  /**
   * Where another tab has the library open, opens it to read, and tells of what that tab does; without it,
   * `locked` is thrown.
   */
  follow?: Follow;
  /** How many photos are encoded at once; a choice by cores and memory if left out. */
  workers?: number;
  /** Told while the model and the wasm are fetched. */
  onLoad?: (progress: LoadProgress) => void;
}

/**
 * What the tab that writes has done: stored something, which can be found here now; removed the library;
 * or let go of it, so that it can be opened here to write.
 */
export type Follow = (event: 'changed' | 'gone' | 'free') => void;

/** How a library that was built elsewhere is opened, to search only. */
export interface OpenUrlOptions extends Omit<OpenOptions, 'name' | 'follow'> {
  /** Folder of the photos; without it, `original` finds none. */
  photosUrl?: string | URL;
  /** Folder of small pictures by the photos' paths. */
  thumbnailsUrl?: string | URL;
  /** Read in parts as queries need them, or fetched whole; if left out, in parts above 128 MiB where possible. */
  parts?: boolean;
  /** Bytes of parts that stay in this browser, of all such libraries; 256 MiB if left out. */
  keptBytes?: number;
}

/** How far the fetching is. */
export interface LoadProgress {
  /** Bytes. */
  done: number;
  /** Bytes; 0 as long as it is not known. */
  total: number;
}

/** How long work over many photos is steered. */
export interface JobOptions {
  /** Stops after the photos that are in work; what was added stays. */
  signal?: AbortSignal;
  onProgress?: (progress: AddProgress) => void;
  /** Asked before each photo: the next one starts when the promise is there. For a pause. */
  gate?: () => Promise<void> | undefined;
}

/** How photos are added. */
export interface AddOptions extends JobOptions {
  /**
   * The files are all there is below this folder: photos of the library below it that are not among
   * them are renamed ones where the digest is found again, and are removed otherwise.
   */
  completeFolder?: string;
  /** Leaves black rows and columns at the edges out of account. */
  trimBorders?: boolean;
}

/** How a library is filled from another one. */
export interface ReindexOptions extends JobOptions {
  /** The photo's file, where it can be had; its small picture is taken otherwise. */
  file?: (path: string) => Promise<File | undefined>;
}

/** A photo that was not added. */
export interface Skipped {
  path: string;
  /** In words. */
  reason: string;
  /** The error's code. */
  code: string;
}

/** How far the adding is. */
export interface AddProgress {
  /** Photos that are finished, whatever came of them. */
  done: number;
  total: number;
  added: number;
  /** Same path, size and time of change as when they were indexed. */
  unchanged: number;
  /** Same bytes, another path. */
  renamed: number;
  /** Gone from the complete folder. */
  removed: number;
  /** Puts those back into the library; there at the end, and until the library is closed. */
  undoRemoved?: () => Promise<void>;
  skipped: Skipped[];
  /** Photos a second, of late. */
  rate: number;
  /** Milliseconds to the end at this rate; undefined at first. */
  etaMs: number | undefined;
}

/** What to look for: words, photos, photos of the library, filters, or all of them together. */
export interface Search {
  /**
   * Words with weights and filters: `beach - people date:2019..2020-05 (album:"Rome" or is:favourite)`.
   * Quotes keep words as they are.
   */
  text?: string;
  /** Filters that must hold too, in the same language. */
  filter?: string;
  image?: Blob | Blob[];
  /** Paths of photos of the library; they are left out of what is found. */
  like?: string | string[];
  /** How many; 50 if left out. */
  k?: number;
  /** How many of the best to leave out. */
  offset?: number;
  /** `next` of the page before: go on there, whatever came or went meanwhile. */
  after?: string;
  /** Leave out photos with a lower cosine. */
  minScore?: number;
  /** False for no look at the names of files, folders, albums and tags. */
  names?: boolean;
  /** How good the answer should be, against how fast; `high` if left out: 99 % of the ten nearest. */
  recall?: 'fast' | 'high' | 'exact';
  /** Put near duplicates under the best of them. */
  grouped?: boolean;
}

/** A page of what was found, and a date that its words may mean. */
export interface Page extends FoundPage {
  suggestion?: DateSuggestion;
}

/** What was taken out, and the way back. */
export interface Removed {
  photos: number;
  /** Puts the photos back; possible until the library is closed or `forget` is called. */
  undo(): Promise<void>;
  /** Lets go of what `undo` needs. */
  forget(): void;
}

/** What a library is. */
export interface Info extends Stats {
  encoder: EncoderInfo;
  damaged: Damage[];
  workers: number;
  readOnly: boolean;
  /** Read in parts from its host: it can be searched only, and not be filtered or listed. */
  inParts: boolean;
  /** Another model's than the one it was opened with: it can be listed and copied only. */
  foreign: boolean;
}

/** A page of what was found. */
export type Results = Found[];
