// What every browser test needs: the site on loopback, Chromium, photos, and a watch over requests.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before } from 'node:test';
import { root, serveSite, site } from './host.mjs';

export { serveSite, site };

const { chromium } = createRequire(join(root, 'crate/npm/package.json'))('playwright-core');

/**
 * Gives a file's tests a browser and the site (or what `serve` serves), in `ready`, and takes them away
 * afterwards; does nothing where they are skipped.
 */
export function withBrowser(ready, { serve = serveSite, skip = false } = {}) {
  let browser, host;
  before(async () => {
    if (skip) return;
    [browser, host] = await Promise.all([launch(), serve()]);
    await ready({ browser, host });
  });
  after(async () => {
    await browser?.close();
    host?.close();
  });
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** What tells a phone from the desktop that a visitor has otherwise. */
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };
export const DEVICES = { phone: PHONE, desktop: {} };

/**
 * A fresh visitor: requests to other hosts (`friends` are none) and errors of the page are written down. `init` runs
 * in the page before its own scripts. Without `offline`, the service worker is kept from fetching everything twice.
 */
export async function visitor(browser, url, { friends = [], init, offline = false, ...options } = {}) {
  const serviceWorkers = offline ? 'allow' : 'block';
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 800 }, serviceWorkers, ...options });
  const strangers = [];
  const errors = [];
  context.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    const own = [url, ...friends].map((address) => new URL(address).origin);
    if (protocol.startsWith('http') && !own.includes(origin)) strangers.push(request.url());
  });
  const page = await context.newPage();
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  // Headless browsers have no folder dialog: the page's other way is taken.
  await page.addInitScript(() => delete window.showDirectoryPicker);
  if (init) await page.addInitScript(init);
  await page.goto(url);
  return { context, page, strangers, errors };
}

/** A button by its whole name. */
export const named = (page, name) => page.getByRole('button', { name, exact: true });

/** A fresh visitor with so many drawn photos in the library; `change` may change them before. */
export async function visitorWithPhotos(browser, url, count, { change = (photos) => photos, ...options } = {}) {
  const guest = await visitor(browser, url, options);
  const { page } = guest;
  const photos = change(await drawPhotos(page, count));
  await choose(page, () => named(page, 'Choose photos').click({ timeout: 60_000 }), photos);
  await added(page);
  return { ...guest, photos };
}

/** The visit ends: nothing was asked of other hosts, nothing went wrong on the console. */
export async function end({ context, strangers, errors }) {
  await context.close();
  assert.deepEqual(strangers, [], 'requests to other hosts');
  assert.deepEqual(errors, [], 'errors on the console');
}

/** Pictures that differ in colour and shape, drawn by the browser: name and bytes of each. */
export async function drawPhotos(page, count, type = 'image/jpeg') {
  const drawn = await page.evaluate(
    async ([count, type]) => {
      const pictures = [];
      for (let i = 0; i < count; i++) {
        const canvas = new OffscreenCanvas(320 + 40 * (i % 5), 300 - 20 * (i % 4));
        const pen = canvas.getContext('2d');
        pen.fillStyle = `hsl(${(i * 137) % 360} 60% ${30 + ((i * 29) % 50)}%)`;
        pen.fillRect(0, 0, canvas.width, canvas.height);
        pen.fillStyle = `hsl(${(i * 71 + 180) % 360} 80% 60%)`;
        if (i % 2) pen.fillRect(40 + i * 3, 50, 90 + i * 4, 120);
        else pen.arc(150, 130, 40 + ((i * 9) % 60), 0, 7), pen.fill();
        const blob = await canvas.convertToBlob({ type, quality: 0.9 });
        pictures.push([...new Uint8Array(await blob.arrayBuffer())]);
      }
      return pictures;
    },
    [count, type],
  );
  const ending = type === 'image/png' ? 'png' : 'jpg';
  return drawn.map((bytes, i) => ({
    name: `drawn-${String(i).padStart(3, '0')}.${ending}`,
    mimeType: type,
    buffer: Buffer.from(bytes),
  }));
}

/** Writes files into a new folder called `name`; returns its path, and how to remove it. */
export function folderOf(name, files) {
  const temporary = mkdtempSync(join(tmpdir(), 'photorecall-'));
  const folder = join(temporary, name);
  for (const file of files) {
    const path = join(folder, file.name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file.buffer);
  }
  return { folder, remove: () => rmSync(temporary, { recursive: true, force: true }) };
}

/** Clicks what opens a file dialog, and answers it. */
export async function choose(page, click, files) {
  const asked = page.waitForEvent('filechooser');
  await click();
  await (await asked).setFiles(files);
}

/** Waits until the page says that adding is over; returns what it says. */
export async function added(page, timeout = 120_000) {
  const said = page.locator('.progress .grow', { hasText: /^(Done|Stopped)/ });
  await said.waitFor({ timeout });
  return said.textContent();
}

/** The paths that the grid shows, in order. */
export function shown(page) {
  return page.locator('.tile').evaluateAll((tiles) => tiles.map((tile) => tile.dataset.path));
}

/** Searches by words; resolves when the results are there. */
export async function searchWords(page, words) {
  await page.getByRole('combobox').fill(words);
  await page.getByRole('combobox').press('Enter');
  await page.locator('.summary', { hasText: words }).waitFor();
}

/** Real photos of the machine that tests; none where they are not there, which is said. */
export function realPhotos(most) {
  const folder = join(root, '../shared/photos/images');
  if (!existsSync(folder)) {
    console.log('NOT RUN with real photos: ../shared/photos is not there');
    return [];
  }
  return readdirSync(folder)
    .sort()
    .slice(0, most)
    .map((name) => join(folder, name));
}
