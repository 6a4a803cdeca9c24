// A few tabs are killed here; `cargo xtask test-kills` kills fifty.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { added, choose, drawPhotos, end, named, shown, visitor, withBrowser } from './helpers.mjs';
import { compacted } from './compaction.mjs';
import { interrupt } from './interrupted.mjs';
import { killTabs } from './kills.mjs';

let browser, host;

withBrowser(async (opened) => ({ browser, host } = opened));

test('what a killed tab has stored is there, and nothing twice', async () => {
  const { kills, photos } = await killTabs(browser, host.url, 3, 11);
  assert.equal(kills, 3);
  assert.ok(photos > 0);
});

test('adding goes on where a killed tab has left it, and encodes nothing again', async () => {
  // Slow enough for a commit before the end.
  const { kills, stored } = await interrupt(browser, host.url, 120, 1, { within: 200, pause: 80 });
  assert.equal(kills, 1);
  assert.ok(stored[1] > 0 && stored[1] < 120, `${stored}`);
});

test('segments are merged while the library is searched and changed, and nothing is lost', async () => {
  const model = { name: 'of few axes', digest: 'd', dim: 8 };
  const options = { modelUrl: '/models/photorecall-s/', anyModel: true };
  const { counts } = await compacted(browser, host.url, 4 * 4096 + 50, model, options, { text: 'size:3000..3009' });
  assert.deepEqual(counts, [10]);
});

test('a full disk is told by its own code; nothing is lost, and there is room again', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${host.url}photorecall/index.js`);
  const storage = await context.newCDPSession(page);
  const { origin } = new URL(host.url);
  const put = ([at, bytes]) =>
    page.evaluate(
      async ([at, bytes]) => {
        const wasm = await import('/photorecall/photorecall.js');
        await wasm.default();
        window.index ??= await wasm.Index.open('full', { name: 'm', digest: 'd', dim: 2 });
        const photo = { path: `${at}.jpg`, bytes: 1, modifiedMs: at, digest: `${at}`, width: 4, height: 3 };
        // Random bytes: what repeats may be stored in less.
        const picture = new Uint8Array(bytes);
        for (let from = 0; from < bytes; from += 65_536) crypto.getRandomValues(picture.subarray(from, from + 65_536));
        window.index.put(photo, new Float32Array([1, 0]), picture);
        return window.index.commit().catch(({ code, message }) => `${code}: ${message}`);
      },
      [at, bytes],
    );
  // Before anything is stored: what is free is not looked up again for some seconds.
  await storage.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 3_000_000 });
  assert.equal(await put([1, 1000]), true);
  assert.match(await put([2, 8_000_000]), /^quota: the browser gives this page no more storage/);
  const stored = await page.evaluate(async () => {
    const { Index } = await import('/photorecall/photorecall.js');
    const index = await Index.openStored('full');
    const { total } = index.list(9, 0);
    index.close();
    return total;
  });
  assert.equal(stored, 1, 'what was there is there');
  await storage.send('Storage.overrideQuotaForOrigin', { origin });
  assert.equal(await page.evaluate(() => window.index.commit()), true, 'kept when there is room');
  assert.equal(await page.evaluate(async () => (await window.index.thumbnail('2.jpg')).length), 8_000_000);
  await context.close();
});

test('the page tells what photos will take before it looks at them, and asks where that is too much', async () => {
  // The browser's own figure lags behind by seconds.
  const init = () => (navigator.storage.estimate = async () => ({ usage: 0, quota: window.room ?? 5e9 }));
  const guest = await visitor(browser, host.url, { init });
  const { page } = guest;
  const photos = await drawPhotos(page, 6);
  const start = () => choose(page, () => named(page, 'Choose photos').click({ timeout: 60_000 }), photos);
  await page.evaluate(() => (window.room = 100_000));
  const asked = page.waitForEvent('dialog', { timeout: 60_000 });
  await start();
  const dialog = await asked;
  await dialog.dismiss();
  assert.match(dialog.message(), /^6 photos take up to [\d.]+ kB, and only 100 kB is free in this browser\./);
  assert.match(await added(page), /^Stopped/);
  assert.deepEqual(await shown(page), []);
  await page.evaluate(() => delete window.room);
  await start();
  await page.locator('.progress .small', { hasText: /^6 photos take at most [\d.]+ kB here; 5 GB is free\.$/ }).waitFor({ state: 'attached' });
  assert.match(await added(page), /^Done/);
  await end(guest);
});
