// The site's scripts as few and small files: the package's modules in two entries and what they share, the
// page's in one; the glue of the wasm stays a file of its own.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';

const tsc = join(dirname(fileURLToPath(import.meta.url)), '../node_modules/typescript/bin/tsc');
const SMALL = { minify: true, target: 'es2022', charset: 'utf8' };
const BUNDLE = { ...SMALL, bundle: true, splitting: true, format: 'esm', metafile: true, logLevel: 'warning' };
const GLUE = ['photorecall.js', 'relaxed/photorecall.js'];

/** Every file below a folder, as addresses below it. */
export function files(folder) {
  const names = readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile());
  return names.map((name) => name.split(sep).join('/')).sort();
}

/** The types of a project, by TypeScript. */
export function check(project, ...options) {
  execFileSync(process.execPath, [tsc, '-p', project, ...options], { stdio: 'inherit' });
}

/** Bundles `site`, which has the package's modules in photorecall/; returns what a visit loads first. */
export async function bundle(site, app) {
  const shared = await bundlePackage(join(site, 'photorecall'));
  const own = await bundleApp(join(site, 'app'), app);
  for (const name of GLUE) await makeSmall(join(site, 'photorecall', name), 'js');
  await makeSmall(join(site, 'styles.css'), 'css');
  return [...own.map((name) => `app/${name}`), ...shared.map((name) => `photorecall/${name}`)];
}

async function bundlePackage(folder) {
  const { metafile } = await build({
    ...BUNDLE,
    absWorkingDir: folder,
    entryPoints: ['index.js', 'worker.js'],
    outdir: folder,
    external: GLUE.map((name) => `./${name}`),
    allowOverwrite: true,
  });
  for (const name of files(folder)) {
    if (!(name in metafile.outputs) && !GLUE.includes(name) && !name.endsWith('.wasm')) rmSync(join(folder, name));
  }
  return loadedFirst(metafile, 'index.js');
}

async function bundleApp(folder, project) {
  check(project, '--noEmit');
  mkdirSync(folder);
  // Without a bundler, a package's name is no address: that is put in its place.
  const address = { path: '../photorecall/index.js', external: true };
  const { metafile } = await build({
    ...BUNDLE,
    absWorkingDir: folder,
    entryPoints: [join(project, 'src/main.ts')],
    outdir: folder,
    plugins: [{ name: 'package', setup: (made) => made.onResolve({ filter: /^photorecall$/ }, () => address) }],
  });
  return loadedFirst(metafile, 'main.js');
}

/** An entry and the files that it cannot begin without. */
function loadedFirst({ outputs }, entry) {
  const needed = outputs[entry].imports.filter(({ kind, external }) => kind === 'import-statement' && !external);
  return [entry, ...needed.map(({ path }) => path)];
}

async function makeSmall(path, loader) {
  const { code } = await transform(readFileSync(path, 'utf8'), { ...(loader === 'js' && SMALL), loader, minify: true, charset: 'utf8' });
  writeFileSync(path, code);
}
