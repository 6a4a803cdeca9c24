// A hundred thousand photos in the page: few tiles in the document, all of them within reach.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { searchWords, visitor, withBrowser } from './helpers.mjs';
import { fillLibrary } from './large.mjs';

const COUNT = 100_000;
/** Tiles in the window and about a thousand pixels above and below it. */
const MOST_TILES = 220;

let browser, host, guest, page;

withBrowser(async (opened) => {
  ({ browser, host } = opened);
  guest = await visitor(browser, host.url);
  ({ page } = guest);
  // The page's own library must not be open while another hand fills it: a place without one is visited.
  await page.goto(`${host.url}styles.css`);
  await fillLibrary(page, COUNT);
  const begun = Date.now();
  await page.goto(host.url);
  await page.locator('.summary', { hasText: '100,000 photos' }).waitFor({ timeout: 120_000 });
  await page.locator('.tile[data-path="many/000000.jpg"]').waitFor();
  console.log(`${COUNT} photos: the page shows them after ${Date.now() - begun} ms`);
});

const place = () => page.evaluate(() => document.activeElement.closest('li')?.dataset.path);
const focused = (path) => page.locator(`.tile[data-path="${path}"] button:focus`).waitFor();
const tiles = () => page.locator('.tile').count();

/** Whether the focused tile is wholly in the window, below the bar. */
function inSight() {
  return page.evaluate(() => {
    const box = document.activeElement.closest('li').getBoundingClientRect();
    const bar = document.querySelector('.bar').getBoundingClientRect();
    return box.top >= bar.bottom && box.bottom <= innerHeight;
  });
}

test('Home, End, Page Up, Page Down and the arrows reach every photo, few tiles are made', async () => {
  await page.locator('.tile button').first().focus();
  await page.keyboard.press('End');
  await focused('many/099999.jpg');
  assert.ok(await inSight());
  assert.ok((await tiles()) <= MOST_TILES, `${await tiles()} tiles`);
  await page.keyboard.press('ArrowLeft');
  await focused('many/099998.jpg');
  await page.keyboard.press('Home');
  await focused('many/000000.jpg');
  assert.ok(await inSight());
  await page.keyboard.press('ArrowDown');
  await page.waitForFunction(() => document.activeElement.closest('li')?.dataset.path > 'many/000000.jpg');
  await page.keyboard.press('ArrowUp');
  await focused('many/000000.jpg');
  let before = await place();
  for (let press = 0; press < 20; press++) {
    await page.keyboard.press('PageDown');
    await page.waitForFunction((path) => document.activeElement.closest('li')?.dataset.path > path, before);
    assert.ok(await inSight());
    before = await place();
    assert.ok((await tiles()) <= MOST_TILES, `${await tiles()} tiles`);
  }
  assert.ok(Number(/\d+/.exec(before)) > 150, `${before} after twenty pages`);
  await page.keyboard.press('PageUp');
  await page.waitForFunction((path) => document.activeElement.closest('li')?.dataset.path < path, before);
  await page.keyboard.press('Home');
  await focused('many/000000.jpg');
});

test('one tile can be tabbed to, and each says its place to screen readers', async () => {
  assert.equal(await page.locator('.tile button[tabindex="0"]').count(), 1);
  const first = page.getByRole('list').getByRole('listitem').first();
  assert.deepEqual(await first.evaluate((li) => [li.ariaSetSize, li.ariaPosInSet]), [String(COUNT), '1']);
  await page.evaluate(() => scrollTo(0, 1_000_000));
  await page.waitForFunction(() => document.querySelectorAll('.tile').length > 20);
  await page.evaluate(() => document.activeElement.blur());
  await page.evaluate(() => scrollBy(0, 10));
  await page.waitForFunction(() => {
    const tabbed = document.querySelector('.tile button[tabindex="0"]')?.getBoundingClientRect();
    return tabbed && tabbed.bottom > -300 && tabbed.top < innerHeight;
  });
  const order = await page.locator('.tile').evaluateAll((all) => all.map((li) => Number(li.ariaPosInSet)));
  assert.deepEqual(order, [...order].sort((a, b) => a - b), 'in the document as in the list');
});

test('nothing moves while scrolling, and few tiles are made', async () => {
  await page.evaluate(() => scrollTo(0, 0));
  const told = await page.evaluate(async () => {
    const height = document.documentElement.scrollHeight;
    let shift = 0;
    let longest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((e) => (shift += e.value))).observe({ type: 'layout-shift' });
    new PerformanceObserver((list) => list.getEntries().forEach((e) => (longest = Math.max(longest, e.duration)))).observe({ type: 'longtask' });
    let most = 0;
    for (let step = 0; step < 60; step++) {
      scrollTo(0, (height * step) / 60);
      await new Promise(requestAnimationFrame);
      await new Promise((resolve) => setTimeout(resolve, 20));
      most = Math.max(most, document.querySelectorAll('.tile').length);
    }
    return { shift, longest, most, same: height === document.documentElement.scrollHeight };
  });
  console.log(`60 jumps: longest task ${Math.round(told.longest)} ms, at most ${told.most} tiles, layout shift ${told.shift}`);
  assert.equal(told.shift, 0);
  assert.ok(told.same, 'the height is known from the beginning');
  assert.ok(told.most <= MOST_TILES);
});

test('a search of so many photos goes on at its end', async () => {
  await page.evaluate(() => scrollTo(0, 0));
  await searchWords(page, 'a red boat');
  await page.locator('.tile').first().waitFor();
  const height = () => page.evaluate(() => document.querySelector('.grid').clientHeight);
  const before = await height();
  await page.locator('.tile button').first().focus();
  await page.keyboard.press('End');
  await page.waitForFunction((before) => document.querySelector('.grid').clientHeight > before, before);
  const scores = await page.locator('.tile').evaluateAll((all) => all.map((li) => Number(li.dataset.score)));
  assert.deepEqual(scores, [...scores].sort((a, b) => b - a));
  assert.ok((await tiles()) <= MOST_TILES);
  assert.deepEqual(guest.strangers, []);
  await guest.context.close();
});
