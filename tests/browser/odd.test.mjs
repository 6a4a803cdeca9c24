// Odd files from the test suites of decoders: each is indexed or refused with a reason, and the library
// is whole afterwards.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { added, choose, visitor, withBrowser } from './helpers.mjs';

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../../shared/odd');
const skip = existsSync(folder) ? false : '../shared/odd is not there';
if (skip) console.log(`NOT RUN: ${skip}`);

let browser, host;

withBrowser((opened) => ({ browser, host } = opened));

/** Samples the resident memory of Chromium's largest renderer process, bytes, as Linux tells it. */
function watchMemory() {
  let most = 0;
  const sample = () => {
    for (const process of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        if (!readFileSync(`/proc/${process}/cmdline`, 'latin1').includes('--type=renderer')) continue;
        const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${process}/status`, 'latin1'));
        most = Math.max(most, 1024 * Number(kib?.[1] ?? 0));
      } catch {
        // It ended meanwhile.
      }
    }
  };
  const timer = setInterval(sample, 300);
  return {
    end() {
      sample();
      clearInterval(timer);
      return most;
    },
  };
}

test('odd files are indexed or refused with a reason', { skip, timeout: 600_000 }, async () => {
  const { page, context, strangers } = await visitor(browser, host.url);
  await page.getByRole('button', { name: 'Choose a folder' }).waitFor({ timeout: 60_000 });
  const names = readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile());
  const memory = watchMemory();
  await choose(page, () => page.getByRole('button', { name: 'Choose a folder' }).click(), folder);
  const said = await added(page, 500_000);
  const most = memory.end();
  console.log(`most memory of a page and its workers: ${Math.round(most / 1e6)} MB`);
  assert.ok(most > 1e7 && most < 1e9);
  const count = Number(/^Done: ([\d,]+) added/.exec(said)[1].replace(',', ''));
  const skipped = await page.locator('.progress details li').allTextContents();
  console.log(`${names.length} files: ${count} indexed, ${skipped.length} refused`);
  assert.ok(count > 0 && skipped.length > 0);
  for (const line of skipped) {
    assert.match(line, /^odd\/.+: .{8,}/, 'a reason');
    assert.doesNotMatch(line, /unreachable|more than 60 s|undefined/, 'a crash or a hang');
  }
  await page.reload();
  await page.locator('.summary', { hasText: /photos/ }).waitFor({ timeout: 60_000 });
  await context.close();
  assert.deepEqual(strangers, []);
});
