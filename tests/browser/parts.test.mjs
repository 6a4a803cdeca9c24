// A library that lies on a static host and is read in parts: HTTP ranges, kept in the browser, checked.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { test } from 'node:test';
import { searchWords, shown, visitor, withBrowser } from './helpers.mjs';
import { root, site } from './host.mjs';

/** Made by the native tests of ranges: photos that are not there, with vectors like a model's. */
const library = process.env.PHOTORECALL_RANGES ?? join(root, 'target/ranges');
const skip = existsSync(join(library, 'library.manifest')) ? false : `no library in ${library}: cargo test --release --test ranges makes it`;
if (skip) console.log(`NOT RUN: ${skip}`);

let browser, host;

/** A host of the page and the library: one that answers ranges or not, and may be made to lie. */
async function serveParts() {
  const sent = { requests: 0, bytes: 0 };
  const how = { ranges: true, lie: false };
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://x').pathname));
    const own = path.startsWith('/parts/library/');
    const file = own ? join(library, path.slice('/parts/library/'.length)) : join(site, path.endsWith('/') ? `${path}index.html` : path);
    if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
    const types = { html: 'text/html', js: 'text/javascript', css: 'text/css', wasm: 'application/wasm', json: 'application/json' };
    response.setHeader('content-type', types[file.split('.').at(-1)] ?? 'application/octet-stream');
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    let body = readFileSync(file);
    if (range && how.ranges) {
      response.writeHead(206, { 'content-range': `bytes ${range[1]}-${range[2]}/${body.length}` });
      body = Buffer.from(body.subarray(Number(range[1]), Number(range[2]) + 1));
      if (how.lie) body[body.length >> 1] ^= 1;
    }
    if (own) {
      sent.requests++;
      sent.bytes += body.length;
    }
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, sent, how, close: () => server.close() };
}

withBrowser((ready) => ({ browser, host } = ready), { serve: serveParts, skip });

test('a query reads a part of the library, the same again nothing', { skip }, async () => {
  const { sent, how, url } = host;
  const whole = ['0000', '0001', '0002'].reduce((sum, at) => sum + statSync(join(library, `00000001-${at}.segment`)).size, 0);
  const address = `${url}?library=parts/library&parts=1`;
  const { page, context } = await visitor(browser, address);
  await page.getByText('read in parts from their host').first().waitFor({ timeout: 60_000 });
  await searchWords(page, 'a dog on a beach');
  const found = await shown(page);
  assert.ok(found.length > 10 && found.every((path) => /^album \d+\/IMG_\d+\.jpg$|^new\.jpg$/.test(path)), found.join());
  const first = { ...sent };
  assert.ok(first.bytes < whole / 2, `${first.bytes} of ${whole} bytes`);

  // Kept in the browser: after a reload the manifest alone is asked for.
  await page.reload();
  await page.locator('.summary', { hasText: 'a dog on a beach' }).waitFor({ timeout: 60_000 });
  assert.deepEqual(await shown(page), found);
  assert.equal(sent.requests - first.requests, 1, 'the manifest');

  // What filters is told, in words.
  await page.getByRole('combobox').fill('is:favourite');
  await page.getByRole('combobox').press('Enter');
  await page.getByText(/a filter/).first().waitFor();

  // What is damaged in the browser is fetched again.
  const damaged = await page.evaluate(async () => {
    const open = indexedDB.open('photorecall-parts');
    await new Promise((resolve) => (open.onsuccess = resolve));
    const store = open.result.transaction('bytes', 'readwrite').objectStore('bytes');
    const keys = await new Promise((resolve) => (store.getAllKeys().onsuccess = ({ target }) => resolve(target.result)));
    const spans = keys.filter((key) => key.includes('.segment#'));
    for (const key of spans) store.put(new Uint8Array(4096), key);
    await new Promise((resolve) => (store.transaction.oncomplete = resolve));
    open.result.close();
    return spans.length;
  });
  assert.ok(damaged > 0);
  await page.goto(`${address}&q=${encodeURIComponent('a dog on a beach')}`);
  await page.getByRole('combobox').fill('a dog on a beach');
  await page.getByRole('combobox').press('Enter');
  await page.locator('.summary', { hasText: 'a dog on a beach' }).waitFor({ timeout: 60_000 });
  assert.deepEqual(await shown(page), found);

  // A host that sends something else is found out, and one that sends everything is not listened to.
  how.lie = true;
  await page.getByRole('combobox').fill('red flowers in the snow');
  await page.getByRole('combobox').press('Enter');
  await page.getByText(/checksum/).first().waitFor();
  how.lie = false;
  how.ranges = false;
  await page.getByRole('combobox').fill('an old red car');
  await page.getByRole('combobox').press('Enter');
  await page.getByText(/does not answer range requests/).first().waitFor();
  await context.close();
});
