// A few tabs are killed here; `cargo xtask test-kills` kills fifty.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withBrowser } from './helpers.mjs';
import { killTabs } from './kills.mjs';

let browser, host;

withBrowser(async (opened) => ({ browser, host } = opened));

test('what a killed tab has stored is there, and nothing twice', async () => {
  const { kills, photos } = await killTabs(browser, host.url, 4, 11);
  assert.equal(kills, 4);
  assert.ok(photos > 0);
});
