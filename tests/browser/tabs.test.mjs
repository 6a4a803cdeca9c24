// Two tabs with one library: one writes, the other reads and follows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { added, choose, drawPhotos, shown, visitor, withBrowser } from './helpers.mjs';

let browser, host;

withBrowser(async (opened) => ({ browser, host } = opened));

test('a second tab shows what the first one does, and takes over when it is closed', async () => {
  const guest = await visitor(browser, host.url);
  const [first, ...more] = await drawPhotos(guest.page, 3);
  const choices = guest.page.getByRole('button', { name: 'Choose photos', exact: true });
  await choose(guest.page, () => choices.click(), [first]);
  await added(guest.page);
  const second = await guest.context.newPage();
  await second.goto(host.url);
  await second.locator('.toast', { hasText: 'Another tab has this library open' }).waitFor();
  assert.deepEqual(await shown(second), [first.name]);
  assert.equal(await second.locator('.menu').isVisible(), false, 'nothing can be added here');
  await choose(guest.page, async () => {
    await guest.page.getByRole('button', { name: 'Add photos' }).click();
    await choices.click();
  }, more);
  await second.locator('.tile').nth(2).waitFor();
  assert.equal((await shown(second)).length, 3);
  await guest.page.close();
  await second.locator('.menu').waitFor({ state: 'visible' });
  assert.equal((await shown(second)).length, 3);
  await guest.context.close();
});
