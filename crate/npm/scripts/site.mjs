// Makes the static site: the page compiled, the package, the shipped model, the service worker.
// PHOTORECALL_SITE names another folder than target/www; PHOTORECALL_HUB another model hub than the one in
// index.html, and after a space the hosts that it sends on to; an empty one is none. PHOTORECALL_ALBUM is a
// folder of photographs to try the page with, with an index.json that lists them.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundle, check, files } from './bundle.mjs';
import { withHub } from './hub.mjs';

const npm = join(dirname(fileURLToPath(import.meta.url)), '..');
const root = resolve(npm, '../..');
const site = resolve(process.env.PHOTORECALL_SITE ?? join(root, 'target/www'));

// Files of an older build would be kept for offline use for no reason.
rmSync(site, { recursive: true, force: true });
mkdirSync(site, { recursive: true });
cpSync(join(root, 'www/static'), site, { recursive: true });
// The page has no use for the index alone.
const used = (source) => !/dist\/vectors(\/|\.|$)/.test(source.split(sep).join('/'));
cpSync(join(npm, 'dist'), join(site, 'photorecall'), { recursive: true, filter: used });
const model = join(root, 'models/photorecall-s');
if (existsSync(model)) cpSync(model, join(site, 'models/photorecall-s'), { recursive: true });

const known = join(root, 'models/known');
cpSync(known, join(site, 'models/known'), { recursive: true });
writeFileSync(join(site, 'models/known/index.json'), JSON.stringify(readdirSync(known).sort()));

// Photographs to try the page with, where the builder has some.
const album = process.env.PHOTORECALL_ALBUM;
if (album) cpSync(album, join(site, 'album'), { recursive: true });

const scripts = await bundle(site, join(root, 'www'));
writePage(join(site, 'index.html'));

/** The page itself: what it loads first, so that no script waits for another; its hub, its album. */
function writePage(page) {
  const links = scripts.map((name) => `<link rel="modulepreload" href="${name}">`).join('\n  ');
  let html = readFileSync(page, 'utf8').replace('<link rel="modulepreload" href="app/main.js">', links);
  const named = process.env.PHOTORECALL_HUB;
  if (named !== undefined) html = withHub(html, ...named.split(' ').filter(Boolean));
  if (album) html = html.replace(/(<meta name="photorecall-album" content=")[^"]*/, '$1album/');
  writeFileSync(page, html);
}

// What the page needs offline, and a digest of it all: a new build is a new worker.
// The album is fetched when it is asked for.
const kept = files(site).filter((name) => !/\.d\.ts$|\.md$|(^|\/)LICENSE|^album\//.test(name));
const hash = createHash('sha256');
for (const name of kept) hash.update(name).update(readFileSync(join(site, name)));
check(join(root, 'www/sw'), '--outDir', site);
const { RELAXED_PROBE } = await import(pathToFileURL(join(npm, 'dist/relaxed.js')));
const worker = join(site, 'sw.js');
const code = readFileSync(worker, 'utf8');
hash.update(code);
const addresses = ['./', ...kept.filter((name) => name !== 'index.html')];
writeFileSync(
  worker,
  `const VERSION = '${hash.digest('hex').slice(0, 16)}';\nconst FILES = ${JSON.stringify(addresses)};\n` +
    `const RELAXED_PROBE = [${RELAXED_PROBE}];\n` +
    // A classic script has no exports.
    code.replace(/^export \{\};?$/m, ''),
);
console.log(`${relative(root, site) || site}: ${kept.length} files`);
