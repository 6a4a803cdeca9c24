/** The panel that tells how far the adding is, with pause and cancel. */
import { type AddProgress, type Library, type NamedSource, PhotorecallError } from 'photorecall';
import { announce, button, find, h } from './dom.js';
import { duration, number, t } from './i18n.js';

/** Adds photos and shows how it goes; resolves when it is over, however it ended. */
export class AddPanel {
  private readonly panel = find('.progress');
  private readonly said = h('span', { className: 'grow' });
  private readonly bar = h('progress', { max: 1, ariaLabel: t('add') });
  private readonly list = h('ul');
  private readonly summary = h('summary');
  private readonly skipped = h('details', { hidden: true }, [this.summary, this.list]);
  private readonly pause = button(t('pause'), 'line', () => this.togglePause());
  private readonly cancel = button(t('cancel'), 'line', () => this.stop());
  private readonly abort = new AbortController();
  private resume: (() => void) | undefined;
  private paused: Promise<void> | undefined;
  private latest: AddProgress | undefined;
  private listed = 0;

  constructor(
    private readonly library: Library,
    private readonly onSome: () => void,
  ) {
    this.panel.replaceChildren(
      h('div', { className: 'row' }, [this.said, this.pause, this.cancel]),
      this.bar,
      this.skipped,
    );
    this.panel.hidden = false;
  }

  /** Runs the adding. */
  async run(sources: NamedSource[], completeFolder?: string): Promise<void> {
    let shown = 0;
    try {
      const adding = this.library.add(sources, {
        signal: this.abort.signal,
        gate: () => this.paused,
        ...(completeFolder === undefined ? {} : { completeFolder }),
      });
      for await (const progress of adding) {
        this.show(progress);
        // The grid is looked at again now and then, not at each photo.
        if (progress.added >= shown * 2 + 1) {
          shown = progress.added;
          this.onSome();
        }
      }
      this.finish(told(this.latest));
    } catch (thrown) {
      const error = PhotorecallError.from(thrown);
      this.finish(error.code === 'aborted' ? t('stopped', { added: number(this.latest?.added ?? 0) }) : t('failed', { reason: error.message }));
    }
    this.onSome();
  }

  private show(progress: AddProgress): void {
    this.latest = progress;
    const values = { done: number(progress.done), total: number(progress.total) };
    this.bar.value = progress.total === 0 ? 0 : progress.done / progress.total;
    const rate =
      progress.etaMs === undefined || this.paused
        ? ''
        : ` · ${t('rate', { rate: number(progress.rate, 1), left: duration(progress.etaMs) })}`;
    this.said.textContent = t(this.paused ? 'pausedAt' : 'indexing', values) + rate;
    this.skipped.hidden = progress.skipped.length === 0;
    this.summary.textContent = t('skipped', { count: number(progress.skipped.length) });
    const fresh = progress.skipped.slice(this.listed);
    this.list.append(...fresh.map(({ path, reason }) => h('li', { textContent: `${path}: ${reason}` })));
    this.listed = progress.skipped.length;
  }

  private finish(text: string): void {
    this.said.textContent = text;
    announce(text);
    this.bar.hidden = true;
    const close = button(t('close'), 'line', () => (this.panel.hidden = true));
    this.pause.remove();
    this.cancel.replaceWith(close);
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
function told({ added, unchanged, renamed, removed }: Partial<AddProgress> = {}): string {
  const parts = [
    ['unchanged', unchanged],
    ['renamed', renamed],
    ['gone', removed],
  ] as const;
  const more = parts.flatMap(([key, count]) => (count ? [t(key, { count: number(count) })] : []));
  return [t('finished', { added: number(added ?? 0) }), ...more].join(', ');
}
