// Filters, labels, pages, duplicates and browsing through the package.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { visitor, withBrowser } from './helpers.mjs';

let browser, host, page;

withBrowser(async (opened) => {
  ({ browser, host } = opened);
  ({ page } = await visitor(browser, host.url));
});

test('photos are labelled, filtered, paged, grouped and browsed', { timeout: 120_000 }, async () => {
  const told = await page.evaluate(async () => {
    const { Library } = await import('/photorecall/index.js');
    /** A photo of soft waves, as a file: two of one seed differ in size only. */
    const photo = async (name, seed, width, type = 'image/png') => {
      const canvas = new OffscreenCanvas(width, (width * 3) / 4);
      const context = canvas.getContext('2d');
      for (let x = 0; x < 40; x++) {
        for (let y = 0; y < 30; y++) {
          const wave = 127 + 60 * Math.sin((x * seed) / 9) + 60 * Math.cos((y * seed) / 7 + x / 11);
          context.fillStyle = `rgb(${wave}, ${(seed * 40) % 256}, ${255 - wave})`;
          context.fillRect((x * width) / 40, (y * width) / 40, width / 40 + 1, width / 40 + 1);
        }
      }
      const blob = await canvas.convertToBlob({ type });
      return { path: name, file: new File([blob], name, { type, lastModified: Date.UTC(2019, seed, 5) }) };
    };
    const library = await Library.open({ name: 'queries', modelUrl: '/models/photorecall-s/', workers: 1 });
    const large = await photo('trips/one.png', 1, 400);
    await library.add([
      large,
      { path: 'copy of one.png', file: large.file },
      await photo('trips/small.jpg', 1, 200, 'image/jpeg'),
      await photo('two.png', 2, 240),
      await photo('three.png', 4, 240),
    ]);
    await library.label(['two.png', 'three.png'], { favourite: true, addTags: ['Sea'], addAlbums: ['Rome 2019'] });
    const paths = async (query) => (await library.search(query)).map(({ photo }) => photo.path).sort();
    const first = await library.page({ text: 'waves', k: 2 });
    const second = await library.page({ text: 'waves', k: 9, after: first.next });
    const all = [...first.found, ...second.found].map(({ photo }) => photo.path);
    const groups = await library.search({ text: 'waves', grouped: true });
    const found = await library.duplicates();
    const clusters = await library.clusters(2);
    const named = await library.page({ text: 'sea last summer', k: 5 });
    const about = await library.photo('trips/small.jpg');
    const code = (promise) => promise.then(() => 'none', ({ code, message }) => `${code}: ${message}`);
    const answers = {
      favourites: await paths({ text: 'is:favourite not path:three' }),
      both: await paths({ text: 'waves', filter: 'type:jpeg or album:"rome 2019"' }),
      dated: await paths({ text: 'date:2019-03..' }),
      twice: [all.length, new Set(all).size, second.next],
      grouped: groups.map(({ photo, others = [] }) => [photo.path, ...others].length).sort(),
      exact: found.exact.map((group) => group.map(({ path }) => path)),
      near: found.near.map((group) => group.map(({ path }) => path)),
      months: (await library.months()).map(({ year, month, photos }) => `${year}-${month}: ${photos}`),
      words: clusters.map(({ word }) => typeof word),
      clustered: clusters.reduce((sum, { photos }) => sum + photos.length, 0),
      first: named.found.slice(0, 2).map(({ photo }) => photo.path).sort(),
      suggestion: named.suggestion.said,
      likely: typeof named.likely,
      about: [about.format, about.phash.length],
      wrong: await code(library.search({ text: 'a ablum:x' })),
    };
    // What was said of photos lasts.
    await library.close();
    const again = await Library.open({ name: 'queries', modelUrl: '/models/photorecall-s/', workers: 1 });
    answers.lasting = (await again.photo('two.png')).tags;
    await again.destroy();
    return answers;
  });
  assert.deepEqual(told.favourites, ['two.png']);
  assert.deepEqual(told.both, ['three.png', 'trips/small.jpg', 'two.png']);
  assert.deepEqual(told.dated, ['three.png', 'two.png']);
  assert.deepEqual(told.twice, [5, 5, undefined]);
  assert.deepEqual(told.grouped, [1, 1, 3]);
  assert.deepEqual(told.exact, [['copy of one.png', 'trips/one.png']]);
  assert.deepEqual(told.near, [['copy of one.png', 'trips/small.jpg']]);
  assert.deepEqual(told.months, ['2019-5: 1', '2019-3: 1', '2019-2: 3']);
  assert.deepEqual(told.words, ['string', 'string']);
  assert.equal(told.clustered, 5);
  assert.deepEqual(told.first, ['three.png', 'two.png'], 'tags lift photos');
  assert.equal(told.suggestion, 'last summer');
  assert.equal(told.likely, 'boolean');
  assert.deepEqual(told.about, ['jpeg', 16]);
  assert.match(told.wrong, /^query: .*character 3.*ablum/);
  assert.deepEqual(told.lasting, ['Sea']);
});
