// Adding photos in tabs that are killed at random moments: each tab goes on where the one before was, and encodes
// nothing again that was stored.
//
// `node tests/browser/interrupted.mjs [PHOTOS]` adds so many (10,000); `cargo xtask test-kills` sets it up and runs it.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { launch, serveSite } from './helpers.mjs';

/** A tab is killed at most so many milliseconds after it has stored something. */
const KILLED_WITHIN_MS = 12_000;

/**
 * Runs in the page: adds photos that are drawn when it is their turn. Those that are there already are given as files
 * of the same size and time that are no images: to encode one again would be told as `skipped`.
 */
async function add([photos, name, pause]) {
  const { Library } = await import('/photorecall/index.js');
  const library = await Library.open({ name, modelUrl: '/models/photorecall-s/' });
  const { photos: there, total } = await library.list({ k: Infinity });
  const held = new Set(there.map(({ path }) => path));
  await window.opened(total, held.size, (await library.info()).damaged.length);
  const [width, height] = [24, 16];
  const bitmap = (n) => {
    const bytes = new Uint8Array(54 + 3 * width * height);
    const view = new DataView(bytes.buffer);
    bytes.set([0x42, 0x4d]);
    [[2, bytes.length], [10, 54], [14, 40], [18, width], [22, height]].forEach(([at, value]) => view.setUint32(at, value, true));
    view.setUint16(26, 1, true);
    view.setUint16(28, 24, true);
    for (let i = 54; i < bytes.length; i++) bytes[i] = (n * 7 + i * (1 + (n % 13))) & 255;
    view.setUint32(54, n, true);
    return bytes;
  };
  const file = (n) => {
    const path = `many/${n}.bmp`;
    const bytes = bitmap(n);
    if (held.has(path)) bytes.fill(0);
    return { path, file: new File([bytes], path, { lastModified: 1_600_000_000_000 + 1000 * n }) };
  };
  let generation = (await library.info()).generation;
  const watch = setInterval(async () => {
    const now = await library.info().catch(() => undefined);
    if (!now || now.generation === generation) return;
    generation = now.generation;
    await window.stored();
  }, 200);
  const gate = () => (pause ? new Promise((resolve) => setTimeout(resolve, pause)) : undefined);
  const { added, unchanged, skipped } = await library.add(Array.from({ length: photos }, (_, n) => file(n)), { gate });
  clearInterval(watch);
  const damaged = await library.verify();
  await library.close();
  return { added, unchanged, skipped, damaged };
}

/** Adds so many photos, with a pause before each, and with at most so many kills; returns what it took. */
export async function interrupt(browser, url, photos, kills, { within = KILLED_WITHIN_MS, pause = 0, seed = 5 } = {}) {
  let state = seed;
  const random = (below) => (state = (state * 48271) % 2147483647) % below;
  const context = await browser.newContext({ serviceWorkers: 'block' });
  const start = performance.now();
  const told = { kills: 0, stored: [] };
  let before = 0;
  for (;;) {
    const page = await context.newPage();
    let stored;
    const something = new Promise((resolve) => (stored = resolve));
    await page.exposeFunction('stored', () => stored());
    await page.exposeFunction('opened', (total, paths, damaged) => {
      assert.equal(damaged, 0);
      assert.equal(total, paths, 'a photo is there twice');
      assert.ok(total >= before, `${total} of ${before} that were stored are there`);
      told.stored.push((before = total));
    });
    await page.goto(`${url}photorecall/index.js`);
    const running = page.evaluate(add, [photos, `interrupted-${photos}`, pause]).catch((error) => ({ error }));
    const moment = something.then(() => new Promise((resolve) => setTimeout(resolve, random(within))));
    const done = await (told.kills < kills ? Promise.race([running, moment]) : running);
    if (done) {
      assert.equal(done.error, undefined);
      assert.deepEqual(done.skipped, [], 'a stored photo was read again');
      assert.deepEqual([done.added, done.unchanged, done.damaged], [photos - before, before, []]);
      break;
    }
    if (told.kills % 2) {
      const session = await context.newCDPSession(page);
      await Promise.race([session.send('Page.crash').catch(() => undefined), new Promise((resolve) => page.once('crash', resolve))]);
    }
    await page.close();
    told.kills++;
  }
  await context.close();
  return { ...told, seconds: (performance.now() - start) / 1000 };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const photos = Number(process.argv[2] ?? 10_000);
  const [browser, host] = await Promise.all([launch(), serveSite()]);
  try {
    const { kills, stored, seconds } = await interrupt(browser, host.url, photos, 1000);
    console.log(`${photos} photos, ${kills} tabs killed, ${Math.round(seconds)} s; stored when each was opened: ${stored.join(' ')}`);
  } finally {
    await browser.close();
    host.close();
  }
}
