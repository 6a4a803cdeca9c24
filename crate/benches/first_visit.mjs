// `cargo xtask bench first-visit`: a stranger's first visit until the first search over a handful of photos is
// answered, with the built page and with one made of transformers.js. Both have the same model, byte for byte, and
// the same line; "plain runtime" is theirs with onnxruntime's smallest wasm in place of the one that has WebGPU too.
// `first_visit.mjs PEER ALBUM OUT [--quick]`: PEER is where transformers.js is installed.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, serveSite, site } from '../../tests/browser/helpers.mjs';
import { peerAnswers } from './first_visit_peer.mjs';

const [peer, album, out] = process.argv.slice(2);
const QUICK = process.argv.includes('--quick');
const ROUNDS = QUICK ? 1 : 3;
/** What the line carries, and how long an answer takes to begin: none; a home's; a phone's on the way. */
const LINES = { none: undefined, '50 Mbit/s': { mbits: 50, ms: 20 }, '10 Mbit/s': { mbits: 10, ms: 60 } };
const WORDS = 'a red flower';
const photos = readdirSync(album).filter((name) => /\.(png|jpg)$/.test(name)).sort().slice(0, 8).map((name) => join(album, name));

/** Writes bodies as one line carries them that all answers share. */
function narrow({ mbits, ms }) {
  const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));
  let free = 0;
  return async (response, body) => {
    await wait(ms);
    for (let at = 0; at < body.length; at += 1 << 14) {
      const piece = body.subarray(at, at + (1 << 14));
      free = Math.max(performance.now() - 5, free) + (8 * piece.length) / (1000 * mbits);
      await wait(free - performance.now());
      response.write(piece);
    }
    response.end();
  };
}

/** How a visitor does the job on the peer's page. */
const THEIRS = {
  async add(page) {
    await page.locator('#photos').setInputFiles(photos);
    await page.locator('#status', { hasText: `Done: ${photos.length}` }).waitFor({ timeout: 180_000 });
  },
  async search(page) {
    await page.locator('#words').fill(WORDS);
    await page.locator('#words').press('Enter');
    await page.locator('#found li').first().waitFor({ timeout: 180_000 });
    return page.locator('#found li').evaluateAll((items) => items.map(({ title, dataset }) => [title, Number(dataset.score)]));
  },
};
/** And on each one. */
const PAGES = {
  ours: {
    path: '',
    async add(page) {
      const asked = page.waitForEvent('filechooser');
      await page.getByRole('button', { name: 'Choose photos' }).click();
      await (await asked).setFiles(photos);
      await page.locator('.progress .grow', { hasText: `Done: ${photos.length} added` }).waitFor({ timeout: 180_000 });
    },
    async search(page) {
      await page.getByRole('combobox').fill(WORDS);
      await page.getByRole('combobox').press('Enter');
      await page.locator('.summary', { hasText: WORDS }).waitFor({ timeout: 180_000 });
      return page.locator('.tile').evaluateAll((tiles) => tiles.map(({ dataset }) => [dataset.path, Number(dataset.score)]));
    },
  },
  'transformers.js': { path: 'peer.html', ...THEIRS },
  'transformers.js, plain runtime': { path: 'peer.html?small', ...THEIRS },
};

const compressed = new Map();

/** One visit: milliseconds until each step is done, the bytes on the line until then, and what was found. */
async function visit(browser, answers, { path, add, search }, compress, line) {
  const host = await serveSite(site, answers, { compress, compressed, ...(line && { send: narrow(line) }) });
  const context = await browser.newContext({ locale: 'en-GB' });
  const page = await context.newPage();
  await page.addInitScript(() => delete window.showDirectoryPicker);
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  const begun = performance.now();
  await page.goto(host.url + path);
  const shown = performance.now() - begun;
  await add(page);
  const indexed = performance.now() - begun;
  const found = await search(page);
  const first = performance.now() - begun;
  const { bytes, files } = structuredClone(host.sent);
  await context.close();
  host.close();
  if (errors.length > 0) throw new Error(errors.join('\n'));
  return { shown, indexed, first, bytes, files, found };
}

const middle = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const answers = peerAnswers(peer, join(site, 'models/photorecall-s'));
answers['/peer.html'] = readFileSync(join(dirname(fileURLToPath(import.meta.url)), 'first_visit.html'));
const browser = await launch();
const visits = [];

/** A visit to each page, one after the other. */
async function round(compress, line, counts = true) {
  for (const [page, way] of Object.entries(PAGES)) {
    const told = await visit(browser, answers, way, compress, LINES[line]);
    if (counts) visits.push({ page, compress, line, ...told });
  }
}

/** The largest difference between two pages' cosines of the same photo. */
function apart(page, other) {
  const [ours, theirs] = [page, other].map((name) => new Map(visits.find((one) => one.page === name).found));
  return Math.max(...[...ours].map(([name, score]) => Math.abs(score - (theirs.get(name) ?? Infinity))));
}

try {
  // Hosts have compressed their files before anybody comes.
  await round('gzip', 'none', false);
  await round('br', 'none', false);
  await round('gzip', 'none');
  for (let turn = 0; turn < ROUNDS; turn++) for (const line of Object.keys(LINES)) await round('br', line);
} finally {
  await browser.close();
}
const rows = [];
for (const page of Object.keys(PAGES)) {
  for (const line of Object.keys(LINES)) {
    const all = visits.filter((one) => one.page === page && one.line === line && one.compress === 'br');
    const ms = (what) => Math.round(middle(all.map((told) => told[what])));
    rows.push({ page, line, shown_ms: ms('shown'), indexed_ms: ms('indexed'), first_result_ms: ms('first') });
    console.log(`${page}, line ${line}: first result after ${(rows.at(-1).first_result_ms / 1000).toFixed(1)} s`);
  }
}
const bytes = {};
for (const page of Object.keys(PAGES)) {
  bytes[page] = Object.fromEntries(['gzip', 'br'].map((how) => [how, visits.find((one) => one.page === page && one.compress === how && one.line === 'none').bytes]));
  console.log(`${page}: ${(bytes[page].gzip / 1e6).toFixed(1)} MB with gzip, ${(bytes[page].br / 1e6).toFixed(1)} MB with Brotli`);
}
const differs = apart('ours', 'transformers.js');
console.log(`the same photo's cosine differs by at most ${differs.toFixed(4)}`);
// They shrink photos in ways of their own.
if (differs > 0.06) throw new Error('the two pages do not do the same job');
const version = JSON.parse(readFileSync(join(peer, 'node_modules/@huggingface/transformers/package.json'), 'utf8')).version;
const about = { chromium: browser.version(), cpu: cpus()[0]?.model, transformers: version, photos: photos.length, rounds: ROUNDS, lines: LINES };
writeFileSync(out, JSON.stringify({ ...about, rows, bytes, differs, visits }, undefined, 1));
