/** The part of the settings that is about what this browser keeps: how much, as one file, none of it. */
import { Library, type LoadProgress, type ModelRef, PhotorecallError, sha256 } from 'photorecall';
import { openingWith, siteModels, withStore } from './catalogue.js';
import { button, h } from './dom.js';
import { save } from './exporting.js';
import { forgetFolders } from './folders.js';
import { number, size, t } from './i18n.js';
import { said } from './said.js';
import { arrive, forgetPlaces } from './state.js';

/** What the section asks of the page. */
export interface Kept {
  library(): Library;
  readOnly: boolean;
  /** Shows another library from now on. */
  use(library: Library): Promise<void>;
}

export class StorageSection {
  readonly element = h('section', {}, [h('h3', { textContent: t('storage') })]);
  private readonly room = h('p');
  private readonly lasting = h('p', { className: 'small' });
  private readonly keep = button(t('keepIt'), 'line', () => void this.persist());
  private readonly bar = h('progress', { max: 1, hidden: true });
  private readonly problem = h('p', { className: 'problem', role: 'alert', hidden: true });
  private readonly exporting = button(t('exportLibrary'), 'line', () => void this.export());
  private readonly importing = button(t('importLibrary'), 'line', () => this.chooseFile());

  constructor(private readonly page: Kept) {
    const transfer = h('div', { className: 'choices' }, page.readOnly ? [] : [this.exporting, this.importing]);
    const away = [
      button(t('deleteLibrary'), 'line danger', () => void this.deleteLibrary()),
      button(t('deleteEverything'), 'line danger', () => void this.deleteEverything()),
    ];
    this.element.append(this.room, this.lasting, this.keep, transfer);
    if (!page.readOnly) this.element.append(h('p', { className: 'small', textContent: t('fileNote') }));
    this.element.append(this.bar, this.problem);
    if (!page.readOnly) this.element.append(h('div', { className: 'choices' }, away));
  }

  async refresh(): Promise<void> {
    const library = this.page.library();
    const [{ usage, quota }, persisted, { photos }] = await Promise.all([
      library.estimate(),
      navigator.storage?.persisted() ?? false,
      library.info(),
    ]);
    this.room.textContent = t('room', { used: size(usage), free: size(Math.max(0, quota - usage)), count: number(photos) });
    this.lasting.textContent = t(persisted ? 'persisted' : 'notPersisted');
    this.keep.hidden = persisted;
    this.exporting.disabled = photos === 0;
  }

  private async persist(): Promise<void> {
    if (!(await this.page.library().persist())) this.tell(t('keepRefused'));
    await this.refresh();
  }

  private async export(): Promise<void> {
    await this.busy(async (onProgress) => {
      const file = await this.page.library().export({ onProgress });
      save(`photorecall-${new Date().toISOString().slice(0, 10)}.tar`, file);
    });
  }

  private chooseFile(): void {
    const input = h('input', { type: 'file', accept: '.tar', hidden: true });
    input.onchange = () => {
      const [file] = input.files ?? [];
      input.remove();
      if (file) void this.import(file);
    };
    input.oncancel = () => input.remove();
    document.body.append(input);
    input.click();
  }

  /** The file's library takes the place of the one that is here. */
  private async import(file: File): Promise<void> {
    const { photos } = await this.page.library().info();
    if (photos > 0 && !confirm(t('importSure', { count: number(photos) }))) return;
    await this.busy(async (onProgress) => {
      const name = `photos-${crypto.randomUUID().slice(0, 13)}`;
      const model = await Library.import(file, { name, onProgress });
      try {
        await this.takeOver(name, model);
      } catch (thrown) {
        await deleteDatabase(`photorecall:${name}`);
        throw thrown;
      }
    });
    await this.refresh();
  }

  private async takeOver(name: string, model: ModelRef): Promise<void> {
    const here = await modelHere(model);
    if (!here) throw new PhotorecallError('not_found', t('importNeeds', { name: model.name }));
    const library = await Library.open({ name, ...(await openingWith(here)) });
    const old = this.page.library();
    arrive({ library: name, model: here });
    await this.page.use(library);
    await old.destroy();
  }

  private async deleteLibrary(): Promise<void> {
    const library = this.page.library();
    const { photos } = await library.info();
    if (!confirm(t('deleteAllSure', { count: number(photos) }))) return;
    await library.destroy();
    await forgetFolders();
    forgetPlaces();
    location.assign('./');
  }

  private async deleteEverything(): Promise<void> {
    if (!confirm(t('deleteEverythingSure'))) return;
    await this.page.library().destroy();
    for (const { name = '' } of await indexedDB.databases()) {
      if (/^photorecall\b/.test(name)) await deleteDatabase(name);
    }
    // Other pages of this host have theirs.
    for (const key of Object.keys(localStorage)) if (key.startsWith('photorecall.')) localStorage.removeItem(key);
    location.assign('./');
  }

  /** Shows a bar while something goes on, and what came in its way. */
  private async busy(work: (onProgress: (progress: LoadProgress) => void) => Promise<void>): Promise<void> {
    this.problem.hidden = true;
    this.bar.ariaLabel = t('storage');
    this.bar.removeAttribute('value');
    this.bar.hidden = false;
    this.exporting.disabled = this.importing.disabled = true;
    try {
      await work(({ done, total }) => (this.bar.value = done / (total || 1)));
    } catch (thrown) {
      this.tell(said(thrown));
    } finally {
      this.bar.hidden = true;
      this.exporting.disabled = this.importing.disabled = false;
    }
  }

  private tell(text: string): void {
    this.problem.textContent = text;
    this.problem.hidden = false;
  }
}

/** The name of the model with this digest, where it is here. */
async function modelHere({ digest }: ModelRef): Promise<string | undefined> {
  const { shipped } = await siteModels();
  const models = [shipped, ...(await withStore((store) => store.list()))];
  for (const { name, manifest } of models) {
    if ((await sha256(manifest as Uint8Array<ArrayBuffer>)) === digest) return name;
  }
  return undefined;
}

function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
    // Another tab holds it: it goes when that is closed.
    request.onblocked = () => resolve();
  });
}
