// The browser's build against the native one, on real photos: the same vectors, the same recall.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { realPhotos, visitor, withBrowser } from './helpers.mjs';

const run = promisify(execFile);
const binary = process.env.PHOTORECALL_BIN;
const photos = realPhotos(Infinity);
const skip = !binary ? 'PHOTORECALL_BIN does not name the command line' : photos.length === 0 && 'no real photos';
if (skip) console.log(`NOT RUN: ${skip}`);
/** One photo in so many is embedded on both sides. */
const EVERY = 5;

let browser, host, page;

withBrowser(async (opened) => {
  ({ browser, host } = opened);
  ({ page } = await visitor(browser, host.url));
  // The files come as they would from a person's choice.
  await page.evaluate(() => {
    const input = Object.assign(document.createElement('input'), { type: 'file', multiple: true, id: 'parity' });
    document.body.append(input);
  });
  await page.locator('#parity').setInputFiles(photos);
}, { skip: Boolean(skip) });

async function native(...args) {
  const { stdout } = await run(binary, [...args, '--json'], { maxBuffer: 1 << 28 });
  return JSON.parse(stdout);
}

test('the same file has the same vector in the browser and natively', { skip: !!skip, timeout: 300_000 }, async () => {
  const asked = photos.filter((_, i) => i % EVERY === 0);
  const expected = await native('embed', '--image', ...asked);
  const vectors = await page.evaluate(async (every) => {
    const { Library } = await import('/photorecall/index.js');
    window.library = await Library.open({ name: 'parity', modelUrl: '/models/photorecall-s/', workers: 2 });
    const files = [...document.querySelector('#parity').files].filter((_, i) => i % every === 0);
    const all = await Promise.all(files.map((file) => window.library.embedImage(file)));
    return all.map((vector) => [...vector]);
  }, EVERY);
  const cosines = vectors.map((vector, i) => vector.reduce((sum, x, j) => sum + x * expected[i].embedding[j], 0));
  console.log(`${cosines.length} photos: least cosine ${Math.min(...cosines).toFixed(6)}`);
  assert.ok(Math.min(...cosines) >= 0.999);
});

test('"a photo of a LABEL" finds as much in the browser as natively', { skip: !!skip, timeout: 600_000 }, async () => {
  const folder = dirname(photos[0]);
  const table = join(folder, '../labels.tsv');
  const rows = readFileSync(table, 'utf8').trim().split('\n').slice(1).map((line) => line.split('\t'));
  const queries = rows.map(([file, , label]) => [file, `a photo of a ${label}`]);
  const ranks = await page.evaluate(async (queries) => {
    for await (const _ of window.library.add([...document.querySelector('#parity').files]));
    const ranks = [];
    for (const [file, text] of queries) {
      const found = await window.library.search({ text, k: 1000, names: false });
      ranks.push(found.findIndex(({ photo }) => photo.path === file));
    }
    return ranks;
  }, queries);
  assert.ok(ranks.every((rank) => rank >= 0), 'every photo is ranked');
  const told = await native('eval', '--photos', folder, '--labels', table);
  for (const cut of [1, 5, 10]) {
    const share = ranks.filter((rank) => rank < cut).length / ranks.length;
    const expected = told[`recall_at_${cut}`];
    console.log(`recall@${cut}: ${(100 * share).toFixed(1)} % in the browser, ${(100 * expected).toFixed(1)} % natively`);
    assert.ok(Math.abs(share - expected) <= 0.01);
  }
});
