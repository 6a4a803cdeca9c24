// Makes the static site: the page compiled, the package, the shipped model, the service worker.
// PHOTORECALL_SITE names another folder than target/www; PHOTORECALL_HUB another model hub than the one in
// index.html, and after a space the hosts that it sends on to; an empty one is none.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';
import { withHub } from './hub.mjs';

const npm = join(dirname(fileURLToPath(import.meta.url)), '..');
const root = resolve(npm, '../..');
const site = resolve(process.env.PHOTORECALL_SITE ?? join(root, 'target/www'));
const tsc = join(npm, 'node_modules/typescript/bin/tsc');

/** Every file below a folder, as addresses below it. */
function files(folder) {
  const names = readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile());
  return names.map((name) => name.split(sep).join('/')).sort();
}

function compile(project, out) {
  execFileSync(process.execPath, [tsc, '-p', join(root, project), '--outDir', out], { stdio: 'inherit' });
}

// Files of an older build would be kept for offline use for no reason.
rmSync(site, { recursive: true, force: true });
mkdirSync(site, { recursive: true });
cpSync(join(root, 'www/static'), site, { recursive: true });
cpSync(join(npm, 'dist'), join(site, 'photorecall'), { recursive: true });
const model = join(root, 'models/photorecall-s');
if (existsSync(model)) cpSync(model, join(site, 'models/photorecall-s'), { recursive: true });

const known = join(root, 'models/known');
cpSync(known, join(site, 'models/known'), { recursive: true });
writeFileSync(join(site, 'models/known/index.json'), JSON.stringify(readdirSync(known).sort()));

const page = join(site, 'index.html');
const named = process.env.PHOTORECALL_HUB;
if (named !== undefined) writeFileSync(page, withHub(readFileSync(page, 'utf8'), ...named.split(' ').filter(Boolean)));

// Without a bundler, a package's name is no address: that is put in its place.
compile('www', join(site, 'app'));
for (const name of files(join(site, 'app'))) {
  const path = join(site, 'app', name);
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll("from 'photorecall'", "from '../photorecall/index.js'"));
}

// Comments are for readers of the sources.
const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022, removeComments: true };
for (const name of files(site).filter((name) => name.endsWith('.js'))) {
  const path = join(site, name);
  writeFileSync(path, ts.transpileModule(readFileSync(path, 'utf8'), { compilerOptions: options }).outputText);
}

// What the page needs offline, and a digest of it all: a new build is a new worker.
const kept = files(site).filter((name) => !/\.d\.ts$|\.md$|(^|\/)LICENSE/.test(name));
const hash = createHash('sha256');
for (const name of kept) hash.update(name).update(readFileSync(join(site, name)));
compile('www/sw', site);
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
