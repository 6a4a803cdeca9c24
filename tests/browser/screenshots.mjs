// The README's pictures: the page's main states, with the sample album; and the page's icon in the sizes that phones
// ask for. `cargo xtask screenshot` runs it.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { choose, launch, searchWords, serveSite, visitor } from './helpers.mjs';

const [album, out] = process.argv.slice(2);
mkdirSync(out, { recursive: true });
const [browser, host] = await Promise.all([launch(), serveSite()]);
const DESKTOP = { viewport: { width: 1200, height: 720 }, colorScheme: 'light' };
const ICONS = new URL('../../www/static/', import.meta.url).pathname;
const ICON_SIZES = [180, 512];
const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: 'dark', hasTouch: true };

/** Waits for every picture that is in sight, then writes down what there is to see. */
async function shoot(page, name) {
  await page.waitForFunction(() =>
    [...document.querySelectorAll('.tile img, .card img, dialog[open] .stage img')]
      .filter((picture) => picture.getBoundingClientRect().top < innerHeight)
      .every((picture) => picture.complete && picture.naturalWidth > 0),
  );
  // Pictures fade in.
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished)));
  await page.screenshot({ path: join(out, `${name}.jpg`), type: 'jpeg', quality: 80 });
  console.log(name);
}

/** Phones cut an icon's corners themselves: its own are filled. */
async function drawIcon(size) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  const icon = readFileSync(join(ICONS, 'icon.svg'), 'utf8');
  const ground = icon.match(/<rect width="64" height="64"[^>]*fill="([^"]+)"/)[1];
  await page.setContent(`<style>html { background: ${ground} } body { margin: 0 }</style>${icon}`);
  await page.screenshot({ path: join(ICONS, `icon-${size}.png`) });
  await page.close();
}

async function withAlbum(options) {
  const { page } = await visitor(browser, host.url, options);
  const sample = page.getByRole('button', { name: 'Try it with sample photos' });
  await sample.waitFor();
  if (options === DESKTOP) await shoot(page, 'welcome');
  await sample.click();
  if (options === DESKTOP) {
    await page.locator('.progress .grow', { hasText: 'a second' }).waitFor({ timeout: 60_000 });
    await page.locator('.tile').first().waitFor();
    await page.screenshot({ path: join(out, 'indexing.jpg'), type: 'jpeg', quality: 80 });
  }
  await page.locator('.progress.over').waitFor({ timeout: 120_000 });
  await page.getByRole('button', { name: 'Close', exact: true }).click();
  await page.evaluate(() => document.querySelector('.toasts').replaceChildren());
  return page;
}

for (const size of ICON_SIZES) await drawIcon(size);
const page = await withAlbum(DESKTOP);
await searchWords(page, 'a red flower');
await shoot(page, 'results');
await page.locator('.tile button').first().click();
await shoot(page, 'viewer');
await page.keyboard.press('Escape');
await page.getByRole('button', { name: 'By topic' }).click();
await page.locator('.card').nth(1).waitFor({ timeout: 60_000 });
await shoot(page, 'topics');
const copies = ['coffee.png', 'china.jpg', 'rocket.jpg'].map((name) => ({ name: `copy of ${name}`, mimeType: 'image/png', buffer: readFileSync(join(album, name)) }));
await choose(page, async () => {
  await page.getByRole('button', { name: 'Add photos' }).click();
  await page.getByRole('button', { name: 'Choose photos' }).click();
}, copies);
await page.locator('.progress.over').waitFor({ timeout: 60_000 });
await page.getByRole('button', { name: 'Close', exact: true }).click();
await page.getByRole('button', { name: 'Duplicates' }).click();
await page.locator('.summary', { hasText: 'more than once' }).waitFor();
await shoot(page, 'duplicates');
const phone = await withAlbum(PHONE);
await searchWords(phone, 'a cup of coffee');
await shoot(phone, 'phone-dark');
await browser.close();
host.close();
