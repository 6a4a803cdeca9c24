// Compaction in the background: what it takes, and what searching takes meanwhile.
//
// `node tests/browser/compaction.mjs [PHOTOS]` measures it with so many photos (65,536) of the model's axes.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { launch, serveSite } from './helpers.mjs';

/** Runs in the page: a library of flat segments, stored without encoding anything. */
async function fill([name, photos, model]) {
  const wasm = await import('/photorecall/photorecall.js');
  await wasm.default();
  const index = await wasm.Index.open(name, model);
  let seed = 1;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647 - 0.5;
  const centres = Array.from({ length: 200 }, () => Float32Array.from({ length: model.dim }, random));
  for (let i = 0; i < photos; i++) {
    const vector = centres[i % 200].map((x) => x + 0.5 * random());
    const norm = Math.hypot(...vector);
    const photo = { path: `${i}.jpg`, bytes: 1000 + i, modifiedMs: i, digest: `${i}`, width: 4, height: 3 };
    index.put(photo, vector.map((x) => x / norm), undefined);
  }
  await index.commit();
  const { segments } = index.stats();
  index.close();
  return segments;
}

/** Runs in the page: opens the library and uses it until it is compact; what was found meanwhile. */
async function use([name, photos, options, query]) {
  const { Library } = await import('/photorecall/index.js');
  const library = await Library.open({ name, workers: 1, ...options });
  const before = await library.info();
  const times = [];
  const search = async () => {
    const start = performance.now();
    const found = await library.search(query);
    times.push(performance.now() - start);
    return found.length;
  };
  const counts = new Set([await search()]);
  const first = times.shift();
  const start = performance.now();
  // Changes before, while and after it is merged.
  await library.remove(['0.jpg']);
  const removed = new Set(['0.jpg']);
  let info = before;
  for (let turn = 1; info.segments > 2; turn++) {
    counts.add(await search());
    if (turn % 20 === 0 && removed.size < 50) {
      await library.remove([`${turn}.jpg`]);
      removed.add(`${turn}.jpg`);
    }
    info = await library.info();
    if (performance.now() - start > 500_000) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const took = performance.now() - start;
  const left = await library.info();
  const back = (await library.photos([...removed])).filter((photo) => photo !== undefined);
  await library.compact();
  const last = await library.info();
  const damaged = await library.verify();
  await library.close();
  const again = await Library.open({ name, workers: 1, ...options });
  const { total } = await again.list({ k: 1 });
  await again.destroy();
  const sorted = [...times].sort((a, b) => a - b);
  return { before, left, last, damaged, total, back, removed: removed.size, counts: [...counts], took, first, p50: sorted[sorted.length >> 1], longest: sorted.at(-1) };
}

/** Fills a library and lets it be compacted; asserts that nothing is lost. */
export async function compacted(browser, url, photos, model, options, query) {
  const context = await browser.newContext({ serviceWorkers: 'block' });
  const page = await context.newPage();
  await page.goto(`${url}photorecall/index.js`);
  const name = `compacted-${photos}`;
  const segments = await page.evaluate(fill, [name, photos, model]);
  const told = await page.evaluate(use, [name, photos, { ...options }, query]);
  await context.close();
  assert.ok(told.before.segments === segments && segments > 4, `${segments} segments`);
  assert.ok(told.left.segments <= 2, `${told.left.segments} segments are left`);
  assert.deepEqual([told.left.photos, told.total, told.back], [photos - told.removed, photos - told.removed, []]);
  assert.deepEqual([told.last.segments, told.last.deleted, told.damaged], [1, 0, []]);
  return told;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const photos = Number(process.argv[2] ?? 65_536);
  const [browser, host] = await Promise.all([launch(), serveSite()]);
  try {
    const page = await browser.newPage();
    await page.goto(`${host.url}photorecall/index.js`);
    const model = await page.evaluate(async () => {
      const wasm = await import('/photorecall/photorecall.js');
      await wasm.default();
      const manifest = new Uint8Array(await (await fetch('/models/photorecall-s/manifest.json')).arrayBuffer());
      const { name, dim } = JSON.parse(new TextDecoder().decode(manifest));
      return { name, dim, digest: wasm.digest(manifest) };
    });
    await page.close();
    const told = await compacted(browser, host.url, photos, model, { modelUrl: '/models/photorecall-s/' }, { like: '777.jpg', k: 50 });
    console.log(`${photos} photos in ${told.before.segments} segments were merged in ${(told.took / 1000).toFixed(1)} s; a query took ${told.p50.toFixed(1)} ms meanwhile, ${told.longest.toFixed(0)} ms at most`);
  } finally {
    await browser.close();
    host.close();
  }
}
