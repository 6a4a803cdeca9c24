// The package in a browser, by its own interface, and the wasm's kernels.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { visitor, withBrowser } from './helpers.mjs';

let browser, host, guest;

withBrowser(async (opened) => {
  ({ browser, host } = opened);
  guest = await visitor(browser, host.url);
});

test('the wasm kernels agree with the scalar ones', async () => {
  const everywhere = ['simd128', 'scalar', 'scalar-7bit'];
  // Which of the first two it is, if any, is up to the processor.
  const relaxed = ['relaxed-simd-u8', 'relaxed-simd-s8', 'relaxed-simd-16bit'];
  for (const [file, all] of [['photorecall', everywhere], ['relaxed/photorecall', [...relaxed, ...everywhere]]]) {
    const report = await guest.page.evaluate(async (file) => {
      const wasm = await import(`/photorecall/${file}.js`);
      await wasm.default();
      return wasm.kernelsSelfTest();
    }, file);
    console.log(`${file} compared: ${report.tables.join(', ')}; not run here: ${report.notRun.join(', ') || 'none'}`);
    assert.deepEqual(report.mismatches, []);
    assert.deepEqual(report.tables, all.filter((table) => !report.notRun.includes(table)));
    assert.deepEqual(report.notRun, all.filter((table) => !report.tables.includes(table)));
    const missing = all.length - report.tables.length;
    assert.ok(all === everywhere ? missing === 0 : missing === 1 || missing === 2, report.notRun.join());
    assert.ok(report.notRun.every((table) => relaxed.slice(0, 2).includes(table)), report.notRun.join());
  }
});

test('the package imports without a browser around it', async () => {
  const { Library } = await import(new URL(`file://${(await import('./helpers.mjs')).site}/photorecall/index.js`));
  assert.equal(typeof Library.open, 'function');
});

test('errors have codes, a library is opened once, and it can be destroyed', async () => {
  const result = await guest.page.evaluate(async () => {
    const { Library, PhotorecallError } = await import('/photorecall/index.js');
    const modelUrl = '/models/photorecall-s/';
    const code = (promise) => promise.then(() => 'none', (e) => (e instanceof PhotorecallError ? e.code : String(e)));
    const library = await Library.open({ name: 'test', modelUrl, workers: 1 });
    const seen = [];
    const text = new File(['no photo'], 'a.jpg');
    for await (const progress of library.add([text])) seen.push(progress);
    const codes = {
      noModel: await code(Library.open({ name: 'other', modelUrl: '/nowhere/' })),
      locked: await code(Library.open({ name: 'test', modelUrl })),
      nothing: await code(library.search({ text: 'colour:red' })),
      noPhoto: await code(library.similar('nowhere.jpg')),
      notAnImage: seen.at(-1).skipped[0]?.code,
      aborted: await code(library.add([text], { signal: AbortSignal.abort() })),
    };
    const { photos, readOnly } = await library.info();
    await library.destroy();
    const left = (await indexedDB.databases()).map(({ name }) => name);
    return { codes, photos, readOnly, left, closed: await code(library.search({ text: 'x' })) };
  });
  assert.deepEqual(result.codes, {
    noModel: 'fetch',
    locked: 'locked',
    nothing: 'query',
    noPhoto: 'bad_argument',
    notAnImage: 'not_an_image',
    aborted: 'aborted',
  });
  assert.deepEqual([result.photos, result.readOnly, result.closed], [0, false, 'closed']);
  assert.equal(result.left.includes('photorecall:test'), false);
});

test('a model whose file was changed is refused, whether the engine computes the digest or the wasm', async () => {
  const { expected, byEngine, byWasm } = await guest.page.evaluate(async () => {
    const { Library } = await import('/photorecall/index.js');
    const bytes = async (name) => new Uint8Array(await (await fetch(`/models/photorecall-s/${name}`)).arrayBuffer());
    const manifest = await bytes('manifest.json');
    const { files: listed } = JSON.parse(new TextDecoder().decode(manifest));
    const files = new Map(await Promise.all(Object.keys(listed).map(async (name) => [name, await bytes(name)])));
    files.get('image.onnx')[1000] ^= 1;
    const open = () => Library.open({ name: 'changed', model: { manifest, files }, workers: 1 });
    const told = () => open().then(() => 'opened', (error) => `${error.code}: ${error.message}`);
    const byEngine = await told();
    Object.defineProperty(crypto, 'subtle', { value: undefined, configurable: true });
    const byWasm = await told();
    delete crypto.subtle;
    return { expected: listed['image.onnx'].sha256, byEngine, byWasm };
  });
  assert.match(byEngine, /^model_file: model file image\.onnx: sha256 [0-9a-f]{64}, /);
  assert.ok(byEngine.includes(`its manifest says ${expected}`), byEngine);
  assert.equal(byWasm, byEngine);
});

test('a rename in a complete folder keeps the vector, what is gone is removed', async () => {
  const result = await guest.page.evaluate(async () => {
    const { Library } = await import('/photorecall/index.js');
    const library = await Library.open({ name: 'renames', modelUrl: '/models/photorecall-s/', workers: 1 });
    const draw = async (colour) => {
      const canvas = new OffscreenCanvas(200, 150);
      const pen = canvas.getContext('2d');
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 200, 150);
      return new File([await canvas.convertToBlob()], 'x.png', { lastModified: 1_600_000_000_000 });
    };
    const [red, blue] = [await draw('red'), await draw('blue')];
    await library.add([{ path: 'F/red.png', file: red }, { path: 'F/blue.png', file: blue }]);
    const before = await library.embedImage(red);
    const again = await library.add([{ path: 'F/new.png', file: red }], { completeFolder: 'F' });
    const { photos } = await library.list();
    const [best] = await library.search({ image: red, k: 1 });
    const thumbnail = await library.thumbnail('F/new.png');
    const damage = await library.verify();
    await library.destroy();
    return { again, paths: photos.map((p) => p.path), score: best.score, size: thumbnail?.size, damage, dim: before.length };
  });
  const { renamed, removed, added, unchanged, skipped } = result.again;
  assert.deepEqual({ renamed, removed, added, unchanged, skipped }, { renamed: 1, removed: 1, added: 0, unchanged: 0, skipped: [] });
  assert.deepEqual(result.paths, ['F/new.png']);
  assert.ok(result.score > 0.99 && result.size > 100 && result.dim > 0);
  assert.deepEqual(result.damage, []);
});
