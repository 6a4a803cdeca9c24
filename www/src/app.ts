/** The page: what is shown when, and what leads where. */
import { type LabelChange, type Library, type NamedSource, type Photo, PhotorecallError } from 'photorecall';
import { announce, button, find, h, toast } from './dom.js';
import { filterRow } from './filters.js';
import { folders, listFolder, mayRead, original } from './folders.js';
import { Grid, nameOf, type Source } from './grid.js';
import { number, t } from './i18n.js';
import { type Copies, copies, everything, type Results, results } from './lists.js';
import { ADDING, Panel } from './progress.js';
import { readExample, readRoute, type Route, writeRoute } from './route.js';
import { Selection } from './selection.js';
import { Settings } from './settings.js';
import { acceptDrops, chooseExample, chooseFiles, chooseFolder } from './sources.js';
import { upcoming } from './state.js';
import { noteRecent, Suggestions } from './suggest.js';
import { Switching } from './switching.js';
import { Viewer } from './viewer.js';
import { welcome } from './welcome.js';

export class App {
  private readonly main = find('#main');
  private readonly form = find<HTMLFormElement>('.search');
  private readonly input = find<HTMLInputElement>('.search input');
  private readonly chip = find('.chip');
  private readonly viewer: Viewer;
  private readonly selection: Selection;
  private readonly suggestions: Suggestions;
  private grid: Grid | undefined;
  private summary = h('div', { className: 'summary' });
  /** A photo from outside the library that is searched by. */
  private example: File | undefined;
  /** All of them, for "back"; a reload forgets them. */
  private readonly examples: File[] = [];
  /** Counts what was asked to be shown; an answer that comes late is not shown. */
  private asked = 0;
  /** Adding runs until this resolves; undefined when nothing is added. */
  private adding: Promise<void> | undefined;

  constructor(
    private library: Library,
    private readonly readOnly: boolean,
  ) {
    this.viewer = new Viewer(() => this.library, {
      photoAt: async (at) => (await this.grid?.item(at))?.photo,
      closed: (at) => this.grid?.focus(at),
      similar: (photo) => this.go({ text: '', like: photo.path }),
      search: (text) => this.search(text),
      label: readOnly ? undefined : (photo, change) => this.labelOne(photo, change),
      remove: readOnly ? undefined : (photo) => void this.remove([photo.path], nameOf(photo)),
    });
    this.selection = new Selection({
      readOnly,
      all: () => this.allShown(),
      file: (photo) => this.fileOf(photo),
      label: (paths, change) => this.label(paths, change),
      remove: (paths) => this.remove(paths, t('count', { count: number(paths.length) })),
      changed: () => this.grid?.markAll(),
    });
    this.suggestions = new Suggestions(this.input, () => this.library.facets(), (text) => this.search(text));
    this.wireSearch();
    if (!readOnly) this.wireMenu();
    const switching = readOnly ? undefined : new Switching({
      library: () => this.library,
      idle: async () => this.adding,
      use: (library) => this.use(library),
    });
    new Settings({ library: () => this.library, readOnly, use: (library) => this.use(library) }, switching);
    if (switching) void this.keepUp(switching);
    acceptDrops(!readOnly, this.add, this.searchByPhoto);
    if (readExample() !== undefined) history.replaceState(null, ''); // a photo of before a reload
    addEventListener('popstate', () => {
      this.example = this.examples[readExample() ?? -1];
      void this.show();
    });
  }

  /** Shows what the address asks for. */
  async show(): Promise<void> {
    const asked = ++this.asked;
    const route = readRoute();
    const { photos } = await this.library.info();
    if (asked !== this.asked) return;
    const empty = photos === 0 && !this.adding;
    this.form.hidden = empty;
    find('.menu').hidden = empty || this.readOnly;
    this.input.value = route.text;
    this.showChip(route.like);
    if (photos === 0) return this.showEmpty(empty);
    let source: Source | Results | Copies = { ratios: [], items: async () => [] };
    let problem = t('nothing');
    try {
      source = await this.sourceOf(route);
    } catch (thrown) {
      problem = PhotorecallError.from(thrown).message;
    }
    const facets = await this.library.facets();
    if (asked !== this.asked) return;
    const filters = filterRow(facets, route.text, (text) => this.search(text));
    const double = button(t('duplicates'), 'filter', () => this.go({ text: '', like: '', duplicates: !route.duplicates }));
    double.ariaPressed = String(route.duplicates ?? false);
    filters.append(double);
    filters.hidden = false;
    const summary = 'extras' in source ? duplicatesSaid(source) : this.summaryOf(route, photos, source.ratios.length);
    this.put(source, summary, filters, route.duplicates ? t('noDuplicates') : problem);
    if ('extras' in source && source.extras.length > 0 && !this.readOnly) this.selection.take(source.extras);
  }

  /** Goes on with a change of model; begins one when the page came with another model than last time. */
  private async keepUp(switching: Switching): Promise<void> {
    const { foreign, encoder } = await this.library.info();
    if (foreign) toast(t('modelChanged'), undefined, 20_000);
    const begun = upcoming();
    const { name, digest } = encoder.model;
    // A change to an earlier version of the model leads nowhere any more.
    if (foreign && (!begun || begun.model === name)) await switching.to(name, digest);
    else switching.resume();
  }

  /** Another library takes this one's place. */
  private async use(library: Library): Promise<void> {
    this.library = library;
    await this.show();
  }

  private put(source: Source | Results, summary: string, filters: HTMLElement, problem: string): void {
    const old = this.grid;
    const focus = old?.hasFocus ? old.place : undefined;
    const selected = (path: string): boolean => this.selection.has(path);
    const grid = new Grid(this.library, source, (at, event) => void this.open(at, event), selected);
    this.grid = grid;
    this.summary = h('div', { className: 'summary' }, [h('span', { textContent: summary }), ...this.hints(source)]);
    const nothing = grid.count === 0 ? [h('p', { className: 'note', textContent: problem })] : [];
    if (grid.count > 0) this.summary.append(button(t('select'), 'plain select', () => this.selection.begin()));
    this.main.replaceChildren(filters, this.summary, grid.element, ...nothing);
    old?.destroy();
    grid.measure();
    if (focus !== undefined) grid.focus(focus);
    announce(grid.count === 0 ? problem : `${summary}: ${number(grid.count)}`);
  }

  /** What is to be said of results: that perhaps nothing fits, that a date may have been meant. */
  private hints(source: Source | Results): HTMLElement[] {
    if (!('suggestion' in source)) return [];
    const { likely, suggestion } = source;
    const hints = [];
    if (!likely && source.ratios.length > 0) hints.push(h('span', { className: 'small', textContent: t('unlikely') }));
    if (suggestion) {
      const { said, query } = suggestion;
      hints.push(Object.assign(button(t('dateMeant', { said }), 'filter', () => this.search(query)), { title: query }));
    }
    return hints;
  }

  private async open(at: number, event: MouseEvent): Promise<void> {
    const item = await this.grid?.item(at);
    if (!item) return;
    if (event.shiftKey && this.selection.active) await this.selection.extend(at);
    else if (this.selection.active || event.ctrlKey || event.metaKey) this.selection.toggle(item.photo, at);
    else this.viewer.show(item.photo, at);
  }

  /** All photos that the grid has, in order. */
  private async allShown(): Promise<Photo[]> {
    const items = (await this.grid?.all()) ?? [];
    return items.map(({ photo }) => photo);
  }

  /** The photo's own file: from its folder, or from the host that has the library. */
  private async fileOf({ path }: Photo): Promise<Blob | undefined> {
    const url = this.library.photoUrl(path);
    if (url === undefined) return original(path);
    const response = await fetch(url);
    return response.ok ? response.blob() : undefined;
  }

  private async label(paths: string[], change: LabelChange): Promise<void> {
    try {
      const count = await this.library.label(paths, change);
      toast(t('labelled', { count: number(count) }), undefined, 3000);
      await this.show();
    } catch (thrown) {
      toast(PhotorecallError.from(thrown).message);
    }
  }

  private async labelOne(photo: Photo, change: LabelChange): Promise<Photo> {
    try {
      await this.library.label([photo.path], change);
    } catch (thrown) {
      toast(PhotorecallError.from(thrown).message);
    }
    await this.show();
    return (await this.library.photo(photo.path)) ?? photo;
  }

  private showEmpty(first: boolean): void {
    this.grid?.destroy();
    this.grid = undefined;
    const note = h('p', { className: 'note', textContent: t('emptyYet') });
    this.main.replaceChildren(first ? welcome(this.readOnly ? undefined : this.add) : note);
  }

  private summaryOf({ text, like }: Route, photos: number, found: number): string {
    if (found === 0) return '';
    if (text) return t('resultsFor', { text });
    if (like || this.example) return t('resultsLike');
    return t('count', { count: number(photos) });
  }

  private sourceOf({ text, like, duplicates }: Route): Promise<Source | Results | Copies> {
    if (duplicates) return copies(this.library);
    const image = this.example;
    if (!text && !like && !image) return everything(this.library);
    return results(this.library, { ...(text && { text }), ...(like && { like }), ...(image && { image }) });
  }

  /** Searches by words, beside the photo that is searched by. */
  private search(text: string): void {
    noteRecent(text);
    this.go({ text, like: '' });
  }

  private go(route: Route): void {
    if (route.like) this.example = undefined;
    this.selection.end();
    this.suggestions.close();
    writeRoute(route, this.example && this.examples.indexOf(this.example));
    scrollTo(0, 0);
    void this.show();
  }

  private readonly searchByPhoto = (photo: File): void => {
    this.example = photo;
    this.examples.push(photo);
    this.go({ text: '', like: '' });
  };

  private readonly add = (sources: NamedSource[], completeFolder?: string): void => {
    if (sources.length === 0) return toast(t('noPhotos'));
    // The browser asks or decides by itself; the library works either way.
    void this.library.persist();
    const panel = new Panel(ADDING, () => void this.showUnlessBusy());
    const folder = completeFolder === undefined ? {} : { completeFolder };
    const before = this.adding;
    const adding = panel.run((steer) => this.library.add(sources, { ...steer, ...folder })).then(async () => {
      await before;
      if (this.adding === adding) this.adding = undefined;
      void this.showUnlessBusy();
    });
    this.adding = adding;
    void this.showUnlessBusy();
  };

  /** New photos come into the list of all; what was searched for stays as it is. */
  private async showUnlessBusy(): Promise<void> {
    const { text, like, duplicates } = readRoute();
    const searching = Boolean(text || like || duplicates || this.example);
    const busy = this.input === document.activeElement && this.input.value !== text;
    if (this.grid && (searching || busy || this.selection.active || scrollY > 200)) return;
    await this.show();
  }

  /** Takes photos out; `name` says which. */
  private async remove(paths: string[], name: string): Promise<void> {
    try {
      const removed = await this.library.remove(paths);
      await this.show();
      const undo = async (): Promise<void> => {
        await removed.undo();
        await this.show();
      };
      toast(t('removed', { name }), { label: t('undo'), run: () => void undo() }, 15_000);
    } catch (thrown) {
      toast(PhotorecallError.from(thrown).message);
    }
  }

  private wireSearch(): void {
    this.input.placeholder = t('placeholder');
    this.input.ariaLabel = t('searchLabel');
    const byPhoto = find<HTMLButtonElement>('.by-photo');
    byPhoto.append(h('span', { textContent: '◎', ariaHidden: 'true' }));
    byPhoto.title = byPhoto.ariaLabel = t('byPhoto');
    byPhoto.onclick = () => chooseExample(this.searchByPhoto);
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.search(this.input.value.trim());
    };
    // The cross of a search field empties it: back to all photos.
    this.input.addEventListener('search', () => this.input.value === '' && this.go({ text: '', like: readRoute().like }));
    const clear = find<HTMLButtonElement>('.chip button');
    clear.textContent = '✕';
    clear.ariaLabel = t('clearExample');
    clear.onclick = () => {
      this.example = undefined;
      this.go({ text: this.input.value.trim(), like: '' });
    };
    find('[data-home]').onclick = (event) => {
      event.preventDefault();
      this.example = undefined;
      this.go({ text: '', like: '' });
    };
  }

  private showChip(like: string): void {
    this.chip.hidden = !like && !this.example;
    const image = find<HTMLImageElement>('img', this.chip);
    URL.revokeObjectURL(image.src);
    image.removeAttribute('src');
    if (this.example) image.src = URL.createObjectURL(this.example);
    else if (like) {
      void this.library.thumbnail(like).then(
        (blob) => blob && (image.src = URL.createObjectURL(blob)),
        () => undefined,
      );
    }
  }

  private wireMenu(): void {
    const opener = find<HTMLButtonElement>('.add-button');
    const list = find('.menu-list');
    opener.textContent = `+ ${t('add')}`;
    const toggle = (open: boolean): void => {
      list.hidden = !open;
      opener.ariaExpanded = String(open);
    };
    opener.onclick = async () => {
      if (!list.hidden) return toggle(false);
      list.replaceChildren(...(await this.menuItems(() => toggle(false))));
      toggle(true);
      list.querySelector('button')?.focus();
    };
    addEventListener('click', ({ target }) => {
      if (target instanceof Node && !find('.menu').contains(target)) toggle(false);
    });
    find('.menu').addEventListener('keydown', ({ key }) => {
      if (key !== 'Escape') return;
      toggle(false);
      opener.focus();
    });
  }

  private async menuItems(close: () => void): Promise<HTMLButtonElement[]> {
    const item = (label: string, act: () => unknown): HTMLButtonElement =>
      button(label, '', () => {
        close();
        void act();
      });
    const known = await folders().catch(() => []);
    return [
      item(t('pickFolder'), () => chooseFolder(this.add)),
      item(t('pickFiles'), () => chooseFiles(this.add)),
      ...known.map((folder) =>
        item(t('rescan', { name: folder.root }), async () => {
          if (await mayRead(folder, true)) this.add(await listFolder(folder), folder.root);
        }),
      ),
    ];
  }
}

function duplicatesSaid({ groups, extras }: Copies): string {
  return groups === 0 ? '' : t('duplicatesFound', { groups: number(groups), extras: number(extras.length) });
}
