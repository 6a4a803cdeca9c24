// Photos that the engine's own decoder reads, which the module does not know; and large JPEGs, which the module decodes at a part of their size.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from './host.mjs';
import { added, choose, end, named, realPhotos, searchWords, shown, visitor, withBrowser } from './helpers.mjs';

let browser, host;

withBrowser((opened) => ({ browser, host } = opened));

const avif = { name: 'sun.avif', mimeType: 'image/avif', buffer: readFileSync(join(root, 'tests/data/sun.avif')) };

test('an AVIF is indexed, shown and found by its kind, with what its EXIF says', { timeout: 120_000 }, async () => {
  const guest = await visitor(browser, host.url);
  const { page } = guest;
  const broken = { ...avif, name: 'broken.avif', buffer: avif.buffer.subarray(0, 400) };
  await choose(page, () => named(page, 'Choose photos').click({ timeout: 60_000 }), [avif, broken]);
  assert.match(await added(page), /^Done: 1 added/);
  const skipped = await page.locator('.progress details li').allTextContents();
  assert.equal(skipped.length, 1);
  assert.match(skipped[0], /^broken\.avif: .*AVIF/);
  await searchWords(page, 'type:avif');
  assert.deepEqual(await shown(page), ['sun.avif']);
  await page.locator('.tile img').first().waitFor();
  await page.locator('.tile button').first().click();
  const facts = page.locator('dialog.viewer');
  await facts.getByText('160 × 120').waitFor();
  await facts.getByText('Test Camera').waitFor();
  await end(guest);
});

/** In the page: the least cosine between a large JPEG's vector and that of all of its pixels, as the engine sees them, from a PNG. */
async function leastCosine(files) {
  const { Library } = await import('/photorecall/index.js');
  const library = await Library.open({ name: 'platform', modelUrl: '/models/photorecall-s/', workers: 1 });
  const cosines = [];
  for (const jpeg of files) {
    const bitmap = await createImageBitmap(jpeg);
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext('2d').drawImage(bitmap, 0, 0);
    const [a, b] = [await library.embedImage(jpeg), await library.embedImage(await canvas.convertToBlob({ type: 'image/png' }))];
    cosines.push(a.reduce((sum, x, i) => sum + x * b[i], 0));
  }
  await library.close();
  return Math.min(...cosines);
}

test('a large JPEG has nearly the same vector as all pixels that the engine sees in it', { timeout: 240_000 }, async () => {
  const guest = await visitor(browser, host.url);
  const { page } = guest;
  const some = realPhotos(300).filter((_, i) => i % 25 === 0);
  await page.evaluate(() => document.body.append(Object.assign(document.createElement('input'), { type: 'file', multiple: true, id: 'real' })));
  await page.locator('#real').setInputFiles(some);
  const cosines = await page.evaluate(`(async () => {
    const files = [];
    // Drawn ones with fine lines, which a careless reduction turns into patterns; and real ones, enlarged.
    for (let i = 0; i < 4; i++) {
      const canvas = new OffscreenCanvas(2400, 1800);
      const pen = canvas.getContext('2d');
      pen.fillStyle = 'hsl(' + 80 * i + ' 60% 60%)';
      pen.fillRect(0, 0, 2400, 1800);
      pen.fillStyle = 'hsl(' + (80 * i + 170) + ' 70% 30%)';
      for (let x = 0; x < 2400; x += 7 + 4 * i) pen.fillRect(x, 300 * i, 3, 900);
      pen.arc(1200, 900, 300 + 100 * i, 0, 7);
      pen.fill();
      files.push(await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 }));
    }
    for (const file of document.querySelector('#real').files) {
      const small = await createImageBitmap(file);
      const canvas = new OffscreenCanvas(1600, Math.round((1600 * small.height) / small.width));
      canvas.getContext('2d').drawImage(small, 0, 0, canvas.width, canvas.height);
      files.push(await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 }));
    }
    return { photos: files.length, least: await (${leastCosine})(files) };
  })()`);
  console.log(`${cosines.photos} photos: least cosine ${cosines.least.toFixed(5)}`);
  assert.ok(cosines.least >= 0.99 && cosines.least < 0.9999999, 'close, and not of the same pixels');
  await end(guest);
});

test('a large JPEG stands upright, with its own size', { timeout: 120_000 }, async () => {
  const guest = await visitor(browser, host.url);
  const photo = await guest.page.evaluate(async () => {
    const canvas = new OffscreenCanvas(1600, 1200);
    const pen = canvas.getContext('2d');
    pen.fillStyle = 'red';
    pen.fillRect(0, 0, 800, 1200);
    const jpeg = new Uint8Array(await (await canvas.convertToBlob({ type: 'image/jpeg' })).arrayBuffer());
    // EXIF with one entry, orientation 6: turned a quarter to the right to be seen.
    const exif = [0xff, 0xe1, 0, 34, ...new TextEncoder().encode('Exif\0\0II'), 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0];
    const file = new File([jpeg.subarray(0, 2), new Uint8Array(exif), jpeg.subarray(2)], 'turned.jpg', { type: 'image/jpeg' });
    const { Library } = await import('/photorecall/index.js');
    const library = await Library.open({ name: 'turned', modelUrl: '/models/photorecall-s/', workers: 1 });
    await library.add([file]);
    const { width, height } = await library.photo('turned.jpg');
    const small = await createImageBitmap(await library.thumbnail('turned.jpg'));
    const seen = new OffscreenCanvas(small.width, small.height).getContext('2d');
    seen.drawImage(small, 0, 0);
    const at = (y) => seen.getImageData(small.width / 2, y * small.height, 1, 1).data[0];
    await library.close();
    return { width, height, small: [small.width, small.height], top: at(0.2) > 200, bottom: at(0.8) < 60 };
  });
  assert.deepEqual(photo, { width: 1200, height: 1600, small: [240, 320], top: true, bottom: true });
  await end(guest);
});
