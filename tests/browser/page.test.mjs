// The page end to end, as a visitor sees it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PHONE, added, choose, drawPhotos, end, folderOf, searchWords, shown, visitor, visitorWithPhotos, withBrowser } from './helpers.mjs';

let browser, host;

withBrowser((opened) => ({ browser, host } = opened));

const withPhotos = (count, options) => visitorWithPhotos(browser, host.url, count, options);

test('the first screen explains itself', async () => {
  const guest = await visitor(browser, host.url);
  await guest.page.getByText('Nothing leaves this device.').waitFor({ timeout: 60_000 });
  await guest.page.getByRole('button', { name: 'Choose a folder' }).waitFor();
  assert.equal(await guest.page.getByRole('search').isVisible(), false);
  await end(guest);
});

test('photos are indexed, found by words and by example, and there after a reload', async () => {
  const guest = await withPhotos(12);
  const { page, photos } = guest;
  await page.locator('.tile').nth(11).waitFor();

  await searchWords(page, 'a red circle');
  const scores = await page.locator('.tile').evaluateAll((tiles) => tiles.map((tile) => Number(tile.dataset.score)));
  assert.equal(scores.length, 12);
  assert.deepEqual(scores, [...scores].sort((a, b) => b - a), 'best first');
  const byWords = await shown(page);
  assert.match(page.url(), /\?q=a\+red\+circle$/);

  await choose(page, () => page.getByRole('button', { name: 'Search by a photo' }).click(), [photos[5]]);
  await page.locator('.summary', { hasText: 'like this one' }).waitFor();
  const [first] = await shown(page);
  assert.equal(first, photos[5].name, 'the photo itself is the most alike');
  assert.ok(Number(await page.locator('.tile').first().getAttribute('data-score')) > 0.98);

  await page.goBack();
  await page.locator('.summary', { hasText: 'a red circle' }).waitFor();
  await page.reload();
  await page.locator('.summary', { hasText: 'a red circle' }).waitFor({ timeout: 60_000 });
  assert.deepEqual(await shown(page), byWords, 'the same results after a reload');
  await page.locator('.tile img[src^="blob:"]').first().waitFor();
  await end(guest);
});

/** Drops or pastes a file, as a person's hand would. */
function give(page, kind, selector, { name, buffer }) {
  return page.evaluate(
    ([kind, selector, name, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/jpeg' }));
      const event =
        kind === 'drop'
          ? new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data })
          : new ClipboardEvent('paste', { bubbles: true, clipboardData: data });
      document.querySelector(selector).dispatchEvent(event);
    },
    [kind, selector, name, [...buffer]],
  );
}

test('dropped photos are added, one dropped on the search box or pasted is searched by', async () => {
  const guest = await withPhotos(5);
  const { page, photos } = guest;
  const [, , , , , sixth] = await drawPhotos(page, 6);
  await give(page, 'drop', '#main', sixth);
  await page.locator(`.tile[data-path="${sixth.name}"]`).waitFor();
  await give(page, 'drop', '.search', photos[2]);
  await page.locator('.summary', { hasText: 'like this one' }).waitFor();
  assert.equal((await shown(page))[0], photos[2].name);
  await page.goBack();
  await page.locator('.summary', { hasText: '6 photos' }).waitFor();
  await give(page, 'paste', 'body', photos[4]);
  await page.locator('.summary', { hasText: 'like this one' }).waitFor();
  assert.equal((await shown(page))[0], photos[4].name);
  await end(guest);
});

test('a folder is walked, what is no photo is named, and only changes are looked at again', async () => {
  const guest = await visitor(browser, host.url);
  const { page } = guest;
  await page.getByRole('button', { name: 'Choose a folder' }).waitFor({ timeout: 60_000 });
  const [one, two, three] = await drawPhotos(page, 3, 'image/png');
  const broken = { name: 'sub/broken.jpg', buffer: Buffer.from('this is no photo') };
  const { folder, remove } = folderOf('Holiday', [one, { ...two, name: `sub/${two.name}` }, broken, { name: 'notes.txt', buffer: Buffer.from('x') }]);
  try {
    await choose(page, () => page.getByRole('button', { name: 'Choose a folder' }).click(), folder);
    assert.match(await added(page), /^Done: 2 added/);
    await page.getByText('1 skipped').click();
    await page.getByText(/Holiday\/sub\/broken\.jpg: not an image/).waitFor();
    assert.deepEqual((await shown(page)).sort(), [`Holiday/${one.name}`, `Holiday/sub/${two.name}`]);
  } finally {
    remove();
  }
  const copy = { ...one, name: 'copy.png' };
  await choose(page, async () => {
    await page.getByRole('button', { name: 'Add photos' }).click();
    await page.getByRole('button', { name: 'Choose photos' }).click();
  }, [three, copy]);
  await page.getByText(/^Done: 2 added/).first().waitFor();
  await page.locator('.tile').nth(3).waitFor();
  await end(guest);
});

test('more like this, the viewer by keyboard, delete and undo', async () => {
  const guest = await withPhotos(6);
  const { page } = guest;
  await page.locator('.tile').nth(5).waitFor();
  const all = await shown(page);
  await page.locator('.tile button').first().focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: all[1] }).waitFor();
  await page.keyboard.press('ArrowRight');
  await page.getByRole('dialog', { name: all[2] }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });

  await page.locator('.tile button').first().click();
  await page.getByRole('button', { name: 'More like this' }).click();
  await page.locator('.summary', { hasText: 'like this one' }).waitFor();
  assert.equal((await shown(page)).includes(all[0]), false, 'the photo itself is left out');
  assert.equal(await page.locator('.tile').count(), 5);

  await page.goBack();
  await page.locator('.summary', { hasText: '6 photos' }).waitFor();
  await page.locator('.tile button').first().click();
  await page.getByRole('button', { name: 'Remove' }).click();
  await page.locator(`.tile[data-path="${all[0]}"]`).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.locator(`.tile[data-path="${all[0]}"]`).waitFor();

  await page.locator('.tile button').first().click();
  await page.getByRole('button', { name: 'Remove' }).click();
  await page.locator(`.tile[data-path="${all[0]}"]`).waitFor({ state: 'detached' });
  await page.reload();
  await page.locator('.summary', { hasText: '5 photos' }).waitFor({ timeout: 60_000 });
  assert.equal((await shown(page)).includes(all[0]), false, 'removed for good');
  await end(guest);
});

test('the network is not needed after the first visit', async () => {
  const guest = await withPhotos(4, { ...PHONE, offline: true });
  const { page, context } = guest;
  await page.evaluate(() => navigator.serviceWorker.ready);
  await context.setOffline(true);
  await page.reload();
  await page.locator('.tile').nth(3).waitFor({ timeout: 60_000 });
  await searchWords(page, 'a blue square');
  assert.equal(await page.locator('.tile').count(), 4);
  const [more] = await drawPhotos(page, 1, 'image/png');
  await choose(page, async () => {
    await page.getByRole('button', { name: 'Add photos' }).click();
    await page.getByRole('button', { name: 'Choose photos' }).click();
  }, [more]);
  assert.match(await added(page), /^Done: 1 added/);
  await context.close();
  assert.deepEqual(guest.strangers, []);
});

test('adding can be paused, searched meanwhile, resumed and cancelled', async () => {
  const guest = await visitor(browser, host.url);
  const { page } = guest;
  await page.getByRole('button', { name: 'Choose photos' }).waitFor({ timeout: 60_000 });
  const photos = await drawPhotos(page, 300);
  await choose(page, () => page.getByRole('button', { name: 'Choose photos' }).click(), photos);
  await page.locator('.tile').first().waitFor({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Pause' }).click();
  const said = page.locator('.progress .grow');
  await said.filter({ hasText: /^Paused at/ }).waitFor();
  await searchWords(page, 'something round');
  assert.ok((await page.locator('.tile').count()) > 0, 'searching works meanwhile');
  // What was in work when the pause began is finished; after that nothing moves.
  let before;
  for (let same = 0; same < 4; same++) {
    await page.waitForTimeout(150);
    const now = await said.textContent();
    if (now !== before) same = 0;
    before = now;
  }
  assert.match(before, /^Paused at [1-9]\d* of 300$/);
  await page.getByRole('button', { name: 'Resume' }).click();
  await said.filter({ hasText: /^Looking at photos/ }).waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  const [, count] = /Stopped: (\d+) added/.exec(await added(page));
  assert.ok(Number(count) > 0 && Number(count) < 300, `${count} of 300 photos before the stop`);
  await page.goto(host.url);
  await page.locator('.summary', { hasText: `${count} photos` }).waitFor({ timeout: 60_000 });
  await end(guest);
});
