/** The models that can be had: the shipped one, the known ones, those of this browser. */
import { type KnownModel, type ModelFiles, ModelStore, parseManifest } from 'photorecall';
import { SHIPPED, SHIPPED_URL } from './state.js';

/** A model with what is here of it. */
export interface Offer {
  model: KnownModel;
  /** Bytes that are here. */
  have: number;
  whole: boolean;
  shipped: boolean;
}

/** Where models are fetched from; undefined where the site's builder wants none fetched. */
export function hub(): URL | undefined {
  const named = document.querySelector<HTMLMetaElement>('meta[name=photorecall-hub]')?.content;
  return named ? new URL(named) : undefined;
}

/** Does something with this browser's models. */
export async function withStore<T>(act: (store: ModelStore) => Promise<T>): Promise<T> {
  const store = await ModelStore.open();
  try {
    return await act(store);
  } finally {
    store.close();
  }
}

async function manifestAt(address: string): Promise<KnownModel> {
  const response = await fetch(address);
  return parseManifest(new Uint8Array(await response.arrayBuffer()), address);
}

/** What the site says of models: the shipped one, and those that it knows by name. */
interface Listed {
  shipped: KnownModel;
  known: KnownModel[];
}

/** Asked for once: a network that is gone later takes nothing away. */
let listed: Promise<Listed> | undefined;

async function list(): Promise<Listed> {
  const [shipped, index] = await Promise.all([manifestAt(`${SHIPPED_URL}manifest.json`), fetch('models/known/index.json')]);
  const names = index.ok ? ((await index.json()) as string[]) : [];
  return { shipped, known: await Promise.all(names.map((name) => manifestAt(`models/known/${name}`))) };
}

/** The site's models. */
export function siteModels(): Promise<Listed> {
  const asked = (listed ??= list());
  asked.catch(() => (listed = undefined));
  return asked;
}

/** All that can be had, the shipped one first. */
export async function offers(): Promise<Offer[]> {
  const { shipped, known } = await siteModels();
  return withStore(async (store) => {
    const here = await store.list();
    const own = here.filter(({ name }) => !known.some((model) => model.name === name));
    const rest = [...known, ...own].map(async (model): Promise<Offer> => {
      const whole = here.some(({ name }) => name === model.name);
      return { model, have: await store.have(model), whole, shipped: false };
    });
    return [{ model: shipped, have: shipped.bytes, whole: true, shipped: true }, ...(await Promise.all(rest))];
  });
}

/** How a library is opened with the model of this name. */
export async function openingWith(name: string): Promise<{ modelUrl: string } | { model: ModelFiles }> {
  if (name === SHIPPED) return { modelUrl: SHIPPED_URL };
  return { model: await withStore((store) => store.load(name)) };
}
