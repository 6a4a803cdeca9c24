// Other models in the browser: fetched from a hub on loopback, broken off, gone on with, refused, taken
// from files; and the change from one model to another.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PHONE, choose, named, searchWords, visitor, visitorWithPhotos, withBrowser } from './helpers.mjs';
import { files, manifestOf, megabytes, withModelHub } from './hub.mjs';

let browser, host;

withBrowser((opened) => ({ browser, host } = opened), { serve: withModelHub });

/** A visitor at the settings; with photos in the library where asked. */
async function atSettings(count = 0, options = {}) {
  for (const key of Object.keys(host.manners)) delete host.manners[key];
  host.asked.length = 0;
  const friends = [host.hub];
  const guest = await (count > 0 ? visitorWithPhotos(browser, host.url, count, { friends, ...options }) : visitor(browser, host.url, { friends, ...options }));
  const { page } = guest;
  await page.getByRole('button', { name: 'Settings' }).click();
  await row(page).waitFor();
  return guest;
}

function row(page, name = 'other') {
  return page.locator(`.models [data-model="${name}"]`);
}

const download = (page) => page.getByRole('button', { name: /^(Download [\d.]+ MB|Go on): other$/ });
const ready = (page) => row(page).getByText('downloaded', { exact: true }).waitFor({ timeout: 60_000 });

async function end({ context, strangers }) {
  await context.close();
  assert.deepEqual(strangers, [], 'requests to other hosts');
}

test('a model is fetched on request only, without a trace of who asks, and can be deleted', async () => {
  const guest = await atSettings(0, PHONE);
  const { page } = guest;
  await page.getByText(`only when you press Download`).waitFor();
  await row(page).getByText(`${megabytes} MB · MIT`).waitFor();
  assert.deepEqual(host.asked, [], 'nothing was asked of the hub');
  await download(page).click();
  await ready(page);
  assert.equal(host.asked.length, files.length);
  for (const { referer, cookie } of host.asked) assert.deepEqual([referer, cookie], [undefined, undefined]);
  await page.reload();
  await page.getByRole('button', { name: 'Settings' }).click();
  await named(page, 'Delete: other').click();
  await download(page).waitFor();
  const left = await page.evaluate(async () => {
    const { ModelStore } = await import('/photorecall/index.js');
    const store = await ModelStore.open();
    const models = await store.list();
    store.close();
    return models.length;
  });
  assert.equal(left, 0);
  await end(guest);
});

test('a download is cancelled and gone on with where it was', async () => {
  const guest = await atSettings();
  const { page } = guest;
  host.manners.pause = 150;
  await download(page).click();
  // Pieces of 1 MiB are kept: of the first file, 2.7 MB, or of the second one, some are here then.
  await row(page).getByText(/^(1\.[2-9]|2\.[0-5]|3\.[89]|4\.\d) of [\d.]+ MB$/).waitFor({ timeout: 30_000 });
  await named(page, 'Cancel: other').click();
  await row(page).getByText(/of [\d.]+ MB downloaded/).waitFor();
  host.manners.pause = 0;
  host.asked.length = 0;
  await page.reload();
  await page.getByRole('button', { name: 'Settings' }).click();
  await download(page).click();
  await ready(page);
  assert.ok(host.asked.some(({ range }) => /^bytes=[1-9]\d+-$/.test(range ?? '')), 'only the rest was asked for');
  await end(guest);
});

test('a connection that breaks is told, and a hub without ranges starts anew', async () => {
  const guest = await atSettings();
  const { page } = guest;
  host.manners.breakAfter = 1 << 20;
  await download(page).click();
  await page.getByRole('alert').getByText(/did not work: .*(broke off|ended) after \d+ of \d+ bytes/).waitFor();
  host.manners.breakAfter = undefined;
  host.manners.ranges = false;
  await download(page).click();
  await ready(page);
  assert.equal(await page.getByRole('alert').isVisible(), false);
  await end(guest);
});

test('without a network the page says so', async () => {
  const guest = await atSettings();
  const { page, context } = guest;
  await context.setOffline(true);
  await download(page).click();
  await page.getByRole('alert').getByText('There is no network.').waitFor();
  await context.setOffline(false);
  await end(guest);
});

test('a file that is not the known one is refused with both digests and not kept', async () => {
  const guest = await atSettings();
  const { page } = guest;
  host.manners.spoil = true;
  await download(page).click();
  const told = page.getByRole('alert').getByText(/is not the file that is known: SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}/);
  await told.waitFor({ timeout: 60_000 });
  assert.equal(await named(page, 'Use: other').count(), 0);
  await end(guest);
});

test('too little room is told; what came is kept and gone on with', async () => {
  // What the service worker keeps would take the room.
  const guest = await atSettings(0, { serviceWorkers: 'block' });
  const { page, context } = guest;
  const session = await context.newCDPSession(page);
  await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(host.url).origin, quotaSize: 5_000_000 });
  await download(page).click();
  await page.getByRole('alert').getByText('There is not enough room').waitFor();
  await row(page).getByText(/^[1-4]\.\d of [\d.]+ MB downloaded/).waitFor();
  await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(host.url).origin, quotaSize: 50_000_000 });
  await download(page).click();
  await ready(page);
  await end(guest);
});

test('files from disk are recognised by their digests, others are refused', async () => {
  const guest = await atSettings();
  const { page } = guest;
  const other = { name: 'image.onnx', mimeType: 'application/octet-stream', buffer: Buffer.from('no model') };
  const pick = () => named(page, 'Take a model from files…').click();
  await choose(page, pick, [other]);
  await page.getByRole('alert').getByText(/none of the 1 files has the digest of a known model/).waitFor();
  await choose(page, pick, files.slice(1));
  await page.getByRole('alert').getByText(/no file of \d+ bytes with SHA-256/).waitFor();
  await choose(page, pick, files);
  await ready(page);
  const own = { name: 'manifest.json', mimeType: 'application/json', buffer: Buffer.from(manifestOf('my-own')) };
  const { readFileSync } = await import('node:fs');
  const { basename } = await import('node:path');
  const all = files.map((path) => ({ name: basename(path), mimeType: 'application/octet-stream', buffer: readFileSync(path) }));
  await choose(page, pick, [own, ...all]);
  await row(page, 'my-own').getByText('downloaded').waitFor();
  await named(page, 'Delete: my-own').click();
  await row(page, 'my-own').waitFor({ state: 'detached' });
  await row(page).getByText('downloaded').waitFor();
  assert.deepEqual(host.asked, [], 'the hub was not needed');
  await end(guest);
});

test('the browser keeps the page from any other host', async () => {
  const guest = await atSettings();
  const { page } = guest;
  const refused = await page.evaluate(async () => {
    const violation = new Promise((resolve) => addEventListener('securitypolicyviolation', (e) => resolve(e.effectiveDirective), { once: true }));
    const answer = await fetch('http://127.0.0.1:9/photo').then(() => 'answered', () => 'refused');
    return [answer, await violation];
  });
  assert.deepEqual(refused, ['refused', 'connect-src']);
  await end(guest);
});

/** How many photos the grid has, those beyond the window too. */
async function inGrid(page) {
  return Number(await page.locator('.tile').first().getAttribute('aria-setsize'));
}

/** Answers the page's question with yes. */
function sayYes(page) {
  page.once('dialog', (dialog) => void dialog.accept());
}

test('another model takes over in the background; searching goes on; a reload goes on with it', async () => {
  const guest = await atSettings(240); // enough that the change is not over before the reload
  const { page } = guest;
  await download(page).click();
  await ready(page);
  sayYes(page);
  await named(page, 'Use: other').click();
  await page.getByText(/^Preparing other: \d+ of 240/).waitFor();
  await named(page, 'Close').click();
  await searchWords(page, 'a red circle');
  assert.equal(await inGrid(page), 240, 'the old library is searched meanwhile');
  await page.reload();
  await page.locator('.grow', { hasText: 'other is in use now' }).waitFor({ timeout: 120_000 });
  // The old library goes when the new one is in use.
  const left = await page.waitForFunction(async () => {
    const names = (await indexedDB.databases()).map(({ name }) => name).filter((name) => /^photorecall:/.test(name));
    return names.length === 1 && names[0];
  });
  assert.match(await left.jsonValue(), /^photorecall:photos-[0-9a-f]{12}$/);
  await searchWords(page, 'something round');
  assert.equal(await inGrid(page), 240);
  await page.getByRole('button', { name: 'Settings' }).click();
  await row(page).getByText('in use', { exact: true }).waitFor();
  assert.equal(await named(page, 'Delete: other').count(), 0, 'what is in use cannot be deleted');
  sayYes(page);
  await named(page, 'Use: photorecall-s').click();
  await page.locator('.grow', { hasText: 'photorecall-s is in use now' }).waitFor({ timeout: 120_000 });
  await page.reload();
  await page.locator('.summary', { hasText: 'something round' }).waitFor({ timeout: 60_000 });
  assert.equal(await inGrid(page), 240);
  await end(guest);
});

test('a change of model can be cancelled: everything stays as it was', async () => {
  const guest = await atSettings(30);
  const { page } = guest;
  await choose(page, () => named(page, 'Take a model from files…').click(), files);
  await ready(page);
  sayYes(page);
  await named(page, 'Use: other').click();
  await named(page, 'Close').last().click();
  await page.locator('.progress:not(.over)').getByRole('button', { name: 'Cancel' }).click();
  await page.locator('.progress').getByText('The model was not changed.').waitFor();
  await page.waitForFunction(async () => (await indexedDB.databases()).filter(({ name }) => /^photorecall:/.test(name)).length === 1);
  await page.reload();
  await page.locator('.summary', { hasText: '30 photos' }).waitFor({ timeout: 60_000 });
  await end(guest);
});
