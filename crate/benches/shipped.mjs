// The shipped model in the browser: milliseconds a photo and a query, one thread, without decoding.
// `node crate/benches/shipped.mjs`, after `cargo xtask build-web`: medians of RUNS after a warm-up, the photo is noise.
import { launch, serveSite, site } from '../../tests/browser/helpers.mjs';

const RUNS = 200;

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

const server = await serveSite(site);
const browser = await launch();
try {
  for (const [kernels, folder] of [['relaxed simd', 'relaxed/'], ['simd128', '']]) {
    const page = await browser.newPage();
    await page.goto(`${server.url}models/photorecall-s/manifest.json`);
    console.log(JSON.stringify({ chromium: browser.version(), kernels, ...(await page.evaluate(measure, { folder, runs: RUNS })) }));
    await page.close();
  }
} finally {
  await browser.close();
  server.close();
}
