// The README's picture: the sample album, searched. `cargo xtask screenshot` runs it.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { added, choose, launch, searchWords, serveSite, visitor } from './helpers.mjs';

const [album, out, words] = process.argv.slice(2);
const [browser, host] = await Promise.all([launch(), serveSite()]);
const { page } = await visitor(browser, host.url, { viewport: { width: 1200, height: 720 }, colorScheme: 'light' });
const photos = readdirSync(album).map((name) => join(album, name));
await choose(page, () => page.getByRole('button', { name: 'Choose photos' }).click(), photos);
console.log(await added(page));
await searchWords(page, words);
await page.waitForFunction(() => {
  const pictures = [...document.querySelectorAll('.tile img')];
  return pictures.length > 0 && pictures.every((picture) => picture.complete && picture.naturalWidth > 0);
});
await page.screenshot({ path: out, type: 'jpeg', quality: 82 });
await browser.close();
host.close();
