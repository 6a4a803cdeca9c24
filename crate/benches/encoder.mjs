// The browser's part of `cargo xtask bench encoder`: ours and onnxruntime-web take turns in one page of
// headless Chromium. Standard input: what to measure, by encoder.py; the last line of the output: JSON.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { launch, serveSite, site } from '../../tests/browser/helpers.mjs';

const task = JSON.parse(readFileSync(0, 'utf8'));
const KINDS = ['u8', 's8'];
const version = JSON.parse(readFileSync(join(task.peer, 'package.json'), 'utf8')).version;

const answers = {};
for (const name of readdirSync(join(task.peer, 'dist'))) {
  if (/\.(mjs|wasm)$/.test(name)) answers[`/peer/${name}`] = () => readFileSync(join(task.peer, 'dist', name));
}
for (const [model, { folder }] of Object.entries(task.models)) {
  for (const name of readdirSync(folder)) answers[`/bench/${model}/${name}`] = () => readFileSync(join(folder, name));
}

/** In the page: median milliseconds and vectors of one tower, and what loading took. */
async function measure({ model, ids, texts, rounds, turnMs, kinds, version }) {
  const bytes = async (name) => new Uint8Array(await (await fetch(`/bench/${model}/${name}`)).arrayBuffer());
  const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];
  const manifest = await bytes('manifest.json');
  const files = new Map();
  for (const name of ['image.onnx', 'text.onnx', 'merges.txt']) files.set(name, await bytes(name));
  const pixels = new Float32Array((await bytes('image.f32')).buffer);
  const ort = await import('/peer/ort.wasm.min.mjs');
  Object.assign(ort.env.wasm, { wasmPaths: '/peer/', numThreads: 1 });
  const loads = [];
  const timed = async (what, load) => {
    const start = performance.now();
    const loaded = await load();
    loads.push({ model, what, ms: performance.now() - start });
    return loaded;
  };
  // As the package does.
  const { sha256 } = await import('/photorecall/index.js');
  const digestsOf = async (names) => new Map(await Promise.all(names.map(async (name) => [name, await sha256(files.get(name))])));
  const ours = {};
  for (const [where, folder] of [['chromium', 'relaxed/'], ['chromium-simd128', '']]) {
    for (const towers of ['image', 'both']) {
      const glue = await import(`/photorecall/${folder}photorecall.js?${model}-${towers}`);
      const { memory } = await glue.default({ module_or_path: fetch(`/photorecall/${folder}photorecall_bg.wasm`) });
      const used = towers === 'image' ? ['image.onnx'] : [...files.keys()];
      ours[where] = await timed(`${where} ${towers}`, async () => new glue.Encoder(manifest, files, towers, await digestsOf(used)));
      ours[where].embedTensor(pixels);
      Object.assign(loads.at(-1), { memoryBytes: memory.buffer.byteLength });
    }
  }
  const rows = [];
  for (const [label, part, input] of [
    ['image', 'image', new ort.Tensor('float32', pixels, [1, 3, 224, 224])],
    ...Object.entries(ids).map(([label, ids]) => [label, 'text', new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, 77])]),
  ]) {
    const contenders = {};
    for (const [where, encoder] of Object.entries(ours)) {
      contenders[where] = part === 'image' ? () => encoder.embedTensor(pixels) : () => encoder.embedText(texts[label]);
    }
    for (const kind of kinds) {
      const graph = await bytes(`${part}.${kind}.onnx`);
      const session = await timed(`onnxruntime-web ${part} ${kind}`, () => ort.InferenceSession.create(graph, { executionProviders: ['wasm'] }));
      const feeds = { [session.inputNames[0]]: input };
      contenders[`onnxruntime-web ${version} ${kind}`] = async () => (await session.run(feeds))[session.outputNames[0]].data;
    }
    const times = {};
    const runs = {};
    const vectors = {};
    for (let round = -1; round < rounds; round++) {
      for (const [name, run] of Object.entries(contenders)) {
        times[name] ??= [];
        for (let i = 0; i < (runs[name] ?? 5); i++) {
          const start = performance.now();
          vectors[name] = [...(await run())];
          times[name].push(performance.now() - start);
        }
        // The first round warms up: engines compile twice.
        if (round < 0) runs[name] = Math.max(2, Math.min(100, Math.round(turnMs / median(times[name].splice(0)))));
      }
    }
    const peers = Object.fromEntries(Object.keys(times).filter((name) => !(name in ours)).map((name) => [name, median(times[name])]));
    for (const where of Object.keys(ours)) rows.push({ model, label, where, ours_ms: median(times[where]), peers, embedding: vectors[where] });
  }
  return { rows, loads };
}

/** In the page: photos a second with one worker and with two, each a library of its own. */
async function work({ model, workers }) {
  const { Library } = await import('/photorecall/index.js');
  const files = [...document.querySelector('#photos').files];
  const library = await Library.open({ name: `bench-${workers}-${Math.random()}`, modelUrl: `/bench/${model}/`, workers });
  // The workers are started by their first photos.
  await Promise.all(files.slice(0, 2 * workers).map((file) => library.embedImage(file)));
  const start = performance.now();
  for await (const _ of library.add(files));
  const seconds = (performance.now() - start) / 1000;
  await library.close?.();
  return files.length / seconds;
}

const server = await serveSite(site, answers);
const browser = await launch();
const told = { rows: [], loads: [], workers: null, chromium: browser.version() };
try {
  for (const [model, { ids }] of Object.entries(task.models)) {
    const page = await browser.newPage();
    page.on('console', (message) => message.type() === 'error' && console.error(message.text()));
    await page.goto(`${server.url}bench/${model}/manifest.json`);
    const { texts, rounds, turnMs } = task;
    const { rows, loads } = await page.evaluate(measure, { model, ids, texts, rounds, turnMs, kinds: KINDS, version });
    told.rows.push(...rows);
    told.loads.push(...loads);
    await page.close();
  }
  if (task.photos) {
    const page = await browser.newPage();
    await page.goto(`${server.url}bench/tinyclip-8m/manifest.json`);
    await page.setContent('<input id="photos" type="file" multiple>');
    const photos = readdirSync(task.photos).sort().slice(0, task.quick ? 100 : 200);
    await page.setInputFiles('#photos', photos.map((name) => join(task.photos, name)));
    const rates = { 1: [], 2: [] };
    for (let round = 0; round < (task.quick ? 2 : 3); round++) {
      for (const workers of [1, 2]) rates[workers].push(await page.evaluate(work, { model: 'tinyclip-8m', workers }));
    }
    const best = (rates) => Math.max(...rates);
    told.workers = { photos: photos.length, one: best(rates[1]), two: best(rates[2]), ratio: best(rates[2]) / best(rates[1]) };
  }
} finally {
  await browser.close();
  server.close();
}
console.log(JSON.stringify(told));
