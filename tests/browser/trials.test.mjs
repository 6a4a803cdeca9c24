// The package as a stranger takes it: the .tgz installed into fresh projects, built by their tools, run in
// Chromium; read by TypeScript; and used by a program on Node.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { blocksOf, expectations, moduleOf } from './examples.mjs';
import { drawPhotos, serveSite, site, visitor, withBrowser } from './helpers.mjs';

const run = promisify(execFile);
const binary = process.env.PHOTORECALL_BIN;
const packed = process.env.PHOTORECALL_PACKAGE;
const skip = packed ? false : 'PHOTORECALL_PACKAGE does not name the packed package: cargo xtask package';
if (skip) console.log(`NOT RUN: ${skip}`);

const npm = join(dirname(fileURLToPath(import.meta.url)), '../../crate/npm');
const VITE = 'vite@8.3.8';
const WEBPACK = ['webpack@5.112.2', 'webpack-cli@7.3.1'];
const ESBUILD = 'esbuild@0.28.2';

/** What a person would write first. */
const APP = `
import { Library } from 'photorecall';

const draw = async (colour) => {
  const canvas = new OffscreenCanvas(160, 120);
  const pen = canvas.getContext('2d');
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 160, 120);
  return new File([await canvas.convertToBlob()], colour + '.png');
};
const library = await Library.open({ modelUrl: '/models/photorecall-s/', workers: 1 });
const progress = await library.add(await Promise.all(['red', 'green', 'blue'].map(draw)));
const found = await library.search({ text: 'something red', k: 3 });
const { encoder } = await library.info();
window.result = { added: progress.added, found: found.map(({ photo }) => photo.path).sort(), kernels: encoder.kernels };
`;
const PAGE = (script) => `<!doctype html><meta charset="utf-8"><title>trial</title>${script}`;

let browser, work;

withBrowser((opened) => {
  ({ browser } = opened);
  work = mkdtempSync(join(tmpdir(), 'photorecall-trials-'));
}, { skip, serve: async () => undefined });
after(() => {
  if (work) rmSync(work, { recursive: true, force: true });
});

/** A fresh project with these packages beside ours, and these files. */
async function project(name, packages, files) {
  const folder = join(work, name);
  for (const [path, text] of Object.entries({ 'package.json': '{ "type": "module", "private": true }', ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const quiet = ['--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--prefer-offline', '--loglevel=error'];
  await run('npm', ['install', ...quiet, packed, ...packages], { cwd: folder });
  return folder;
}

/** Runs a tool of the project. */
function tool(folder, name, ...args) {
  return run(join(folder, 'node_modules/.bin', name), args, { cwd: folder });
}

/** Opens the built page; it has to find what it has added. */
async function works(folder) {
  if (!existsSync(join(folder, 'models'))) symlinkSync(join(site, 'models'), join(folder, 'models'));
  const result = await resultOf(folder);
  assert.deepEqual(result, { added: 3, found: ['blue.png', 'green.png', 'red.png'], kernels: result.kernels });
  assert.match(result.kernels, /simd/);
}

/** What the page in a folder leaves in `window.result`; it may ask no other host for anything. */
async function resultOf(folder) {
  const host = await serveSite(folder);
  const guest = await visitor(browser, host.url);
  const result = await guest.page
    .waitForFunction(() => window.result, undefined, { timeout: 60_000 })
    .then((handle) => handle.jsonValue(), (error) => assert.fail(`${error.message}\n${guest.errors.join('\n')}`));
  await guest.context.close();
  host.close();
  assert.deepEqual(guest.strangers, []);
  return result;
}

test('without a bundler: <script type=module> and an import map', { skip }, async () => {
  const map = { imports: { photorecall: '/node_modules/photorecall/dist/index.js' } };
  const page = PAGE(`<script type="importmap">${JSON.stringify(map)}</script><script type="module" src="app.js"></script>`);
  await works(await project('plain', [], { 'app.js': APP, 'index.html': page }));
});

test('Vite', { skip }, async () => {
  const folder = await project('vite', [VITE], {
    'app.js': APP,
    'index.html': PAGE('<script type="module" src="/app.js"></script>'),
    'vite.config.js': "export default { worker: { format: 'es' }, build: { target: 'es2022' } };",
  });
  await tool(folder, 'vite', 'build', '--logLevel', 'warn');
  await works(join(folder, 'dist'));
});

test('webpack', { skip }, async () => {
  const folder = await project('webpack', WEBPACK, {
    'app.js': APP,
    'webpack.config.js': "export default { mode: 'production', entry: './app.js', performance: false };",
  });
  await tool(folder, 'webpack');
  writeFileSync(join(folder, 'dist/index.html'), PAGE('<script src="main.js"></script>'));
  await works(join(folder, 'dist'));
});

test('esbuild', { skip }, async () => {
  const folder = await project('esbuild', [ESBUILD], { 'app.js': APP });
  const ours = join(folder, 'node_modules/photorecall/dist');
  await tool(folder, 'esbuild', 'app.js', 'worker=photorecall/worker', '--bundle', '--format=esm', '--splitting', '--minify', '--outdir=out');
  for (const name of ['photorecall_bg.wasm', 'relaxed/photorecall_bg.wasm']) cpSync(join(ours, name), join(folder, 'out', name));
  writeFileSync(join(folder, 'out/index.html'), PAGE('<script type="module" src="app.js"></script>'));
  await works(join(folder, 'out'));
});

test('TypeScript reads the types, the strict way and the libraries too', { skip }, async () => {
  const compilerOptions = {
    ...{ noEmit: true, strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
    ...{ target: 'es2022', module: 'esnext', moduleResolution: 'bundler', types: [] },
    lib: ['es2022', 'dom', 'dom.iterable', 'dom.asynciterable'],
  };
  const folder = await project('types', [], {
    'tsconfig.json': JSON.stringify({ compilerOptions, files: ['app.ts'] }),
    'app.ts': `
import { Library, type Found, ModelStore, PhotorecallError, parseManifest } from 'photorecall';
import init, { Index } from 'photorecall/wasm';
export async function first(files: File[]): Promise<Found | undefined> {
  const library = await Library.open({ modelUrl: '/models/photorecall-s/' });
  for await (const { done, total } of library.add(files, { signal: AbortSignal.timeout(1000) })) console.log(done, total);
  try {
    return (await library.search({ text: 'x', filter: 'is:favourite' }))[0];
  } catch (error) {
    if (error instanceof PhotorecallError) console.log(error.code);
  }
  const store = await ModelStore.open();
  await store.fetch(parseManifest(new Uint8Array(), 'x'), { hub: 'https://example.org' });
  await init();
  // @ts-expect-error: a wrong type is found
  await library.search({ k: 'many' });
  return Index.fromBytes(new Uint8Array(), new Map()).page({ k: 1 }).found[0];
}`,
  });
  await run(process.execPath, [join(npm, 'node_modules/typescript/bin/tsc'), '-p', folder]).catch(({ stdout }) => assert.fail(stdout));
});

test('a program on Node opens a library and searches it', { skip: skip || (!binary && 'PHOTORECALL_BIN does not name the command line') }, async () => {
  const host = await serveSite();
  const guest = await visitor(browser, host.url);
  const photos = join(work, 'photos');
  mkdirSync(photos);
  for (const { name, buffer } of await drawPhotos(guest.page, 12)) writeFileSync(join(photos, name), buffer);
  await guest.context.close();
  host.close();
  const library = join(work, 'library');
  await run(binary, ['index', photos, '--library', library]);
  const folder = await project('node', [], {
    'search.js': blocksOf(readFileSync(join(npm, 'docs/api.md'), 'utf8'), 'js node')[0],
  });
  const words = 'a red circle';
  const { stdout } = await run(process.execPath, ['search.js', library, join(site, 'models/photorecall-s'), words], { cwd: folder });
  const native = await run(binary, ['search', '--library', library, '-k', '5', '--json', words]);
  assert.deepEqual(JSON.parse(stdout), JSON.parse(native.stdout).map(({ path }) => path));
});

/** What a person with vectors of her own does, on Node and on a page. */
const VECTORS = `
import { loadVectors } from 'photorecall/vectors';

export async function tryVectors(options) {
  const { BinaryIndex, VectorIndex } = await loadVectors(options);
  const [dim, rows] = [48, 2500];
  let state = 1;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5;
  const vectors = Float32Array.from({ length: rows * dim }, random);
  const of = (id) => vectors.subarray(id * dim, (id + 1) * dim);
  const made = new VectorIndex(dim);
  const first = made.add(vectors);
  made.remove(7);
  made.compact();
  const index = VectorIndex.load(made.save());
  const nearest = (id) => index.search(of(id), { k: 1, recall: 'exact' }).ids[0];
  const code = (call) => { try { call(); return 'none'; } catch (error) { return error.code; } };
  const metrics = ['cosine', 'ip', 'l2'].map((metric) => {
    const one = new VectorIndex(dim, { metric });
    one.add(vectors);
    one.compact();
    const same = VectorIndex.load(one.save());
    const { ids, scores } = same.search(of(100), { recall: 'exact' });
    const back = same.range(of(100), scores[9]).ids.join() === ids.join();
    return [same.metric, ids.length, Math.sign(scores[0] - scores[9]), back];
  });
  const bits = Uint8Array.from({ length: 2500 * 16 }, () => Math.floor((random() + 0.5) * 256) & Math.floor((random() + 0.5) * 256));
  const binary = ['hamming', 'jaccard', 'tanimoto', 'substructure', 'superstructure'].map((metric) => {
    const one = new BinaryIndex(128, { metric });
    one.add(bits);
    one.remove(7);
    one.compact();
    const same = BinaryIndex.load(one.save());
    const { ids, scores } = same.search(bits.subarray(16 * 100, 16 * 101), { recall: 'exact' });
    return [same.metric, same.size, ids[0], scores[0]];
  });
  // The kernels that run here, against bit by bit.
  const count = (byte) => byte.toString(2).replaceAll('0', '').length;
  const differ = (a, b) => a.reduce((sum, byte, at) => sum + count(byte ^ b[at]), 0);
  const plain = new BinaryIndex(128);
  plain.add(bits);
  const all = plain.range(bits.subarray(0, 16), 128);
  const hamming = all.ids.every((id, at) => all.scores[at] === differ(bits.subarray(0, 16), bits.subarray(16 * id, 16 * (id + 1))));
  return {
    first,
    binary,
    hamming: [all.ids.length, hamming],
    metrics,
    size: index.size,
    itself: [nearest(3), nearest(2499), nearest(7) === 7],
    only: [...index.search(of(3), { only: [1, 3, 5] }).ids].sort(),
    found: [...index.search(of(100)).ids],
    range: [
      index.range(of(3), 0.99).ids[0],
      index.range(of(3), -1).ids.length,
      [...index.range(of(3), -1, { only: [1, 3, 5] }).ids].sort(),
    ],
    batch: index.searchBatch(vectors.subarray(0, 3 * dim), { k: 1, recall: 'exact' }).map((one) => one.ids[0]),
    codes: [
      code(() => index.add(new Float32Array(3))),
      code(() => index.search(new Float32Array(dim))),
      code(() => index.search(of(0), { only: [9999] })),
      code(() => index.search(of(0), { recall: 'best' })),
      code(() => index.range(of(0))),
      code(() => index.searchBatch(new Float32Array(dim + 1))),
      code(() => VectorIndex.load(new Uint8Array(100))),
      code(() => new VectorIndex(dim, { metric: 'l3' })),
      code(() => new BinaryIndex(12)),
      code(() => plain.search(new Uint8Array(3))),
    ],
  };
}`;

test('the index alone, on Node and on a page: it gives the same answers, and weighs little', { skip }, async () => {
  const examples = ['README.md', 'docs/api.md'].map((path) => blocksOf(readFileSync(join(npm, path), 'utf8'), 'js vectors'));
  const folder = await project('vectors', [], {
    'vectors.js': VECTORS,
    'node.js': `
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { tryVectors } from './vectors.js';
const wasm = readFileSync(fileURLToPath(import.meta.resolve('photorecall/vectors/photorecall_bg.wasm')));
console.log(JSON.stringify(await tryVectors({ wasm })));`,
    ...Object.fromEntries(examples.map((blocks, at) => [`example${at}.js`, moduleOf(blocks)])),
    'app.js': `
import { tryVectors } from './vectors.js';
const wrong = [];
let checked = 0;
window.check = (line, value, expected) => (checked++, value === expected || wrong.push(line));
await import('./example0.js');
await import('./example1.js');
window.result = { ...(await tryVectors()), wrong, checked };`,
  });
  const map = { imports: { 'photorecall/vectors': '/node_modules/photorecall/dist/vectors.js' } };
  writeFileSync(join(folder, 'index.html'), PAGE(`<script type="importmap">${JSON.stringify(map)}</script><script type="module" src="app.js"></script>`));
  const { found, ...rest } = JSON.parse((await run(process.execPath, ['node.js'], { cwd: folder })).stdout);
  assert.deepEqual(rest, {
    first: 0,
    binary: [['hamming', 2499, 100, 0], ['jaccard', 2499, 100, 0], ['tanimoto', 2499, 100, 0], ['substructure', 2499, 100, 0], ['superstructure', 2499, 100, 0]],
    hamming: [2500, true],
    metrics: [['cosine', 10, 1, true], ['ip', 10, 1, true], ['l2', 10, -1, true]],
    size: 2499,
    itself: [3, 2499, false],
    only: [1, 3, 5],
    range: [3, 2499, [1, 3, 5]],
    batch: [0, 1, 2],
    codes: ['dimension', 'no_direction', 'bad_argument', 'bad_argument', 'bad_argument', 'dimension', 'damaged', 'bad_argument', 'dimension', 'dimension'],
  });
  assert.equal(found[0], 100);
  assert.equal(found.length, 10);
  assert.deepEqual(await resultOf(folder), { found, ...rest, wrong: [], checked: expectations(examples.flat()) });
  for (const build of ['', 'relaxed/']) {
    const wasm = readFileSync(join(folder, `node_modules/photorecall/dist/vectors/${build}photorecall_bg.wasm`));
    const weight = gzipSync(wasm).length;
    console.log(`the index alone, ${build || 'for every engine'}: ${weight} bytes of wasm, gzip`);
    assert.ok(weight <= 150_000, `${weight} bytes`);
  }
});

test('the package has what it says and nothing else', { skip }, async () => {
  const folder = join(work, 'plain/node_modules/photorecall');
  const names = readdirSync(folder, { recursive: true }).map(String);
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  for (const entry of Object.values(exports)) {
    for (const path of typeof entry === 'string' ? [entry] : Object.values(entry)) assert.ok(names.includes(path.slice(2)), path);
  }
  assert.deepEqual(names.filter((name) => /node_modules|tsconfig|\.ts$/.test(name) && !name.endsWith('.d.ts')), []);
});
