/** The page: what is shown when, and what leads where. */
import type { Cluster, LabelChange, Library, Photo } from 'photorecall';
import { wireAddMenu } from './add-menu.js';
import { browse, topicOf } from './browse.js';
import { partChips } from './chips.js';
import { announce, button, find, h, toast } from './dom.js';
import { type Change, choicesOf, filterRow } from './filters.js';
import { original } from './folders.js';
import { Grid, nameOf } from './grid.js';
import { number, t } from './i18n.js';
import { type Copies, copies, everything, type Results, results, type Shown } from './lists.js';
import { ADDING, Panel } from './progress.js';
import { addWithin } from './room.js';
import { readExample, readRoute, type Route, writeRoute } from './route.js';
import { said } from './said.js';
import { SearchBox } from './search-box.js';
import { Selection } from './selection.js';
import { Settings } from './settings.js';
import { type Add, type Inbox, lookAgain } from './sources.js';
import { noteFilled, upcoming } from './state.js';
import { noteRecent, Suggestions } from './suggest.js';
import { Switching } from './switching.js';
import { Viewer } from './viewer.js';
import { viewRow } from './views.js';
import { welcome } from './welcome.js';

/** What the page calls itself. */
const NAME = document.title;

export class App {
  private readonly main = find('#main');
  private readonly box: SearchBox;
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
  /** The topics, as long as the photos are the same. */
  private clusters: Promise<Cluster[]> | undefined;

  constructor(
    private library: Library,
    private readonly readOnly: boolean,
    inbox: Inbox,
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
    this.box = this.searchBox();
    this.suggestions = new Suggestions(this.box.input, {
      facets: () => this.library.facets(),
      topics: async () => (await this.clusters)?.flatMap(({ word }) => word ?? []) ?? [],
      go: (text) => this.search(text),
    });
    if (!readOnly) wireAddMenu(this.add);
    const switching = readOnly ? undefined : new Switching({
      library: () => this.library,
      idle: async () => this.adding,
      use: (library) => this.use(library),
    });
    new Settings({ library: () => this.library, readOnly, use: (library) => this.use(library) }, switching);
    if (switching) void this.keepUp(switching);
    Object.assign(inbox, { add: readOnly ? undefined : this.add, search: this.searchByPhoto });
    if (readExample() !== undefined) history.replaceState(null, ''); // a photo of before a reload
    addEventListener('popstate', () => {
      this.example = this.examples[readExample() ?? -1];
      void this.show();
    });
  }

  private searchBox(): SearchBox {
    find('[data-home]').onclick = (event) => {
      event.preventDefault();
      this.example = undefined;
      this.go({ text: '', like: '' });
    };
    return new SearchBox({
      search: (text) => this.search(text),
      byPhoto: this.searchByPhoto,
      withoutPhoto: (text) => {
        this.example = undefined;
        this.go({ text, like: '' });
      },
      emptied: () => this.go({ text: '', like: readRoute().like }),
    });
  }

  /** Shows what the address asks for. */
  async show(): Promise<void> {
    const asked = ++this.asked;
    const route = readRoute();
    const { photos, inParts } = await this.library.info();
    if (asked !== this.asked) return;
    const empty = photos === 0 && !this.adding;
    if (!this.readOnly) noteFilled(photos > 0);
    this.box.form.hidden = empty;
    find('.menu').hidden = empty || this.readOnly;
    const { text } = route;
    document.title = text ? `${text} · ${NAME}` : NAME;
    this.box.input.value = text;
    this.box.showPhoto(this.pictureOf(route));
    if (photos === 0) return this.showEmpty(empty);
    let source: Shown | Results | Copies = { ratios: [], items: async () => [] };
    let problem = t(route.duplicates ? 'noDuplicates' : 'nothing');
    // What is read in parts has no lists and no filters: the search box is all there is.
    const rows = inParts ? h('div', { className: 'rows' }) : await this.rowsAbove(route);
    if (asked !== this.asked) return;
    let cards: HTMLElement | undefined;
    try {
      const asking = this.cardsOf(route);
      // What was there before is not of this view.
      if (asking) this.putCards(h('p', { className: 'note', textContent: t('grouping') }), rows);
      cards = await asking;
      if (inParts && !route.text && !route.like && !this.example) problem = t('inParts', { count: number(photos) });
      else if (!cards) source = await this.sourceOf(route);
    } catch (thrown) {
      problem = said(thrown);
    }
    if (asked !== this.asked) return;
    if (cards) return this.putCards(cards, rows);
    this.put(source, this.summaryOf(route, photos, source), rows, problem);
    if ('extras' in source && source.extras.length > 0 && !this.readOnly) this.selection.take(source.extras);
    if (!inParts) this.readTopics();
  }

  /** Another way to look at the photos, and filters. */
  private async rowsAbove(route: Route): Promise<HTMLElement> {
    const facets = await this.library.facets();
    const known = choicesOf(facets);
    const shown = (filter: string): boolean => known.some((choice) => choice.filter === filter);
    const change: Change = (edit) => this.search(edit(readRoute().text));
    const views = viewRow(route, (to) => this.go({ text: '', like: '', ...to }));
    return h('div', { className: 'rows' }, [views, filterRow(known, route.text, change, partChips(route.text, shown, change))]);
  }

  /** Goes on with a change of model; begins one when the page came with another model than last time. */
  private async keepUp(switching: Switching): Promise<void> {
    const { foreign, encoder, photos } = await this.library.info();
    if (foreign) toast(t('modelChanged'), undefined, 20_000);
    const begun = upcoming();
    const { name, digest } = encoder.model;
    // A change to an earlier version of the model leads nowhere any more.
    if (foreign && (!begun || begun.model === name)) await switching.to(name, digest);
    else switching.resume();
    if (!foreign && photos > 0) await lookAgain(this.add).catch((thrown: unknown) => console.warn(thrown));
  }

  /** Another library takes this one's place. */
  private async use(library: Library): Promise<void> {
    this.library = library;
    this.clusters = undefined;
    await this.show();
  }

  private put(source: Shown | Results, summary: string, above: HTMLElement, problem: string): void {
    const old = this.grid;
    const focus = old?.hasFocus ? old.place : undefined;
    const selected = (path: string): boolean => this.selection.has(path);
    const grid = new Grid(this.library, source, (at, event) => void this.open(at, event), selected);
    this.grid = grid;
    this.summary = h('div', { className: 'summary' }, [h('span', { textContent: summary }), ...this.hints(source)]);
    const nothing = grid.count === 0 ? [h('p', { className: 'note', textContent: problem })] : [];
    if (grid.count > 0) this.summary.append(button(t('select'), 'plain select', () => this.selection.begin()));
    this.main.replaceChildren(above, this.summary, grid.element, ...nothing);
    old?.destroy();
    grid.measure();
    if (focus !== undefined) grid.focus(focus);
    announce(grid.count === 0 ? problem : `${summary}: ${number(grid.count)}`);
  }

  private putCards(cards: HTMLElement, above: HTMLElement): void {
    this.grid?.destroy();
    this.grid = undefined;
    this.main.replaceChildren(above, cards);
    announce(above.querySelector('[aria-current]')?.textContent ?? '');
  }

  private cardsOf({ browse: way, topic }: Route): Promise<HTMLElement> | undefined {
    if (!way || topic !== undefined) return undefined;
    return browse(way, {
      library: this.library,
      clusters: () => this.topics(),
      search: (text) => this.go({ text, like: '' }),
      topic: (at) => this.go({ text: '', like: '', browse: 'topics', topic: at }),
    });
  }

  private topics(): Promise<Cluster[]> {
    const asked = (this.clusters ??= this.library.clusters());
    asked.catch(() => (this.clusters = undefined));
    return asked;
  }

  /** The topics' words are offered in the search box: they are found out when there is nothing else to do. */
  private readTopics(): void {
    if (this.clusters || this.adding) return;
    setTimeout(() => !this.adding && void this.topics().catch(() => undefined), 3000);
  }

  /** What is to be said of results: that perhaps nothing fits, that a date may have been meant. */
  private hints(source: Shown | Results): HTMLElement[] {
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

  private async label(paths: string[], change: LabelChange): Promise<Photo[]> {
    try {
      const count = await this.library.label(paths, change);
      toast(t('labelled', { count: number(count) }), undefined, 3000);
      await this.show();
      return (await this.library.photos(paths)).filter((photo) => photo !== undefined);
    } catch (thrown) {
      toast(said(thrown));
      return [];
    }
  }

  private async labelOne(photo: Photo, change: LabelChange): Promise<Photo> {
    try {
      await this.library.label([photo.path], change);
      this.offerBack(photo, change);
    } catch (thrown) {
      toast(said(thrown));
    }
    await this.show();
    return (await this.library.photo(photo.path)) ?? photo;
  }

  /** What was taken off a photo can be put on again. */
  private offerBack(photo: Photo, { removeTags, removeAlbums }: LabelChange): void {
    const word = removeTags?.[0] ?? removeAlbums?.[0];
    if (word === undefined) return;
    const back: LabelChange = { ...(removeTags && { addTags: removeTags }), ...(removeAlbums && { addAlbums: removeAlbums }) };
    const run = (): void => void this.labelOne(photo, back).then((labelled) => this.viewer.renew(labelled));
    this.viewer.tell(t('takenOff', { word }), { label: t('undo'), run });
  }

  private showEmpty(first: boolean): void {
    this.grid?.destroy();
    this.grid = undefined;
    // The first screen may be there since before the library was opened.
    if (first && !this.readOnly && this.main.querySelector('.welcome')) return;
    const note = h('p', { className: 'note', textContent: t('emptyYet') });
    this.main.replaceChildren(first ? welcome(this.readOnly ? undefined : this.add) : note);
  }

  private summaryOf({ text, like }: Route, photos: number, source: Shown | Copies): string {
    if (source.ratios.length === 0) return '';
    if (source.title !== undefined) return source.title;
    if (text) return t('resultsFor', { text });
    if (like || this.example) return t('resultsLike');
    return t('count', { count: number(photos) });
  }

  private async sourceOf({ text, like, duplicates, topic }: Route): Promise<Shown | Results | Copies> {
    if (duplicates) return copies(this.library);
    if (topic !== undefined) {
      const cluster = (await this.topics())[topic];
      if (cluster) return topicOf(this.library, cluster, topic);
    }
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
    if (route.like || route.browse || route.duplicates) this.example = undefined;
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

  readonly add: Add = (sources, completeFolder, unasked = false) => {
    if (sources.length === 0) return unasked ? undefined : toast(t('noPhotos'));
    // The browser asks or decides by itself; the library works either way.
    void this.library.persist();
    const panel = new Panel(ADDING, () => void this.showUnlessBusy(), unasked);
    const folder = completeFolder === undefined ? {} : { completeFolder };
    const before = this.adding;
    const adding = panel.run((steer) => {
      const options = { ...steer, ...folder };
      // Where nobody has asked, hardly anything is new.
      return unasked ? this.library.add(sources, options) : addWithin(this.library, sources, options, (text) => panel.tell(text));
    }).then(async () => {
      await before;
      if (this.adding === adding) this.adding = undefined;
      void this.showUnlessBusy();
    });
    this.adding = adding;
    void this.showUnlessBusy();
  };

  /** New photos come into the list of all; what was searched for stays as it is. */
  private async showUnlessBusy(): Promise<void> {
    this.clusters = undefined;
    const { text, like, duplicates, browse: way } = readRoute();
    const searching = Boolean(text || like || duplicates || way || this.example);
    const { input } = this.box;
    const busy = input === document.activeElement && input.value !== text;
    if ((this.grid || way) && (searching || busy || this.selection.active || scrollY > 200)) return;
    await this.show();
  }

  /** Takes photos out; `name` says which. */
  private async remove(paths: string[], name: string): Promise<void> {
    this.clusters = undefined;
    try {
      const removed = await this.library.remove(paths);
      await this.show();
      const undo = async (): Promise<void> => {
        await removed.undo();
        await this.show();
      };
      toast(t('removed', { name }), { label: t('undo'), run: () => void undo() }, 15_000);
    } catch (thrown) {
      toast(said(thrown));
    }
  }

  /** The picture of what is searched by. */
  private pictureOf({ like }: Route): Promise<Blob | undefined> | undefined {
    if (this.example) return Promise.resolve(this.example);
    return like ? this.library.thumbnail(like) : undefined;
  }
}
