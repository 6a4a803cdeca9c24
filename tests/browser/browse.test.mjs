// What a person does without a query, and what the page keeps of their choices, as a phone and as a desktop: the
// sample album at the first visit, months, topics, parts of a query as chips, language and colours, an update.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEVICES, end, named, searchWords, serveSite, shown, site, visitor, withBrowser } from './helpers.mjs';

let browser, host;

withBrowser((opened) => ({ browser, host } = opened));


/** The number in "12 photos". */
const countIn = (text) => Number(/^(\d+) photos?$/.exec(text)[1]);

for (const [place, options] of Object.entries(DEVICES)) {
  test(`the sample album is one click away, and is seen by month and by topic: ${place}`, async () => {
    const guest = await visitor(browser, host.url, options);
    const { page } = guest;
    await named(page, 'Try it with sample photos').click();
    await page.locator('.toast', { hasText: 'scikit-image' }).waitFor();
    await page.locator('.progress.over').getByText('Done: 17 added').waitFor({ timeout: 60_000 });

    await named(page, 'By month').click();
    await page.waitForURL(/browse=months/);
    await page.locator('.card').first().waitFor();
    const counts = await page.locator('.card > span').allTextContents();
    assert.equal(counts.reduce((sum, text) => sum + countIn(text), 0), 17, 'every photo has its month');
    const month = page.locator('.card').first();
    const inMonth = countIn(await month.locator('span').textContent());
    await month.click();
    await page.waitForURL(/q=date%3A\d{4}-\d\d$/);
    await page.locator('.tile').nth(inMonth - 1).waitFor();
    assert.equal(await page.locator('.tile').count(), inMonth);
    await page.goBack();
    await page.locator('.card').first().waitFor();

    await named(page, 'By topic').click();
    await page.waitForURL(/browse=topics/);
    // Years are the months' headings: the cards below are topics when there are none.
    await page.locator('.browse h2').first().waitFor({ state: 'detached' });
    const topic = page.locator('.card').nth(1);
    await topic.waitFor({ timeout: 60_000 });
    const [title, inTopic] = [await topic.locator('strong').textContent(), countIn(await topic.locator('span').textContent())];
    await topic.click();
    await page.locator('.summary', { hasText: `${title}: ${inTopic} photo` }).waitFor();
    const paths = await shown(page);
    assert.equal(paths.length, inTopic);
    await page.reload();
    await page.locator('.summary', { hasText: `${title}: ${inTopic} photo` }).waitFor({ timeout: 60_000 });
    assert.deepEqual(await shown(page), paths, 'the address leads to the same photos');
    assert.equal(await page.locator('.view[aria-current="page"]').textContent(), 'By topic');
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    await named(page, 'All photos').click();
    await page.locator('.summary', { hasText: '17 photos' }).waitFor();
    // The topics' words are offered when they have been found out, which the page does when it has nothing else to do.
    const offered = page.getByRole('option', { name: title, exact: true });
    for (let tries = 0; tries < 40 && !(await offered.isVisible()); tries++) {
      await page.getByRole('combobox').fill('');
      await page.getByRole('combobox').fill(title.slice(0, 3));
      await page.waitForTimeout(250);
    }
    await offered.waitFor();
    await end(guest);
  });

  test(`what a query leaves out and filters by can be taken away; a name that fits is told: ${place}`, async () => {
    const guest = await visitor(browser, host.url, options);
    const { page } = guest;
    await named(page, 'Try it with sample photos').click();
    await page.locator('.progress.over').waitFor({ timeout: 60_000 });
    await searchWords(page, 'coffee - people walking type:png not path:moon');
    const filters = page.getByRole('group', { name: 'Filters' });
    for (const part of ['− people walking', 'type:png', 'not path:moon']) await filters.getByRole('button', { name: `Take away ${part}` }).waitFor();
    assert.equal((await shown(page)).some((path) => /moon|\.jpg/.test(path)), false);
    await filters.getByRole('button', { name: 'Take away − people walking' }).click();
    await page.waitForURL(/q=coffee\+type%3Apng\+not\+path%3Amoon$/);
    await filters.getByRole('button', { name: 'Take away not path:moon' }).click();
    await page.waitForURL(/q=coffee\+type%3Apng$/);
    await page.locator('.tile[data-path="Sample album/coffee.png"]').getByRole('note', { name: 'Higher because of its name, album or tag' }).waitFor();
    assert.deepEqual(await page.locator('.score', { hasText: '%' }).count(), 0, 'between words and photos there is no percentage');
    await page.locator('.tile[data-path="Sample album/coffee.png"] button').click();
    await named(page, 'More like this').click();
    await page.locator('.score', { hasText: '%' }).first().waitFor();
    const percents = (await page.locator('.score').allTextContents()).map((text) => Number.parseInt(text, 10));
    assert.deepEqual(percents, [...percents].sort((a, b) => b - a), 'percentages fall');
    await end(guest);
  });

  test(`language and colours are chosen and kept; a tag that is taken off comes back: ${place}`, async () => {
    const guest = await visitor(browser, host.url, { ...options, colorScheme: 'light' });
    const { page } = guest;
    await named(page, 'Try it with sample photos').click();
    await page.locator('.progress.over').waitFor({ timeout: 60_000 });
    const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await paper();
    await named(page, 'Settings').click();
    await page.getByLabel('Colours').selectOption('Dark');
    assert.notEqual(await paper(), light);
    await page.getByLabel('Language').selectOption('한국어');
    await page.locator('.summary', { hasText: '사진 17장' }).waitFor({ timeout: 60_000 });
    assert.notEqual(await paper(), light, 'dark after a reload');
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'ko');
    await page.locator('.tile button').first().click();
    if (place === 'phone') await page.keyboard.press('i');
    const tag = page.getByLabel('태그: 추가…');
    await tag.fill('sea');
    await tag.press('Enter');
    await named(page, 'sea 떼기').click();
    await named(page, 'sea 떼기').waitFor({ state: 'detached' });
    await named(page, '되돌리기').click();
    await named(page, 'sea 떼기').waitFor();
    await end(guest);
  });
}

test('a new version is told, and comes when it is asked for', async () => {
  const answers = {};
  const changing = await serveSite(site, answers);
  const guest = await visitor(browser, changing.url, { offline: true });
  const { page } = guest;
  await named(page, 'Choose photos').waitFor();
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await named(page, 'Choose photos').waitFor();
  answers['/sw.js'] = (text) => text.replace(/VERSION = '/, "VERSION = 'next");
  answers['/index.html'] = (text) => text.replace('<title>', '<title>New ');
  await page.evaluate(async () => (await navigator.serviceWorker.getRegistration()).update());
  await page.locator('.toast', { hasText: 'A new version is ready.' }).waitFor({ timeout: 60_000 });
  assert.equal(await page.title(), 'Photorecall', 'nothing changes by itself');
  await named(page, 'Reload').click();
  await page.waitForFunction(() => document.title === 'New Photorecall');
  const caches = await page.evaluate(() => caches.keys());
  assert.deepEqual(caches.length, 1, 'the old version is let go of');
  await end(guest);
  changing.close();
});
