// The package's documentation: its examples run, and it leaves out no method and no error code.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { blocksOf, expectations, moduleOf } from './examples.mjs';
import { drawPhotos, serveSite, site, visitor, withBrowser } from './helpers.mjs';
import { root } from './host.mjs';

const npm = join(root, 'crate/npm');
const text = (path) => readFileSync(join(npm, path), 'utf8');
const api = text('docs/api.md');

/** A page with the import map that the documentation names, and the examples. */
const PAGE = `<!doctype html><meta charset="utf-8"><title>examples</title>
<script type="importmap">{ "imports": { "photorecall": "/photorecall/index.js" } }</script>
<input type="file" id="input" multiple>
<script type="module">
window.checked = [];
window.check = (line, value, expected) => checked.push([line, value, expected].map((part) => JSON.stringify(part) ?? 'undefined'));
window.run = (path) => import(path).then(() => 'done', (error) => String(error.stack ?? error));
</script>`;

const FILES = ['README.md', 'docs/api.md'];
const blocks = Object.fromEntries(FILES.map((path) => [path, blocksOf(text(path), 'js')]));
let browser, host;

withBrowser((opened) => ({ browser, host } = opened), {
  serve: () => serveSite(site, { '/examples.html': PAGE, ...Object.fromEntries(FILES.map((path) => [`/${path}.js`, moduleOf(blocks[path])])) }),
});

for (const path of FILES) {
  test(`the examples of ${path} do what they say`, async () => {
    const { page, strangers } = await visitor(browser, `${host.url}examples.html`);
    await page.locator('input').setInputFiles(await drawPhotos(page, 6));
    assert.equal(await page.evaluate((path) => window.run(`/${path}.js`), path), 'done');
    const checked = await page.evaluate(() => window.checked);
    for (const [line, value, expected] of checked) assert.equal(value, expected, line);
    assert.equal(checked.length, expectations(blocks[path]), 'every expectation was compared');
    assert.deepEqual(strangers, []);
  });
}

/** The public methods that a class of the package's types has. */
function methodsOf(name) {
  const types = readFileSync(join(npm, `dist/${name}.d.ts`), 'utf8');
  return [...types.matchAll(/^ {4}(?:static )?(\w+)\(/gm)].map(([, method]) => method).filter((method) => method !== 'constructor');
}

test('no method, no export and no error code goes without documentation', () => {
  const named = (word) => new RegExp(`\\b${word}\\b`).test(api);
  const methods = [...methodsOf('library'), ...methodsOf('model-store')];
  assert.ok(methods.length > 30, String(methods));
  const exported = [...text('src/index.ts').matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, names]) => names.split(',')).map((name) => name.trim());
  const values = exported.filter((name) => !name.startsWith('type '));
  assert.deepEqual([...methods, ...values].filter((name) => !named(name)), []);
  const code = (name) => (name === 'errors.ts' ? /(?:PhotorecallError\(|return )'([a-z_]+)'/g : /PhotorecallError\('([a-z_]+)'/g);
  const ours = readdirSync(join(npm, 'src')).flatMap((name) => [...text(`src/${name}`).matchAll(code(name))]);
  const [, body] = /fn code\(&self\)[^{]*\{([\s\S]*?)\n    \}/.exec(readFileSync(join(root, 'crate/src/error.rs'), 'utf8'));
  const theirs = [...body.matchAll(/=> "(\w+)"/g)];
  const codes = new Set([...ours, ...theirs].map(([, code]) => code));
  assert.ok(codes.size > 30, [...codes].join());
  const table = api.slice(api.indexOf('| `code` |'));
  assert.deepEqual([...codes].filter((code) => !table.includes(`\`${code}\``)), []);
});
