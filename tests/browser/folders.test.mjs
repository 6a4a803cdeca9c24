// Folders that the browser remembers: looked through again on return, with what has changed in them. A folder of the
// browser's own stands for one of the reader's disk.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEVICES, added, drawPhotos, end, named, shown, visitor, withBrowser } from './helpers.mjs';

let browser, host;

withBrowser((opened) => ({ browser, host } = opened));

/** What the page finds in place of the browser's own folder dialog and of its asking for permission. */
function folderDialog() {
  window.showDirectoryPicker = async () => (await navigator.storage.getDirectory()).getDirectoryHandle('Holiday', { create: true });
  const { prototype } = FileSystemHandle;
  prototype.queryPermission = async () => localStorage.getItem('test.permission') ?? 'granted';
  prototype.requestPermission = async () => (localStorage.setItem('test.asked', 'yes'), 'granted');
}

/** Writes files into the folder; those without bytes are deleted. */
function change(page, files) {
  return page.evaluate(async (files) => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('Holiday', { create: true });
    for (const [name, bytes] of files) {
      if (!bytes) {
        await folder.removeEntry(name);
        continue;
      }
      const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
      await writable.write(new Uint8Array(bytes));
      await writable.close();
    }
  }, files.map(({ name, buffer }) => [name, buffer && [...buffer]]));
}

for (const [place, device] of Object.entries(DEVICES)) {
  test(`on return, a folder's new, changed, renamed and vanished photos are found: ${place}`, async () => {
    const guest = await visitor(browser, host.url, { ...device, init: folderDialog });
    const { page } = guest;
    const [one, two, three, four, five] = await drawPhotos(page, 5);
    await change(page, [one, two, three, four]);
    await named(page, 'Choose a folder').click();
    assert.match(await added(page), /^Done: 4 added/);
    const at = (name) => `Holiday/${name}`;
    assert.deepEqual((await shown(page)).sort(), [one, two, three, four].map(({ name }) => at(name)));

    await change(page, [{ ...one, buffer: five.buffer }, { name: two.name }, { name: three.name }, { ...three, name: 'renamed.jpg' }, { ...five, name: 'new.jpg' }]);
    await page.reload();
    assert.match(await added(page), /^Done: 2 added, 1 unchanged, 1 renamed, 1 gone/);
    await page.waitForFunction(() => document.querySelectorAll('.tile').length === 4);
    assert.deepEqual((await shown(page)).sort(), [at(one.name), at(four.name), at('new.jpg'), at('renamed.jpg')].sort());
    await named(page.locator('.progress'), 'Undo').click();
    await page.locator(`.tile[data-path="${at(two.name)}"]`).waitFor();

    // The photo itself comes from its folder, also in a later visit.
    await page.locator(`.tile[data-path="${at('renamed.jpg')}"] button`).click();
    await page.waitForFunction(() => document.querySelector('.stage img').naturalWidth > 320);
    assert.equal(await page.locator('.viewer footer').isVisible(), false, 'the photo itself');
    await page.keyboard.press('Escape');

    // Where the browser asks first, the page does so when it is told to.
    await change(page, [{ name: 'new.jpg' }]);
    await page.evaluate(() => localStorage.setItem('test.permission', 'prompt'));
    await page.reload();
    const offer = page.locator('.toast', { hasText: 'Look for changes in Holiday' });
    await offer.waitFor({ timeout: 60_000 });
    assert.equal(await page.evaluate(() => localStorage.getItem('test.asked')), null);
    await offer.getByRole('button').click();
    assert.match(await added(page), /^Done: 0 added, 3 unchanged, 2 gone/);
    assert.equal(await page.evaluate(() => localStorage.getItem('test.asked')), 'yes');
    await end(guest);
  });
}
