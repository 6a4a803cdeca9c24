/** Which library this browser has, made with which model; and the one that is to take its place. */

/** The model that comes with the page, and its folder. */
export const SHIPPED = 'photorecall-s';
export const SHIPPED_URL = `models/${SHIPPED}/`;

/** A library's name and its model's. */
export interface Place {
  library: string;
  model: string;
}

const CURRENT = 'photorecall.current';
const NEXT = 'photorecall.next';
const FILLED = 'photorecall.filled';

function read(key: string): Place | undefined {
  try {
    return (JSON.parse(localStorage.getItem(key) ?? 'null') as Place | null) ?? undefined;
  } catch {
    return undefined;
  }
}

/** What is shown and searched. */
export function current(): Place {
  return read(CURRENT) ?? { library: 'photos', model: SHIPPED };
}

/** What is being prepared, in this visit or in an earlier one. */
export function upcoming(): Place | undefined {
  return read(NEXT);
}

/** Notes what is being prepared; nothing any more without `place`. */
export function prepare(place: Place | undefined): void {
  if (place) localStorage.setItem(NEXT, JSON.stringify(place));
  else localStorage.removeItem(NEXT);
}

/** What was prepared is the current one now. */
export function arrive(place: Place): void {
  localStorage.setItem(CURRENT, JSON.stringify(place));
  prepare(undefined);
}

/** Whether there were photos when the page was left: tells what to show before the library is open. */
export function wasFilled(): boolean {
  return localStorage.getItem(FILLED) !== null;
}

export function noteFilled(filled: boolean): void {
  if (filled) localStorage.setItem(FILLED, '1');
  else localStorage.removeItem(FILLED);
}

/** Forgets everything. */
export function forgetPlaces(): void {
  localStorage.removeItem(CURRENT);
  noteFilled(false);
  prepare(undefined);
}
