// Who uses the page by keyboard or screen reader, in the dark or on a phone: axe finds nothing serious. And what
// the page promises of itself: its size, and whom it can reach.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { DEVICES, added, choose, drawPhotos, named, searchWords, site, visitor, withBrowser } from './helpers.mjs';

const axe = createRequire(fileURLToPath(new URL('../../crate/npm/package.json', import.meta.url))).resolve('axe-core/axe.min.js');
const source = readFileSync(axe, 'utf8');
/** The most that the page's own scripts may weigh, gzip: without the glue that wasm-bindgen writes. */
const MOST_SCRIPT = 60 * 1024;

let browser, host;

withBrowser((opened) => ({ browser, host } = opened));

/** What axe finds serious or worse, in one line each. */
async function serious(page, state) {
  const found = await page.evaluate(`${source}; axe.run(document, { resultTypes: ['violations'] })`);
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${state}: ${id} at ${target}: ${failureSummary.replace(/\s+/g, ' ')}`));
}


for (const [place, device] of Object.entries(DEVICES)) {
  for (const colorScheme of ['light', 'dark']) {
    test(`axe finds nothing serious: ${place}, ${colorScheme}`, async () => {
      const locale = colorScheme === 'dark' ? 'ko-KR' : 'en-GB';
      const guest = await visitor(browser, host.url, { ...device, colorScheme, locale, reducedMotion: 'reduce' });
      const { page } = guest;
      const [pick] = [page.locator('.welcome .line')];
      await pick.waitFor({ timeout: 60_000 });
      const found = await serious(page, 'welcome');
      await choose(page, () => pick.click(), await drawPhotos(page, 8));
      await page.locator('.progress.over').waitFor({ timeout: 60_000 });
      await page.locator('.tile img[src^="blob:"]').nth(7).waitFor();
      found.push(...(await serious(page, 'grid')));
      await page.locator('.add-button').click();
      found.push(...(await serious(page, 'menu')));
      await page.keyboard.press('Escape');
      await searchWords(page, 'a red circle');
      found.push(...(await serious(page, 'results')));
      for (const [at, view] of ['months', 'topics', 'duplicates'].entries()) {
        await page.locator('.view').nth(at + 1).click();
        await page.waitForURL(new RegExp(view));
        await page.locator(view === 'duplicates' ? '.note:not(:has-text("…"))' : '.card').first().waitFor({ timeout: 60_000 });
        found.push(...(await serious(page, view)));
      }
      await page.goBack();
      await page.goBack();
      await page.goBack();
      await page.locator('.tile').first().waitFor();
      await page.locator('.select').click();
      await page.locator('.tile button').first().click();
      found.push(...(await serious(page, 'selection')));
      await page.keyboard.press('Escape');
      await page.locator('.search input').fill('20');
      await page.locator('.suggestions li').first().waitFor();
      found.push(...(await serious(page, 'suggestions')));
      await page.keyboard.press('Escape');
      await page.locator('.tile button').first().click();
      await page.locator('.viewer .stage img[src]').waitFor();
      await page.keyboard.press('f');
      await page.locator('.heart-button[aria-pressed="true"]').waitFor();
      if (place === 'phone') await page.keyboard.press('i');
      await page.locator('.facts').waitFor();
      found.push(...(await serious(page, 'viewer')));
      await page.keyboard.press('Escape');
      await page.locator('.settings-button').click();
      await page.locator('.models li').nth(2).waitFor();
      found.push(...(await serious(page, 'settings')));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      assert.equal(wide, false, 'nothing is wider than the window');
      await guest.context.close();
      assert.deepEqual(found, []);
      assert.deepEqual([guest.strangers, guest.errors], [[], []]);
    });
  }
}

test('the whole way by keyboard: search, open, look further, close, settings', async () => {
  const guest = await visitor(browser, host.url);
  const { page } = guest;
  await named(page, 'Choose photos').waitFor({ timeout: 60_000 });
  await choose(page, () => named(page, 'Choose photos').press('Enter'), await drawPhotos(page, 6));
  await added(page);
  await page.getByRole('combobox').focus();
  await page.keyboard.type('a red circle');
  await page.keyboard.press('Enter');
  await page.locator('.summary', { hasText: 'a red circle' }).waitFor();
  const at = () => page.evaluate(() => document.activeElement.closest('li, button, dialog, a')?.className);
  for (let tabs = 0; tabs < 12 && (await at()) !== 'tile'; tabs++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(() => document.activeElement.closest('.tile'))) break;
  }
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  const name = await page.locator('.tile').nth(2).getAttribute('data-path');
  await page.getByRole('dialog', { name }).waitFor();
  await page.keyboard.press('Escape');
  await page.locator(`.tile[data-path="${name}"] button:focus`).waitFor();
  await named(page, 'Settings').press('Enter');
  await page.getByRole('dialog', { name: 'Settings' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), 'Settings', 'the focus is back');
  await guest.context.close();
});

test('the policy names this host and the hub, nothing else, and no script but our own', async () => {
  const html = readFileSync(join(site, 'index.html'), 'utf8');
  const policy = Object.fromEntries(
    /Content-Security-Policy" content="([^"]*)"/.exec(html)[1].split(';').map((part) => {
      const [name, ...sources] = part.trim().split(' ');
      return [name, sources];
    }),
  );
  const hub = new URL(/name="photorecall-hub" content="([^"]*)"/.exec(html)[1]);
  assert.deepEqual(policy['default-src'], ["'self'"]);
  assert.deepEqual(policy['script-src'], ["'self'", "'wasm-unsafe-eval'"]);
  assert.deepEqual(policy['connect-src'].slice(0, 2), ["'self'", hub.origin]);
  // The hub sends on to its own storage.
  for (const host of policy['connect-src'].slice(2)) assert.match(host, /^https:\/\/\*\.(huggingface\.co|hf\.co)$/);
  for (const sources of Object.values(policy)) assert.equal(sources.includes("'unsafe-inline'"), false);
  assert.doesNotMatch(html, /<script(?![^>]*\ssrc=)|<style|\son\w+=/, 'nothing inline');
});

test("the page's own scripts weigh little", () => {
  const scripts = (folder) =>
    readdirSync(join(site, folder), { recursive: true })
      .filter((name) => name.endsWith('.js') && statSync(join(site, folder, name)).isFile())
      .map((name) => [`${folder}/${name}`, gzipSync(readFileSync(join(site, folder, name)), { level: 9 }).length]);
  // A browser loads one of the two builds.
  const loaded = [...scripts('app'), ...scripts('photorecall')].filter(([name]) => !name.includes('/relaxed/'));
  const total = loaded.reduce((sum, [, bytes]) => sum + bytes, 0);
  const glue = loaded.find(([name]) => name === 'photorecall/photorecall.js')[1];
  console.log(`scripts, gzip: ${total} bytes in ${loaded.length} files, ${glue} of them wasm-bindgen's`);
  assert.ok(total - glue <= MOST_SCRIPT, `${total - glue} bytes`);
});
