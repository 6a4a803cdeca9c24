// What a person says of photos, and finds them by: favourites, tags, albums, filters, suggestions; selecting many.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { PHONE, added, choose, drawPhotos, end, named, searchWords, shown, visitor, visitorWithPhotos, withBrowser } from './helpers.mjs';

let browser, host;

withBrowser((opened) => ({ browser, host } = opened));

const tile = (page, path) => page.locator(`.tile[data-path="${path}"]`);

/** A JPEG with the given EXIF: taken, camera, place. */
function withExif(jpeg) {
  const text = (value) => Buffer.from(`${value}\0`, 'latin1');
  const entries = [];
  const data = [];
  let free = 8;
  const ifd = (list, next = 0) => {
    const block = Buffer.alloc(2 + list.length * 12 + 4);
    block.writeUInt16LE(list.length, 0);
    list.forEach(([tag, type, count, value], i) => {
      const at = 2 + i * 12;
      block.writeUInt16LE(tag, at);
      block.writeUInt16LE(type, at + 2);
      block.writeUInt32LE(count, at + 4);
      if (Buffer.isBuffer(value)) value.copy(block, at + 8);
      else block.writeUInt32LE(value, at + 8);
    });
    block.writeUInt32LE(next, block.length - 4);
    return block;
  };
  const put = (bytes) => {
    const at = free;
    data.push(bytes);
    free += bytes.length;
    return at;
  };
  const rational = (...values) => Buffer.concat(values.map((value) => {
    const pair = Buffer.alloc(8);
    pair.writeUInt32LE(Math.round(value * 1000), 0);
    pair.writeUInt32LE(1000, 4);
    return pair;
  }));
  const [model, taken] = [text('Testcam 3'), text('2019:07:04 12:30:00')];
  const [latitude, longitude] = [rational(41, 54, 0), rational(12, 30, 0)];
  const exif = put(ifd([[0x9003, 2, taken.length, 0]]));
  data[0].writeUInt32LE(put(taken), 2 + 8);
  const gps = put(ifd([[1, 2, 2, Buffer.from('N\0')], [2, 5, 3, 0], [3, 2, 2, Buffer.from('E\0')], [4, 5, 3, 0]]));
  const gpsBlock = data.at(-1);
  gpsBlock.writeUInt32LE(put(latitude), 2 + 12 + 8);
  gpsBlock.writeUInt32LE(put(longitude), 2 + 36 + 8);
  entries.push([0x0110, 2, model.length, put(model)], [0x8769, 4, 1, exif], [0x8825, 4, 1, gps]);
  const root = put(ifd(entries));
  const header = Buffer.alloc(8);
  header.write('II*\0', 'latin1');
  header.writeUInt32LE(root, 4);
  const payload = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), header, ...data]);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(payload.length + 2);
  return Buffer.concat([jpeg.subarray(0, 2), Buffer.from([0xff, 0xe1]), size, payload, jpeg.subarray(2)]);
}

async function withPhotos(count, options) {
  const change = ([first, ...rest]) => [{ ...first, buffer: withExif(first.buffer) }, ...rest];
  const guest = await visitorWithPhotos(browser, host.url, count, { ...options, change });
  await guest.page.locator('.tile').nth(count - 1).waitFor();
  return { ...guest, paths: guest.photos.map(({ name }) => name) };
}

test('the panel tells what is known of a photo, and leads to others of its kind', async () => {
  const guest = await withPhotos(5);
  const { page, paths } = guest;
  await tile(page, paths[0]).getByRole('button').click();
  const facts = page.getByRole('complementary', { name: 'About this photo' });
  for (const part of [paths[0], '04/07/2019, 12:30:00', 'Testcam 3', '41.90000°, 12.50000°', '320 × 300', 'JPEG']) {
    await facts.getByText(part).first().waitFor();
  }
  const map = facts.getByRole('link', { name: 'Map' });
  assert.match(await map.getAttribute('href'), /^https:\/\/www\.openstreetmap\.org\/\?mlat=41\.90000&mlon=12\.50000/);
  assert.deepEqual([await map.getAttribute('target'), await map.getAttribute('rel')], ['_blank', 'noopener noreferrer']);
  await facts.getByRole('button', { name: 'Testcam 3' }).click();
  await page.locator('.summary', { hasText: 'camera:"Testcam 3"' }).waitFor();
  assert.deepEqual(await shown(page), [paths[0]]);
  await page.goBack();
  await page.locator('.summary', { hasText: '5 photos' }).waitFor();
  await tile(page, paths[1]).getByRole('button').click();
  await page.getByRole('dialog').press('i');
  await facts.waitFor({ state: 'detached' });
  await end(guest);
});

test('favourites, tags and albums: set in the viewer, found by filters, there after a reload', async () => {
  const guest = await withPhotos(6);
  const { page, paths } = guest;
  await tile(page, paths[2]).getByRole('button').click();
  await page.getByRole('dialog').press('f');
  await page.locator('.heart-button[aria-pressed="true"]').waitFor();
  const facts = page.getByRole('complementary');
  await facts.getByLabel('Tags: Add…').fill('two words');
  await facts.getByLabel('Tags: Add…').press('Enter');
  await facts.getByRole('button', { name: 'two words', exact: true }).waitFor();
  await facts.getByLabel('Albums: Add…').fill('Rome');
  await facts.getByLabel('Albums: Add…').press('Enter');
  await facts.getByRole('button', { name: 'Rome', exact: true }).waitFor();
  await page.keyboard.press('Escape');
  await tile(page, paths[2]).getByRole('img', { name: 'Favourite' }).waitFor();
  await page.reload();
  const filters = page.getByRole('group', { name: 'Filters' });
  await filters.getByRole('button', { name: 'Favourites' }).click();
  await page.locator('.summary', { hasText: 'is:favourite' }).waitFor();
  assert.deepEqual(await shown(page), [paths[2]]);
  assert.equal(await page.locator('.tile .score').count(), 0, 'filters alone give no score');
  await filters.getByRole('button', { name: 'two words' }).click();
  await page.waitForURL(/q=is%3Afavourite\+tag%3A%22two\+words%22/);
  await filters.getByRole('button', { name: 'Favourites', pressed: true }).waitFor();
  await filters.getByRole('button', { name: 'Favourites' }).click();
  await page.waitForURL(/q=tag%3A%22two\+words%22$/);
  await page.locator('.summary', { hasText: '“tag:' }).waitFor();
  // Faster than the page shows what the first of them finds.
  await filters.evaluate((row) => {
    const chips = [...row.querySelectorAll('button')];
    chips.filter((chip) => ['Favourites', 'Rome'].includes(chip.textContent)).forEach((chip) => chip.click());
  });
  await page.waitForURL(/q=tag%3A%22two\+words%22\+is%3Afavourite\+album%3ARome$/);
  await page.goBack();
  await page.goBack();
  await page.waitForURL(/q=tag%3A%22two\+words%22$/);
  await page.locator('.tile button').first().click();
  await page.getByRole('button', { name: 'Take off two words' }).click();
  await page.getByRole('button', { name: 'Take off two words' }).waitFor({ state: 'detached' });
  await page.keyboard.press('Escape');
  await page.getByText('Nothing found.').first().waitFor();
  await end(guest);
});

test('many photos are selected, labelled, listed in a file, removed, and put back', async () => {
  const guest = await withPhotos(9);
  const { page } = guest;
  const order = await shown(page);
  await named(page, 'Select').click();
  await page.locator('.tile button').nth(1).click();
  await page.locator('.tile button').nth(4).click({ modifiers: ['Shift'] });
  const bar = page.getByRole('region', { name: 'Selected photos' });
  await bar.getByText('4 selected').waitFor();
  assert.equal(await page.locator('.tile button[aria-pressed="true"]').count(), 4);
  await bar.getByLabel('Tag or album').fill('trip, 2019');
  await bar.getByRole('button', { name: 'Add to album' }).click();
  await page.getByText('4 photos changed').waitFor();

  const download = page.waitForEvent('download');
  await bar.getByRole('button', { name: 'List as CSV' }).click();
  const file = await download;
  assert.match(file.suggestedFilename(), /^photos-\d{4}-\d\d-\d\d\.csv$/);
  const lines = readFileSync(await file.path(), 'utf8').replace(/^\ufeff/, '').split('\r\n');
  assert.deepEqual([lines.length, lines[0].split(',')[0], lines.at(-1)], [6, 'path', '']);
  assert.deepEqual(lines.slice(1, 5).map((line) => line.split(',')[0]), order.slice(1, 5));
  const second = page.waitForEvent('download');
  await bar.getByRole('button', { name: 'List as JSON' }).click();
  const photos = JSON.parse(readFileSync(await (await second).path(), 'utf8'));
  assert.deepEqual(photos[0].albums, ['trip, 2019'], 'as they are now');
  assert.deepEqual(photos.map(({ path }) => path), order.slice(1, 5));
  assert.match(photos[0].digest, /^[0-9a-f]{64}$/);

  await bar.getByRole('button', { name: 'Remove' }).click();
  await page.locator('.summary', { hasText: '5 photos' }).waitFor();
  await page.keyboard.press('Control+z');
  await page.locator('.summary', { hasText: '9 photos' }).waitFor();
  await page.locator('.tile button').first().focus();
  await page.locator('.tile button').first().click({ modifiers: ['Control'] });
  await page.keyboard.press('Control+a');
  await bar.getByText('9 selected').waitFor();
  await page.keyboard.press('Escape');
  await bar.waitFor({ state: 'hidden' });
  await page.getByRole('group', { name: 'Filters' }).getByRole('button', { name: 'trip, 2019' }).click();
  await page.locator('.summary', { hasText: 'trip, 2019' }).waitFor();
  assert.deepEqual((await shown(page)).sort(), order.slice(1, 5).sort(), 'undo brings the labels back');
  await end(guest);
});

test('the search box offers recent searches and filters; dates said in words; a query that is none', async () => {
  const guest = await withPhotos(4);
  const { page } = guest;
  await searchWords(page, 'a red circle');
  await searchWords(page, 'something round');
  const box = page.getByRole('combobox');
  await box.fill('');
  const options = page.getByRole('listbox').getByRole('option');
  await options.first().waitFor();
  assert.deepEqual(await options.allTextContents(), ['something round', 'a red circle']);
  await box.press('ArrowDown');
  await box.press('ArrowDown');
  assert.equal(await box.getAttribute('aria-activedescendant'), 'suggestion-1');
  await box.press('Enter');
  await page.locator('.summary', { hasText: 'a red circle' }).waitFor();
  await box.fill('red test');
  await options.filter({ hasText: 'camera:"Testcam 3"' }).click();
  await page.waitForURL(/q=red\+camera%3A%22Testcam\+3%22/);
  await page.locator('.summary', { hasText: 'camera:' }).waitFor();
  assert.equal((await shown(page)).length, 1);
  await searchWords(page, 'circles in july 2019');
  await page.getByRole('button', { name: /in july 2019/ }).click();
  await page.waitForURL(/date%3A2019-07/);
  await page.locator('.summary', { hasText: 'date:2019-07' }).waitFor();
  assert.equal((await shown(page)).length, 1);
  await box.fill('date:tomorrowish');
  await box.press('Enter');
  await page.locator('.note').getByText(/date/).waitFor();
  await end(guest);
});

test('selected photos are copied into a folder, and nothing there is written over', async () => {
  // A folder of the browser's own stands for one of the reader's.
  const init = () => (window.showDirectoryPicker = async () => navigator.storage.getDirectory());
  const guest = await visitorWithPhotos(browser, host.url, 4, { ...PHONE, init });
  const { page, photos } = guest;
  await named(page, 'Select').click();
  await page.keyboard.press('Control+a');
  for (let time = 1; time <= 2; time++) {
    await page.getByRole('button', { name: 'Copy into a folder…' }).click();
    await page.locator('.progress.over').getByText('4 copied').waitFor();
    await named(page.locator('.progress.over'), 'Close').click();
  }
  const sizes = await page.evaluate(async () => {
    const sizes = {};
    for await (const [name, handle] of (await navigator.storage.getDirectory()).entries()) sizes[name] = (await handle.getFile()).size;
    return sizes;
  });
  const expected = photos.flatMap(({ name, buffer }) => [[name, buffer.length], [name.replace('.jpg', ' (2).jpg'), buffer.length]]);
  assert.deepEqual(sizes, Object.fromEntries(expected));
  await end(guest);
});

test('a finger goes through the photos', async () => {
  const guest = await withPhotos(4, PHONE);
  const { page, context } = guest;
  const order = await shown(page);
  await page.locator('.tile button').first().tap();
  await page.getByRole('dialog', { name: order[0] }).waitFor();
  const session = await context.newCDPSession(page);
  const swipe = async (from, to) => {
    await session.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [from] });
    await session.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: [to] });
    await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  };
  await swipe({ x: 300, y: 400 }, { x: 100, y: 410 });
  await page.getByRole('dialog', { name: order[1] }).waitFor();
  await swipe({ x: 100, y: 400 }, { x: 300, y: 410 });
  await page.getByRole('dialog', { name: order[0] }).waitFor();
  // A photo that is enlarged is moved, not left.
  await page.locator('.stage').dblclick({ position: { x: 150, y: 300 } });
  await page.locator('.stage.zoomed').waitFor();
  assert.ok(await page.locator('.stage').evaluate((stage) => stage.scrollWidth > stage.clientWidth), 'larger than the window');
  await swipe({ x: 300, y: 400 }, { x: 100, y: 410 });
  await page.getByRole('dialog', { name: order[0] }).waitFor();
  await page.keyboard.press('z');
  await page.locator('.stage:not(.zoomed)').waitFor();
  await swipe({ x: 200, y: 300 }, { x: 205, y: 500 });
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await end(guest);
});

test('photos that are there twice are found, the further copies selected, and removed with a way back', async () => {
  const guest = await withPhotos(6, PHONE);
  const { page } = guest;
  const views = page.getByRole('navigation', { name: 'Ways to look at the photos' });
  const chip = views.getByRole('button', { name: 'Duplicates' });
  const double = (await drawPhotos(page, 6))[4];
  await choose(page, async () => {
    await page.getByRole('button', { name: 'Add photos' }).click();
    await named(page, 'Choose photos').click();
  }, [{ ...double, name: 'copy.jpg' }]);
  await page.locator('.summary', { hasText: '7 photos' }).waitFor();
  await chip.click();
  await page.locator('.summary', { hasText: '1 photo is there more than once' }).waitFor();
  assert.deepEqual((await shown(page)).sort(), ['copy.jpg', double.name]);
  const bar = page.getByRole('region', { name: 'Selected photos' });
  await bar.getByText('1 selected').waitFor();
  await bar.getByRole('button', { name: 'Remove' }).click();
  await page.locator('.note').getByText('No photo is there more than once.').waitFor();
  await named(page, 'Undo').click();
  await page.locator('.summary', { hasText: 'more than once' }).waitFor();
  await views.getByRole('button', { name: 'All photos' }).click();
  await page.locator('.summary', { hasText: '7 photos' }).waitFor();
  await end(guest);
});
