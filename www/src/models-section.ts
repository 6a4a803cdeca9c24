/** The part of the settings that is about models. */
import { type KnownModel, type LoadProgress, PhotorecallError, sha256 } from 'photorecall';
import { hub, type Offer, offers, siteModels, withStore } from './catalogue.js';
import { button, h, toast } from './dom.js';
import { number, t } from './i18n.js';
import { said } from './said.js';
import { current } from './state.js';
import type { Switching } from './switching.js';

export class ModelsSection {
  readonly element = h('section', {}, [h('h3', { textContent: t('models') })]);
  private readonly list = h('ul', { className: 'models' });
  private readonly problem = h('p', { className: 'problem', role: 'alert', hidden: true });
  /** Downloads that run, by the model's name. */
  private readonly loading = new Map<string, AbortController>();

  constructor(
    private readonly switching: Switching,
    private readonly photos: () => Promise<number>,
  ) {
    const host = hub();
    this.element.append(
      h('p', { textContent: t('modelsExplain') }),
      this.list,
      this.problem,
      button(t('importModel'), 'line', () => this.chooseFiles()),
      h('p', { className: 'small', textContent: host ? t('hubNote', { hub: host.host }) : t('noHubNote') }),
    );
  }

  /** Shows what there is now. */
  async refresh(): Promise<void> {
    try {
      const rows = (await offers()).map((offer) => this.running(offer.model.name) ?? this.row(offer));
      this.list.replaceChildren(...rows);
    } catch (thrown) {
      this.tell(thrown);
    }
  }

  /** The row of a download that runs: it stays as it is. */
  private running(name: string): HTMLLIElement | undefined {
    if (!this.loading.has(name)) return undefined;
    return this.list.querySelector<HTMLLIElement>(`[data-model="${CSS.escape(name)}"]`) ?? undefined;
  }

  private row(offer: Offer): HTMLLIElement {
    const { model } = offer;
    const facts = t('modelFacts', { size: megabytes(model.bytes), license: model.license });
    const status = this.statusOf(offer);
    const words = h('div', { className: 'grow' }, [
      h('strong', { textContent: model.name }),
      h('span', { className: 'small', textContent: facts }),
      ...(status ? [h('span', { className: 'status', textContent: status })] : []),
    ]);
    const row = h('li', {}, [words, ...this.buttonsOf(offer)]);
    row.dataset['model'] = model.name;
    return row;
  }

  private statusOf({ model, have, whole, shipped }: Offer): string {
    if (current().model === model.name) return t('inUse');
    if (this.switching.model === model.name) return t('preparing');
    if (shipped) return t('shipped');
    if (whole) return t('isHere');
    return have > 0 ? t('partlyHere', { have: megabytes(have), size: megabytes(model.bytes) }) : '';
  }

  private buttonsOf(offer: Offer): HTMLElement[] {
    const { model, have, whole, shipped } = offer;
    const { name } = model;
    const busy = this.switching.model !== undefined;
    const used = current().model === name || this.switching.model === name;
    const buttons = [];
    if (whole && !used && !busy) buttons.push(named(t('use'), name, 'solid', () => void this.use(model)));
    if (!whole && hub() && model.source) {
      const label = have > 0 ? t('goOn') : t('download', { size: megabytes(model.bytes) });
      buttons.push(named(label, name, 'solid', () => void this.download(model)));
    }
    if (!shipped && !used && have > 0) buttons.push(named(t('delete'), name, 'line', () => void this.delete(model)));
    return buttons;
  }

  private async use(model: KnownModel): Promise<void> {
    const count = await this.photos();
    if (count > 0 && !confirm(t('switchSure', { name: model.name, count: number(count) }))) return;
    const digest = await sha256(model.manifest as Uint8Array<ArrayBuffer>);
    const over = this.switching.to(model.name, digest);
    await this.refresh();
    await over;
    await this.refresh();
  }

  private async delete(model: KnownModel): Promise<void> {
    try {
      await withStore((store) => store.delete(model));
    } catch (thrown) {
      this.tell(thrown);
    }
    await this.refresh();
  }

  private async download(model: KnownModel): Promise<void> {
    const from = hub();
    if (!from) return;
    await this.bring(model.name, (onProgress, signal) =>
      withStore((store) => store.fetch(model, { hub: from, signal, onProgress })),
    );
  }

  private chooseFiles(): void {
    const input = h('input', { type: 'file', multiple: true, hidden: true });
    input.onchange = () => {
      const files = [...(input.files ?? [])];
      input.remove();
      void this.import(files);
    };
    input.oncancel = () => input.remove();
    document.body.append(input);
    input.click();
  }

  private async import(files: File[]): Promise<void> {
    this.problem.hidden = true;
    try {
      const { known } = await siteModels();
      const { name } = await withStore((store) => store.import(files, known));
      toast(t('modelReady', { name }));
    } catch (thrown) {
      this.tell(thrown);
    }
    await this.refresh();
  }

  /** Runs a download with a bar and a way to stop it in the model's row. */
  private async bring(
    name: string,
    work: (onProgress: (progress: LoadProgress) => void, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    if (this.loading.has(name)) return;
    const abort = new AbortController();
    this.loading.set(name, abort);
    this.problem.hidden = true;
    const bar = h('progress', { max: 1, ariaLabel: name });
    const words = h('span', { className: 'status' });
    const cancel = named(t('cancel'), name, 'line', () => abort.abort());
    const row = this.running(name);
    row?.querySelectorAll('button, .status').forEach((old) => old.remove());
    row?.querySelector('.grow')?.append(words, bar);
    row?.append(cancel);
    cancel.focus();
    try {
      await work(({ done, total }) => {
        bar.value = done / total;
        words.textContent = t('downloading', { done: megabytes(done), total: megabytes(total) });
      }, abort.signal);
      toast(t('modelReady', { name }));
    } catch (thrown) {
      if (PhotorecallError.from(thrown).code !== 'aborted') this.tell(thrown);
    } finally {
      this.loading.delete(name);
      await this.refresh();
    }
  }

  private tell(thrown: unknown): void {
    this.problem.textContent = said(thrown);
    this.problem.hidden = false;
  }
}

/** A button that says which model it is for, to those who do not see it beside the name. */
function named(text: string, model: string, className: string, onclick: () => void): HTMLButtonElement {
  return Object.assign(button(text, className, onclick), { ariaLabel: `${text}: ${model}` });
}

function megabytes(bytes: number): string {
  return number(bytes / 1e6, 1);
}
