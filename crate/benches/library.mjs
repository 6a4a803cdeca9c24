// `cargo xtask bench library`: 100,000 photos in headless Chromium and filters natively. Arguments: the native
// program, a folder to work in, the report's file, how many photos. Writes JSON, prints the README's tables.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { launch, serveSite } from '../../tests/browser/helpers.mjs';

const [program, folder, out, count] = process.argv.slice(2);
const OPENED = 5;
const CHANGES = 20;

rmSync(folder, { recursive: true, force: true });
const native = JSON.parse(execFileSync(program, [folder, count], { encoding: 'utf8', maxBuffer: 1 << 26 }));
const files = ['library.manifest', 'queries.f32', ...native.segments];
const answers = Object.fromEntries(files.map((name) => [`/bench/${name}`, () => readFileSync(join(folder, name))]));

/** In the page: stores the library's files as they are; bytes that IndexedDB takes for them. */
async function fill(segments) {
  const wasm = await import('/photorecall/photorecall.js');
  await wasm.default();
  const bytes = async (name) => new Uint8Array(await (await fetch(`/bench/${name}`)).arrayBuffer());
  const before = (await navigator.storage.estimate()).usage;
  const files = new Map();
  for (const name of segments) files.set(name, await bytes(name));
  await wasm.Index.importFiles('bench', await bytes('library.manifest'), files);
  return (await navigator.storage.estimate()).usage - before;
}

/** In a page of its own: opens the library, as a worker of the page does; milliseconds. */
async function open(model) {
  const wasm = await import('/photorecall/relaxed/photorecall.js');
  const { memory } = await wasm.default();
  const before = memory.buffer.byteLength;
  const timed = async (act) => {
    const start = performance.now();
    const answer = await act();
    return [performance.now() - start, answer];
  };
  const [opened, index] = await timed(() => wasm.Index.open('bench', model));
  const bytes = memory.buffer.byteLength - before;
  const [listed] = await timed(() => [index.list(100, 0), index.shapes()]);
  const [facets] = await timed(() => index.facets());
  window.index = index;
  return { opened, listed, facets, bytes };
}

/** In the same page: searches, then changes. */
async function use([model, changes]) {
  const { index } = window;
  const all = new Float32Array(await (await fetch('/bench/queries.f32')).arrayBuffer());
  const queries = Array.from({ length: all.length / model.dim }, (_, i) => all.slice(i * model.dim, (i + 1) * model.dim));
  const times = async (inputs, act) => {
    const took = [];
    for (const [at, input] of inputs.entries()) {
      const start = performance.now();
      await act(input, at);
      took.push(performance.now() - start);
    }
    return took;
  };
  const pages = (query) => times(queries, (embedding) => index.page({ embedding, k: 50, names: false, ...query }));
  const searched = await pages({});
  const [first, ...named] = await pages({ text: 'a red car at night', names: true });
  const filtered = await pages({ filter: 'size:..99' });
  const photo = (at) => ({ path: `new/${at}.jpg`, bytes: 1, modifiedMs: at, digest: String(at), width: 4, height: 3 });
  const some = queries.slice(0, changes);
  const added = await times(some, async (embedding, at) => {
    index.put(photo(at), embedding, new Uint8Array(5000));
    await index.commit();
  });
  const gone = some.map((_, at) => index.list(1, 1000 * at).photos[0].path);
  const removed = await times(gone, async (path) => {
    index.remove(path);
    await index.commit();
  });
  return { searched, first, named, filtered, added, removed };
}

const sorted = (numbers) => [...numbers].sort((a, b) => a - b);
const quantile = (numbers, share) => sorted(numbers)[Math.min(numbers.length - 1, Math.floor(share * numbers.length))];
const spread = (numbers) => ({ p50: quantile(numbers, 0.5), p95: quantile(numbers, 0.95) });

const [browser, host] = await Promise.all([launch(), serveSite(undefined, answers)]);
const context = await browser.newContext();
const fresh = async (act, argument) => {
  const page = await context.newPage();
  await page.goto(host.url);
  const answer = await page.evaluate(act, argument);
  return { page, answer };
};
const filled = await fresh(fill, native.segments);
await filled.page.close();
const rounds = [];
let used;
for (let round = 0; round < OPENED; round++) {
  const { page, answer } = await fresh(open, native.model);
  rounds.push(answer);
  if (round === OPENED - 1) used = await page.evaluate(use, [native.model, CHANGES]);
  await page.close();
}
const median = (field) => quantile(rounds.map((round) => round[field]), 0.5);
const chromium = browser.version();
await browser.close();
host.close();

const report = {
  machine: `${cpus()[0].model}, ${cpus().length} cores`,
  chromium,
  ...native,
  browser: {
    open_ms: median('opened'),
    list_ms: median('listed'),
    facets_ms: median('facets'),
    wasm_bytes_a_photo: median('bytes') / native.photos,
    indexeddb_bytes_a_photo: filled.answer / native.photos,
    query_ms: spread(used.searched),
    first_query_with_names_ms: used.first,
    query_with_names_ms: spread(used.named),
    query_through_a_filter_ms: spread(used.filtered),
    add_ms: spread(used.added),
    remove_ms: spread(used.removed),
  },
};
writeFileSync(out, `${JSON.stringify(report, undefined, 1)}\n`);

const ms = (number) => `${number < 10 ? number.toFixed(1) : Math.round(number)} ms`;
const both = ({ p50, p95 }) => `${ms(p50)}, ${ms(p95)}`;
const of = report.browser;
console.log(`
${native.photos} photos of ${native.dim} axes, Chromium ${chromium}, ${report.machine}

| in the browser | |
| --- | --- |
| opening the library, every byte checked | ${ms(of.open_ms)} |
| the newest 100, and all shapes for the grid | ${ms(of.list_ms)} |
| memory, stored in IndexedDB | ${Math.round(of.wasm_bytes_a_photo)} and ${Math.round(of.indexeddb_bytes_a_photo)} bytes a photo |
| a query, p50 and p95 | ${both(of.query_ms)} |
| with words looked up in names (the first time ${ms(of.first_query_with_names_ms)}) | ${both(of.query_with_names_ms)} |
| through a filter that lets 10 % through | ${both(of.query_through_a_filter_ms)} |
| adding a photo, stored | ${both(of.add_ms)} |
| removing a photo, stored | ${both(of.remove_ms)} |

| natively, a filter lets through | recall@${native.k} | cost beside no filter | the first time |
| --- | --- | --- | --- |`);
const plain = native.filters.at(-1).ms;
for (const { matching, recall, first_ms: first, ms: took } of native.filters) {
  console.log(`| ${100 * matching} % | ${recall.toFixed(3)} | ${(took / plain).toFixed(1)} | ${(first / plain).toFixed(1)} |`);
}
