// The page and the package in Firefox, over WebDriver BiDi: `cargo xtask test-firefox` runs it with node's
// runner, and says where puppeteer is installed.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { serveSite } from './helpers.mjs';

const from = createRequire(join(process.env.PHOTORECALL_PUPPETEER, 'package.json'));
const { default: puppeteer } = await import(pathToFileURL(from.resolve('puppeteer-core')));

const VIEWPORTS = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };
const TIMEOUT = { timeout: 90_000 };

let browser, host, work;

before(async () => {
  work = mkdtempSync(join(tmpdir(), 'photorecall-firefox-'));
  host = await serveSite();
  browser = await puppeteer.launch({ browser: 'firefox', executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr', headless: true });
  console.log(await browser.version());
});
after(async () => {
  await browser?.close();
  host?.close();
  if (work) rmSync(work, { recursive: true, force: true });
});

/** A fresh visitor; requests to other hosts and errors are written down. */
async function visitor(viewport) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport(viewport);
  const [strangers, errors] = [[], []];
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith('http') && url.origin !== new URL(host.url).origin) strangers.push(url.href);
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(host.url);
  return { context, page, strangers, errors };
}

/** Colourful pictures as files on disk. */
async function draw(page, count) {
  const pictures = await page.evaluate(async (count) => {
    const all = [];
    for (let i = 0; i < count; i++) {
      const canvas = new OffscreenCanvas(240 + 20 * i, 200);
      const pen = canvas.getContext('2d');
      pen.fillStyle = `hsl(${i * 61} 70% 50%)`;
      pen.fillRect(0, 0, canvas.width, canvas.height);
      const blob = await canvas.convertToBlob({ type: 'image/png' });
      all.push([...new Uint8Array(await blob.arrayBuffer())]);
    }
    return all;
  }, count);
  return pictures.map((bytes, i) => {
    const path = join(work, `drawn-${i}.png`);
    writeFileSync(path, Buffer.from(bytes));
    return path;
  });
}

/** Clicks what a selector finds, as soon as it is there; puppeteer's locators meet the same policy. */
async function click(page, selector) {
  const found = await page.waitForSelector(selector, { ...TIMEOUT, visible: true });
  await found.click();
}

const button = (name) => `::-p-aria([name="${name}"][role="button"])`;
const shown = (page) => page.$$eval('.tile', (tiles) => tiles.map((tile) => tile.dataset.path));

/**
 * Waits until `holds` is true in the page. Puppeteer's own `waitForFunction` makes its function out of a string there,
 * which the page's policy forbids.
 */
async function until(page, holds, ...args) {
  for (const end = Date.now() + TIMEOUT.timeout; Date.now() < end; await new Promise((done) => setTimeout(done, 100))) {
    if (await page.evaluate(holds, ...args)) return;
  }
  throw new Error(`never true: ${holds} ${args}`);
}

const summary = (page, text) => until(page, (text) => document.querySelector('.summary')?.textContent.includes(text), text);

async function search(page, words) {
  await page.$eval('.search input', (input, words) => ((input.value = words), input.form.requestSubmit()), words);
  await summary(page, words);
}

for (const [name, viewport] of Object.entries(VIEWPORTS)) {
  test(`photos are added, found by words and by example, kept, removed and put back: ${name}`, { timeout: 240_000 }, async () => {
    const { context, page, strangers, errors } = await visitor(viewport);
    const pick = await page.waitForSelector('.welcome .line', TIMEOUT);
    const files = await draw(page, 6);
    await pick.click();
    const input = await page.waitForSelector('input[type=file]');
    await input.uploadFile(...files);
    await until(page, () => /^Done: 6 added/.test(document.querySelector('.progress .grow')?.textContent ?? ''));
    await summary(page, '6 photos');
    await search(page, 'something red');
    const found = await shown(page);
    assert.equal(found.length, 6);
    await click(page, '.tile button');
    await page.waitForSelector('dialog.viewer[open] img[src]');
    await click(page, button('More like this'));
    await summary(page, 'like this one');
    assert.equal((await shown(page)).length, 5);
    // A step within one document is no navigation that would end with a load.
    await page.evaluate(() => history.back());
    await summary(page, 'something red');
    await page.reload();
    await summary(page, 'something red');
    assert.deepEqual(await shown(page), found, 'the same after a reload');
    await click(page, '.tile button');
    await click(page, button('Remove'));
    await until(page, () => document.querySelectorAll('.tile').length === 5);
    await click(page, button('Undo'));
    await until(page, () => document.querySelectorAll('.tile').length === 6);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(wide, false, 'nothing is wider than the window');
    await context.close();
    assert.deepEqual([strangers, errors], [[], []]);
  });
}

test('the wasm kernels agree with the scalar ones', { timeout: 120_000 }, async () => {
  const { context, page } = await visitor(VIEWPORTS.desktop);
  const reports = await page.evaluate(async () => {
    const reports = [];
    for (const file of ['photorecall', 'relaxed/photorecall']) {
      const wasm = await import(`/photorecall/${file}.js`);
      const started = await wasm.default().then(() => true, (error) => String(error));
      reports.push({ file, started, ...(started === true && wasm.kernelsSelfTest()) });
    }
    return reports;
  });
  for (const { file, started, tables, mismatches } of reports) {
    console.log(`${file}: ${started === true ? tables.join(', ') : `not run: ${started}`}`);
    if (file === 'photorecall') assert.equal(started, true);
    assert.deepEqual(mismatches ?? [], []);
  }
  await context.close();
});

test('folders are chosen without a folder picker, with what is in them', { timeout: 120_000 }, async () => {
  const { context, page } = await visitor(VIEWPORTS.desktop);
  const pick = await page.waitForSelector('.welcome .solid', TIMEOUT);
  assert.equal(await page.evaluate(() => 'showDirectoryPicker' in window), false);
  await pick.click();
  const input = await page.waitForSelector('input[type=file]');
  assert.equal(await input.evaluate((element) => element.webkitdirectory), true);
  await context.close();
});
