// What the browser keeps: told, made lasting, written to a file and read from one, deleted; and a page that
// comes with another model than last time.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PHONE, choose, named, searchWords, serveSite, shown, site, visitor, visitorWithPhotos, withBrowser } from './helpers.mjs';
import { files, withModelHub } from './hub.mjs';

const binary = process.env.PHOTORECALL_BIN;
let browser, host, work;

withBrowser(async (opened) => {
  ({ browser, host } = opened);
  work = mkdtempSync(join(tmpdir(), 'photorecall-'));
}, { serve: withModelHub });
after(() => {
  rmSync(work, { recursive: true, force: true });
});

const settings = (page) => named(page, 'Settings').click();

const withPhotos = (count, url = host.url, options = {}) => visitorWithPhotos(browser, url, count, options);

/** Answers the page's next question with yes. */
function sayYes(page) {
  page.once('dialog', (dialog) => void dialog.accept());
}

async function exported(page, name) {
  const download = page.waitForEvent('download');
  await named(page, 'Export the library…').click();
  const file = join(work, name);
  await (await download).saveAs(file);
  return file;
}

test('a library goes out as one file and comes back as it was, after everything was deleted', async () => {
  const guest = await withPhotos(14, host.url, PHONE);
  const { page } = guest;
  await searchWords(page, 'a red circle');
  const expected = await shown(page);
  await settings(page);
  await page.getByText(/^14 photos\. [\d.]+ [kM]B used in this browser, [\d.,]+ [MG]B free\.$/).waitFor();
  const file = await exported(page, 'library.tar');

  sayYes(page);
  await named(page, 'Delete everything').click();
  await named(page, 'Choose photos').waitFor({ timeout: 60_000 });
  await settings(page);
  await choose(page, () => named(page, 'Import a library…').click(), file);
  await page.getByText(/^14 photos\. /).waitFor({ timeout: 60_000 });
  await named(page, 'Close').click();
  await searchWords(page, 'a red circle');
  assert.deepEqual(await shown(page), expected);
  await page.locator('.tile img[src^="blob:"]').nth(13).waitFor();
  await page.reload();
  await page.locator('.summary', { hasText: 'a red circle' }).waitFor({ timeout: 60_000 });
  assert.deepEqual(await shown(page), expected, 'and after a reload');
  await guest.context.close();
  assert.deepEqual(guest.strangers, []);
});

test('the browser is asked to keep the library, and what it says is told', async () => {
  const guest = await withPhotos(1);
  const { page, context } = guest;
  await settings(page);
  await page.getByText('The browser may clear this when the disk is full.').waitFor();
  await named(page, 'Keep it').click();
  await page.getByRole('alert').getByText('The browser did not agree.').waitFor();
  const session = await context.newCDPSession(page);
  const { targetInfo } = await session.send('Target.getTargetInfo');
  const { browserContextId } = targetInfo;
  await session.send('Browser.grantPermissions', { origin: new URL(host.url).origin, permissions: ['durableStorage'], browserContextId });
  await named(page, 'Keep it').click();
  await page.getByText('The browser keeps this until you delete it.').waitFor();
  assert.equal(await named(page, 'Keep it').isVisible(), false);
  await context.close();
});

test('the command line searches the unpacked file', { skip: !binary && 'PHOTORECALL_BIN does not name the command line' }, async () => {
  const folder = join(work, 'unpacked');
  execFileSync('mkdir', [folder]);
  execFileSync('tar', ['-xf', join(work, 'library.tar'), '-C', folder]);
  const found = execFileSync(binary, ['search', '--library', join(folder, 'library'), '--json', '-k', '14', 'a red circle']);
  assert.equal(JSON.parse(found).length, 14);
  assert.equal(readFileSync(join(folder, 'thumbs/drawn-003.jpg')).readUInt16BE(0), 0xffd8, 'a JPEG');
});

test('paths of any script and length go through the file', async () => {
  const guest = await visitor(browser, host.url);
  const paths = await guest.page.evaluate(async () => {
    const { Library } = await import('/photorecall/index.js');
    const modelUrl = '/models/photorecall-s/';
    const library = await Library.open({ name: 'paths', modelUrl, workers: 1 });
    const canvas = new OffscreenCanvas(40, 30);
    const draw = async (colour) => {
      const pen = canvas.getContext('2d');
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 40, 30);
      return new File([await canvas.convertToBlob()], 'x.png');
    };
    const paths = ['여행/제주 바다.png', `${'very long folder/'.repeat(12)}z.png`, 'x'.repeat(100), 'a.png'];
    for (const path of paths) await library.add([{ path, file: await draw(`hsl(${path.length} 80% 50%)`) }]);
    const file = await library.export();
    await library.destroy();
    const model = await Library.import(file, { name: 'again' });
    const again = await Library.open({ name: 'again', modelUrl, workers: 1 });
    const left = [];
    for (const path of paths) if ((await again.thumbnail(path))?.size > 100) left.push(path);
    await again.destroy();
    const code = (promise) => promise.then(() => 'none', (error) => error.code);
    const codes = [
      await code(Library.import(file.slice(0, file.size - 4000), { name: 'cut' })),
      await code(Library.import(new Blob(['no archive at all'.repeat(100)]), { name: 'text' })),
      await code(Library.import(new Blob([new Uint8Array(1024)]), { name: 'empty' })),
    ];
    const bytes = new Uint8Array(await file.arrayBuffer());
    const at = new TextDecoder('latin1').decode(bytes).indexOf('.segment') + 700;
    bytes[at] ^= 1;
    codes.push(await code(Library.import(new Blob([bytes]), { name: 'spoiled' })));
    const libraries = (await indexedDB.databases()).map(({ name }) => name).filter((name) => /photorecall:(cut|text|empty|spoiled|again)/.test(name));
    return { paths, left, codes, model: model.name, libraries };
  });
  assert.deepEqual(paths.left, paths.paths);
  assert.deepEqual(paths.codes, ['damaged', 'damaged', 'damaged', 'damaged']);
  assert.deepEqual([paths.model, paths.libraries], ['photorecall-s', []], 'nothing of a failed import stays');
  await guest.context.close();
});

test('a library of another model asks for that model; what is no library is refused', async () => {
  const guest = await withPhotos(5);
  const { page } = guest;
  await settings(page);
  await choose(page, () => named(page, 'Take a model from files…').click(), files);
  await named(page, 'Use: other').waitFor();
  sayYes(page);
  await named(page, 'Use: other').click();
  await page.locator('.models [data-model="other"]').getByText('in use', { exact: true }).waitFor({ timeout: 60_000 });
  const file = await exported(page, 'other.tar');
  await guest.context.close();

  const second = await visitor(browser, host.url);
  await named(second.page, 'Choose photos').waitFor({ timeout: 60_000 });
  await settings(second.page);
  const bring = (what) => choose(second.page, () => named(second.page, 'Import a library…').click(), what);
  await bring(file);
  await second.page.getByRole('alert').getByText('made with the model other; download that one first').waitFor();
  const text = join(work, 'text.tar');
  writeFileSync(text, 'no library '.repeat(200));
  await bring(text);
  await second.page.getByRole('alert').getByText(/cannot be used: not a whole library file/).waitFor();
  await choose(second.page, () => named(second.page, 'Take a model from files…').click(), files);
  await named(second.page, 'Use: other').waitFor();
  await bring(file);
  await second.page.getByText(/^5 photos\. /).waitFor({ timeout: 60_000 });
  await second.context.close();
});

test('a page with a new version of its model does the library again and loses nothing', async () => {
  const manifest = '/models/photorecall-s/manifest.json';
  const answers = {};
  const updated = await serveSite(site, answers);
  const guest = await withPhotos(12, updated.url, { serviceWorkers: 'block' });
  const { page } = guest;
  answers[manifest] = (text) => JSON.stringify({ ...JSON.parse(text), version: 'another' });
  await page.reload();
  await page.locator('.toast').getByText('This page has a new model').waitFor({ timeout: 60_000 });
  await page.locator('.progress').getByText('photorecall-s is in use now').waitFor({ timeout: 120_000 });
  await searchWords(page, 'a blue square');
  assert.equal((await shown(page)).length, 12);
  await page.reload();
  await page.locator('.summary', { hasText: 'a blue square' }).waitFor({ timeout: 60_000 });
  assert.equal((await shown(page)).length, 12);
  await guest.context.close();
  updated.close();
});
