// The shipped model in the browser: milliseconds a photo and a query, one thread, without decoding; and a large JPEG
// with decoding, by the module and by the engine's own decoder.
// `node crate/benches/shipped.mjs [JPEG…]`, after `cargo xtask build-web`: medians of RUNS after a warm-up, the photo is noise;
// of LARGE for each JPEG that is given, or for drawn ones of some sizes.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { launch, serveSite, site } from '../../tests/browser/helpers.mjs';

const RUNS = 200;
const LARGE = 7;
/** Millions of pixels. */
const SIZES = [1, 3, 12];
/** How the package asks the engine; in the site it is part of a larger file. */
const PLATFORM = readFileSync(new URL('../npm/dist/platform.js', import.meta.url), 'utf8');

/** In the page: median milliseconds of both towers. */
async function measure({ folder, runs }) {
  const bytes = async (name) => new Uint8Array(await (await fetch(`/models/photorecall-s/${name}`)).arrayBuffer());
  const manifest = await bytes('manifest.json');
  const files = new Map();
  for (const name of ['image.onnx', 'text.onnx', 'merges.txt']) files.set(name, await bytes(name));
  const glue = await import(`/photorecall/${folder}photorecall.js`);
  await glue.default({ module_or_path: fetch(`/photorecall/${folder}photorecall_bg.wasm`) });
  const encoder = new glue.Encoder(manifest, files, 'both');
  const { size } = JSON.parse(new TextDecoder().decode(manifest)).image;
  const pixels = Float32Array.from({ length: 3 * size * size }, () => 2 * Math.random() - 1);
  const median = (run) => {
    const times = [];
    for (let i = -20; i < runs; i++) {
      const start = performance.now();
      run();
      if (i >= 0) times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[runs >> 1];
  };
  return { photo_ms: median(() => encoder.embedTensor(pixels)), query_ms: median(() => encoder.embedText('a photo of a dog')) };
}

/** In the page: median milliseconds of a JPEG's way into its vector, both ways by turns, and the cosine between them. */
async function measureLarge({ jpeg: given, megapixels, runs, platform }) {
  const bytes = async (name) => new Uint8Array(await (await fetch(`/models/photorecall-s/${name}`)).arrayBuffer());
  const glue = await import('/photorecall/relaxed/photorecall.js');
  await glue.default({ module_or_path: fetch('/photorecall/relaxed/photorecall_bg.wasm') });
  const encoder = new glue.Encoder(await bytes('manifest.json'), new Map([['image.onnx', await bytes('image.onnx')]]), 'image');
  const { decodeByPlatform } = await import(URL.createObjectURL(new Blob([platform], { type: 'text/javascript' })));
  const drawn = async () => {
    const [width, height] = [4, 3].map((side) => Math.round(side * Math.sqrt((1e6 * megapixels) / 12)));
    const canvas = new OffscreenCanvas(width, height);
    const pen = canvas.getContext('2d');
    for (let i = 0; i < 3000; i++) {
      pen.fillStyle = `hsl(${(i * 137) % 360} ${20 + (i % 70)}% ${(i * 29) % 100}%)`;
      pen.fillRect(Math.random() * width, Math.random() * height, Math.random() * 90, Math.random() * 90);
    }
    return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 });
  };
  const file = given ? await (await fetch(given)).blob() : await drawn();
  const jpeg = new Uint8Array(await file.arrayBuffer());
  const ways = {
    module: async () => encoder.embedImage(jpeg, 2 ** 30, false),
    engine: async () => {
      const seen = await decodeByPlatform(file, 4 * encoder.inputSide());
      return encoder.embedPixels(jpeg, seen.rgba, seen.width, seen.height, seen.fullWidth, seen.fullHeight, false);
    },
  };
  const [times, vectors] = [{ module: [], engine: [] }, {}];
  for (let i = -1; i < runs; i++) {
    for (const [name, way] of Object.entries(ways)) {
      const start = performance.now();
      vectors[name] = (await way()).embedding;
      if (i >= 0) times[name].push(performance.now() - start);
    }
  }
  const median = (of) => of.sort((a, b) => a - b)[of.length >> 1];
  const cosine = vectors.module.reduce((sum, x, i) => sum + x * vectors.engine[i], 0);
  return { megapixels: glue.glance(jpeg).pixels / 1e6, jpeg_mb: jpeg.length / 1e6, module_ms: median(times.module), engine_ms: median(times.engine), cosine };
}

const server = await serveSite(site);
const browser = await launch();
try {
  for (const [kernels, folder] of [['relaxed simd', 'relaxed/'], ['simd128', '']]) {
    const page = await browser.newPage();
    await page.goto(`${server.url}models/photorecall-s/manifest.json`);
    console.log(JSON.stringify({ chromium: browser.version(), kernels, ...(await page.evaluate(measure, { folder, runs: RUNS })) }));
    await page.close();
  }
  const given = process.argv.slice(2);
  const asked = given.length ? given.map((path) => ({ jpeg: `/jpegs/${basename(path)}`, path })) : SIZES.map((megapixels) => ({ megapixels }));
  for (const { path, ...jpeg } of asked) {
    const page = await browser.newPage();
    if (path) await page.route(`**${jpeg.jpeg}`, (route) => route.fulfill({ path }));
    await page.goto(`${server.url}models/photorecall-s/manifest.json`);
    console.log(JSON.stringify(await page.evaluate(measureLarge, { ...jpeg, runs: LARGE, platform: PLATFORM })));
    await page.close();
  }
} finally {
  await browser.close();
  server.close();
}
