// Built natively, opened in the browser: `photorecall serve`, searched by the page itself. The same
// words give the same photos in the same order on both sides.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { drawPhotos, realPhotos, searchWords, serveSite, shown, site, visitor, withBrowser } from './helpers.mjs';

const run = promisify(execFile);
const binary = process.env.PHOTORECALL_BIN;
const skip = binary ? false : 'PHOTORECALL_BIN does not name the command line';
if (skip) console.log(`NOT RUN: ${skip}`);

let browser, work, library, server, url;

/** Real photos where they are, drawn ones elsewhere. */
async function photos() {
  const folder = join(work, 'photos');
  mkdirSync(folder);
  const real = realPhotos(40);
  for (const path of real) copyFileSync(path, join(folder, basename(path)));
  if (real.length > 0) return folder;
  const host = await serveSite();
  const guest = await visitor(browser, host.url);
  for (const { name, buffer } of await drawPhotos(guest.page, 20)) writeFileSync(join(folder, name), buffer);
  await guest.context.close();
  host.close();
  return folder;
}

withBrowser(async (opened) => {
  ({ browser } = opened);
  work = mkdtempSync(join(tmpdir(), 'photorecall-'));
  library = join(work, 'library');
  await run(binary, ['index', await photos(), '--library', library]);
  server = spawn(binary, ['serve', library, '--port', '0', '--app', site]);
  url = await new Promise((resolve, reject) => {
    server.stdout.on('data', (text) => {
      const address = /http:\S+/.exec(String(text));
      if (address) resolve(address[0]);
    });
    server.on('exit', (code) => reject(new Error(`serve ended with ${code}`)));
  });
}, { skip, serve: async () => undefined });
after(() => {
  server?.kill('SIGINT');
  if (work) rmSync(work, { recursive: true, force: true });
});

/** What the command line finds: paths, best first. */
async function natively(words, k) {
  const { stdout } = await run(binary, ['search', '--library', library, '-k', String(k), '--json', words]);
  return JSON.parse(stdout);
}

test('a served library opens and gives the same ranks as the command line', { skip }, async () => {
  const { page, context, strangers, errors } = await visitor(browser, url);
  await page.locator('.tile').first().waitFor({ timeout: 60_000 });
  await page.locator('.tile img[src^="blob:"]').first().waitFor();
  assert.equal(await page.getByRole('button', { name: 'Add photos' }).isVisible(), false, 'to search only');
  for (const words of ['a fish', 'a bird on a branch', 'something red', '개']) {
    await searchWords(page, words);
    const expected = await natively(words, 10);
    assert.deepEqual((await shown(page)).slice(0, 10), expected.map(({ path }) => path), words);
    const score = Number(await page.locator('.tile').first().getAttribute('data-score'));
    assert.ok(Math.abs(score - expected[0].score) < 1e-3, `${score} against ${expected[0].score}`);
  }
  await page.locator('.tile button').first().click();
  const large = page.getByRole('dialog').locator('.stage img');
  await page.waitForFunction((image) => image.naturalWidth > 0, await large.elementHandle());
  assert.match(await large.getAttribute('src'), /\/photos\//, 'the photo itself is shown');
  await context.close();
  assert.deepEqual([strangers, errors], [[], []]);
  const some = await fetch(`${url}library/library.manifest`, { headers: { range: 'bytes=0-7' } });
  assert.deepEqual([some.status, some.headers.get('content-range')?.slice(0, 10), await some.text()], [206, 'bytes 0-7/', 'PHOTOREC']);
});

test('a library that lies on a static host opens by its address', { skip }, async () => {
  const answers = { '/albums/library.json': JSON.stringify({ photos: 'photos/' }) };
  for (const name of readdirSync(library)) answers[`/albums/one/${name}`] = readFileSync(join(library, name));
  const folder = join(work, 'photos');
  for (const name of readdirSync(folder)) answers[`/albums/photos/${name}`] = readFileSync(join(folder, name));
  const host = await serveSite(site, answers);
  const { page, context, strangers, errors } = await visitor(browser, `${host.url}?library=albums/one`);
  await page.locator('.tile img[src^="blob:"]').first().waitFor({ timeout: 60_000 });
  await searchWords(page, 'a bird on a branch');
  const expected = await natively('a bird on a branch', 5);
  assert.deepEqual((await shown(page)).slice(0, 5), expected.map(({ path }) => path));
  assert.match(page.url(), /library=albums/, 'the address still names the library');
  await page.reload();
  await page.locator('.summary', { hasText: 'a bird on a branch' }).waitFor({ timeout: 60_000 });
  await context.close();
  // One that is not there is told.
  const lost = await visitor(browser, `${host.url}?library=nowhere`);
  await lost.page.getByText(/could not start: .*nowhere\/library\.manifest: 404/).waitFor({ timeout: 60_000 });
  await lost.context.close();
  host.close();
  assert.deepEqual([strangers, errors], [[], []]);
});
