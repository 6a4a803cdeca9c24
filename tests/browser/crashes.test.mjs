// Workers that crash: started anew once, with nothing lost; told when that does not help.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { serveSite, site, visitor, withBrowser } from './helpers.mjs';

/** The package's worker; before each call it asks whether to crash, and how. */
const WORKER = `
import './photorecall/worker.js';
const serve = self.onmessage;
self.onmessage = async (event) => {
  const { id, method } = event.data;
  const how = await (await fetch('/crash?method=' + method)).text();
  if (how === 'trap') self.postMessage({ id, code: 'crashed', message: 'unreachable' });
  else if (how === 'throw') setTimeout(() => { throw new Error('out of luck'); });
  else serve(event);
};`;

/** By method: how the next calls end; nothing is no crash. */
const plan = {};
const asked = [];

let browser, host, guest, page;

/** The site with that worker. */
function serve() {
  const crash = (_, url) => {
    const method = url.searchParams.get('method');
    asked.push(method);
    return plan[method]?.shift() ?? '';
  };
  return serveSite(site, { '/crashing.js': WORKER, '/crash': crash });
}

withBrowser(async (opened) => {
  ({ browser, host } = opened);
  guest = await visitor(browser, host.url);
  ({ page } = guest);
  await page.evaluate(async () => {
    const { Library, PhotorecallError } = await import('/photorecall/index.js');
    window.open = (name) => Library.open({ name, modelUrl: '/models/photorecall-s/', workerUrl: '/crashing.js', workers: 1 });
    window.told = (promise) => promise.then(() => 'done', (e) => (e instanceof PhotorecallError ? `${e.code}: ${e.message}` : String(e)));
    window.draw = async (count) => {
      const files = [];
      for (let i = 0; i < count; i++) {
        const canvas = new OffscreenCanvas(120, 90);
        const pen = canvas.getContext('2d');
        pen.fillStyle = `hsl(${i * 47} 70% 50%)`;
        pen.fillRect(0, 0, 120, 90);
        files.push(new File([await canvas.convertToBlob()], `p${i}.png`, { lastModified: 1_600_000_000_000 + i }));
      }
      return files;
    };
  });
}, { serve });
beforeEach(() => {
  for (const method of Object.keys(plan)) delete plan[method];
  asked.length = 0;
});

test('the index comes back after a crash, and a search is answered all the same', async () => {
  const ready = await page.evaluate(async () => {
    window.library = await window.open('searched');
    await window.library.add(await window.draw(6));
    return (await window.library.info()).photos;
  });
  assert.equal(ready, 6);
  for (const how of ['trap', 'throw']) {
    plan.page = [how];
    const found = await page.evaluate(() => window.library.search({ text: 'something red' }));
    assert.equal(found.length, 6, how);
  }
  // Several calls that wait for the same worker share its crash and its successor.
  plan.list = ['throw'];
  const before = asked.filter((method) => method === 'openIndex').length;
  const all = await page.evaluate(() => Promise.all([window.library.list(), window.library.info(), window.library.search({ text: 'sky' })]));
  assert.deepEqual([all[0].total, all[1].photos, all[2].length], [6, 6, 6]);
  assert.equal(asked.filter((method) => method === 'openIndex').length, before + 1);
});

test('a call that crashes twice is told, and the library works on', async () => {
  plan.page = ['trap', 'trap'];
  const said = await page.evaluate(() => window.told(window.library.search({ text: 'fatal' })));
  assert.match(said, /^crashed: the index's worker crashed twice at page: unreachable\. What was stored is safe\.$/);
  const found = await page.evaluate(() => window.library.search({ text: 'something blue' }));
  assert.equal(found.length, 6);
});

test('an index that cannot be started again is told', async () => {
  const said = await page.evaluate(async () => {
    window.second = await window.open('doomed');
    return window.told(window.second.list());
  });
  assert.equal(said, 'done');
  plan.list = ['throw'];
  plan.openIndex = ['trap'];
  const [first, then] = await page.evaluate(async () => [await window.told(window.second.list()), await window.told(window.second.info())]);
  assert.match(first, /^closed: the index's worker crashed \(.*out of luck.*\) and could not be started again: unreachable/);
  assert.match(then, /^closed: /);
});

test('photos that a crashed index had not stored are done again', async () => {
  plan.put = ['', '', '', '', 'throw'];
  const told = await page.evaluate(async () => {
    const library = await window.open('adding');
    const progress = await library.add(await window.draw(9));
    const { photos } = await library.info();
    await library.close();
    const again = await window.open('adding');
    const stored = (await again.info()).photos;
    await again.destroy();
    return { photos, stored, progress };
  });
  assert.deepEqual([told.photos, told.stored], [9, 9]);
  const { done, total, added, skipped } = told.progress;
  assert.deepEqual({ done, total, added, skipped }, { done: 9, total: 9, added: 9, skipped: [] });
  assert.ok(asked.filter((method) => method === 'put').length > 10, 'the lost ones were put again');
});

test('an index that crashes while it stores loses nothing', async () => {
  plan.commit = ['trap'];
  const told = await page.evaluate(async () => {
    const library = await window.open('storing');
    await library.add(await window.draw(7));
    await library.close();
    const again = await window.open('storing');
    const stored = (await again.info()).photos;
    await again.destroy();
    return stored;
  });
  assert.equal(told, 7);
});

test('a removal that a crash has swallowed is done again', async () => {
  plan.commit = ['', 'throw'];
  const left = await page.evaluate(async () => {
    const library = await window.open('removing');
    await library.add(await window.draw(3));
    const { photos } = await library.remove(['p1.png']);
    await library.close();
    const again = await window.open('removing');
    const paths = (await again.list()).photos.map(({ path }) => path).sort();
    await again.destroy();
    return [photos, paths];
  });
  assert.deepEqual(left, [1, ['p0.png', 'p2.png']]);
});

test('a photo that a decoder crashed on is tried once more; one that crashes twice is skipped with a reason', async () => {
  await page.evaluate(async () => (window.decoding = await window.open('decoding')));
  const add = () => page.evaluate(async () => window.decoding.add((await window.draw(4)).slice(window.from, (window.from += 1))));
  await page.evaluate(() => (window.from = 0));
  for (const how of ['trap', 'throw']) {
    plan.encodeHeld = [how];
    const { added, skipped } = await add();
    assert.deepEqual([added, skipped], [1, []], how);
  }
  plan.encodeHeld = ['throw', 'trap'];
  const { added, skipped } = await add();
  assert.equal(added, 0);
  assert.deepEqual(skipped, [{ path: 'p2.png', code: 'crashed', reason: 'the decoder crashed on this photo twice: unreachable' }]);
  assert.equal((await add()).added, 1, 'the next one is added');
});

test('nothing was asked of another host', async () => {
  assert.deepEqual(guest.strangers, []);
  await guest.context.close();
});
