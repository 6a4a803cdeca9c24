/**
 * A change of model: the photos are looked at again into a library of its own, in the background. The
 * present one is searched until then, and goes when the new one takes its place. A page that is closed
 * meanwhile goes on at the next visit.
 */
import { Library } from 'photorecall';
import { openingWith } from './catalogue.js';
import { toast } from './dom.js';
import { original } from './folders.js';
import { t } from './i18n.js';
import { Panel, type PanelWords } from './progress.js';
import { said } from './said.js';
import { arrive, type Place, prepare, upcoming } from './state.js';

/** What a change of model asks of the page. */
export interface Switchable {
  library(): Library;
  /** Resolves when no photos are being added. */
  idle(): Promise<void>;
  /** Shows another library from now on. */
  use(library: Library): Promise<void>;
}

function wordsFor(name: string): PanelWords {
  return {
    label: name,
    running: (done, total) => t('switching', { name, done, total }),
    paused: (done, total) => t('switchPaused', { name, done, total }),
    finished: () => t('switched', { name }),
    stopped: () => t('switchStopped'),
  };
}

export class Switching {
  private running = false;

  constructor(private readonly page: Switchable) {}

  /** The model that is being prepared. */
  get model(): string | undefined {
    return this.running ? upcoming()?.model : undefined;
  }

  /** Goes on with what an earlier visit began. */
  resume(): void {
    const place = upcoming();
    if (place) void this.run(place);
  }

  /** Prepares a model's library and changes over to it; `digest` tells the model from others of its name. */
  async to(model: string, digest: string): Promise<void> {
    const place = { model, library: `photos-${digest.slice(0, 12)}` };
    prepare(place);
    await this.run(place);
  }

  private async run(place: Place): Promise<void> {
    this.running = true;
    let next: Library | undefined;
    try {
      next = await Library.open({ name: place.library, ...(await openingWith(place.model)) });
      if (await this.fill(next, place.model)) await this.changeOver(next, place);
      else await this.giveUp(next, place);
    } catch (thrown) {
      await this.giveUp(next, place);
      toast(said(thrown), undefined, 30_000);
    } finally {
      this.running = false;
    }
  }

  /** Looks at all photos; those that were added meanwhile are looked at in another round. */
  private async fill(next: Library, model: string): Promise<boolean> {
    if ((await this.page.library().info()).photos === 0) return true;
    const panel = new Panel(wordsFor(model), () => undefined);
    const done = await panel.run((steer) => next.reindex(this.page.library(), { ...steer, file: original }));
    if (!done) return false;
    for (let added = 1; added > 0; ) {
      await this.page.idle();
      ({ added } = await next.reindex(this.page.library(), { file: original }));
    }
    return true;
  }

  private async changeOver(next: Library, place: Place): Promise<void> {
    const old = this.page.library();
    arrive(place);
    await this.page.use(next);
    await old.destroy();
  }

  private async giveUp(next: Library | undefined, { library }: Place): Promise<void> {
    prepare(undefined);
    // What an earlier visit has begun goes too.
    if (next) await next.destroy();
    else indexedDB.deleteDatabase(`photorecall:${library}`);
  }
}
