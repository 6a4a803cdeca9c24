/** Panels that tell how far work over many photos is, with pause and cancel. */
import { type AddProgress, type JobOptions, PhotorecallError } from 'photorecall';
import { announce, button, find, h } from './dom.js';
import { duration, number, t, why } from './i18n.js';
import { said } from './said.js';

/** How work is steered by its panel. */
export type Steer = Required<Pick<JobOptions, 'signal' | 'gate'>>;

/** What a panel says. */
export interface PanelWords {
  label: string;
  running(done: string, total: string): string;
  paused(done: string, total: string): string;
  finished(progress: Partial<AddProgress>): string;
  stopped(added: string): string;
}

/** The words for adding photos. */
export const ADDING: PanelWords = {
  label: t('add'),
  running: (done, total) => t('indexing', { done, total }),
  paused: (done, total) => t('pausedAt', { done, total }),
  finished: told,
  stopped: (added) => t('stopped', { added }),
};

export class Panel {
  private readonly said = h('span', { className: 'grow' });
  private readonly bar = h('progress', { max: 1 });
  private readonly list = h('ul');
  private readonly summary = h('summary');
  private readonly note = h('p', { className: 'small', hidden: true });
  private readonly skipped = h('details', { hidden: true }, [this.summary, this.list]);
  private readonly pause = button(t('pause'), 'line', () => this.togglePause());
  private readonly cancel = button(t('cancel'), 'line', () => this.stop());
  private readonly element = h('section', { className: 'progress' });
  private readonly abort = new AbortController();
  private resume: (() => void) | undefined;
  private paused: Promise<void> | undefined;
  private latest: AddProgress | undefined;
  private listed = 0;

  constructor(
    private readonly words: PanelWords,
    private readonly onSome: () => void,
    /** Seen only when there is something to tell. */
    quiet = false,
  ) {
    this.element.hidden = quiet;
    this.bar.ariaLabel = this.element.ariaLabel = words.label;
    this.element.append(h('div', { className: 'row' }, [this.said, this.pause, this.cancel]), this.bar, this.note, this.skipped);
    // What is over makes room for what begins.
    find('.panels').querySelectorAll('.over').forEach((old) => old.remove());
    find('.panels').append(this.element);
  }

  /** What is to be known while it runs. */
  tell(text: string): void {
    this.note.textContent = text;
    this.note.hidden = false;
  }

  /** Runs a job; tells whether it came to its end. */
  async run(start: (steer: Steer) => AsyncIterable<AddProgress>): Promise<boolean> {
    let shown = 0;
    let done = false;
    try {
      for await (const progress of start({ signal: this.abort.signal, gate: () => this.paused })) {
        this.show(progress);
        // The grid is looked at again now and then, not at each photo.
        if (progress.added >= shown * 2 + 1) {
          shown = progress.added;
          this.onSome();
        }
      }
      if (this.element.hidden) this.element.remove();
      this.finish(this.words.finished(this.latest ?? {}));
      this.offerUndo();
      done = true;
    } catch (thrown) {
      const error = PhotorecallError.from(thrown);
      this.element.hidden = false;
      this.finish(error.code === 'aborted' ? this.words.stopped(number(this.latest?.added ?? 0)) : said(error));
    }
    this.onSome();
    return done;
  }

  private show(progress: AddProgress): void {
    this.latest = progress;
    const { done, unchanged, removed } = progress;
    if (done > unchanged + progress.skipped.length || removed > 0) this.element.hidden = false;
    this.bar.value = progress.total === 0 ? 0 : progress.done / progress.total;
    const rate =
      progress.etaMs === undefined || this.paused
        ? ''
        : ` · ${t('rate', { rate: number(progress.rate, 1), left: duration(progress.etaMs) })}`;
    const say = this.paused ? this.words.paused : this.words.running;
    this.said.textContent = say(number(progress.done), number(progress.total)) + rate;
    this.skipped.hidden = progress.skipped.length === 0;
    this.summary.textContent = t('skipped', { count: number(progress.skipped.length) });
    const fresh = progress.skipped.slice(this.listed);
    this.list.append(...fresh.map(({ path, code, reason }) => h('li', { textContent: `${path}: ${why(code, reason)}` })));
    this.listed = progress.skipped.length;
  }

  private finish(text: string): void {
    this.said.textContent = text;
    if (this.element.isConnected) announce(text);
    this.bar.hidden = this.note.hidden = true;
    this.element.classList.add('over');
    const close = button(t('close'), 'line', () => this.element.remove());
    this.pause.remove();
    this.cancel.replaceWith(close);
  }

  /** What was gone from its folder can come back into the library all the same. */
  private offerUndo(): void {
    const undo = this.latest?.undoRemoved;
    if (!undo) return;
    const back = button(t('undo'), 'line', () => {
      back.remove();
      void undo().then(this.onSome);
    });
    this.said.after(back);
  }

  private togglePause(): void {
    if (this.resume) {
      this.resume();
      this.resume = this.paused = undefined;
    } else {
      this.paused = new Promise((resolve) => (this.resume = resolve));
    }
    this.pause.textContent = t(this.paused ? 'resume' : 'pause');
    if (this.latest) this.show(this.latest);
  }

  private stop(): void {
    this.abort.abort();
    // A paused lane must wake up to see that it is over.
    this.resume?.();
  }
}

/** What came of it; what there was none of is not told. */
function told({ added, unchanged, renamed, removed }: Partial<AddProgress>): string {
  const parts = [
    ['unchanged', unchanged],
    ['renamed', renamed],
    ['gone', removed],
  ] as const;
  const more = parts.flatMap(([key, count]) => (count ? [t(key, { count: number(count) })] : []));
  return [t('finished', { added: number(added ?? 0) }), ...more].join(', ');
}
