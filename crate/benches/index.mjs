// The browser's part of `cargo xtask bench index`: ours and a peer take turns in one page of headless Chromium, on its
// main thread. Standard input: what to measure, by index.py; each line of the output is JSON that tells what was found.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { launch, serveSite } from '../../tests/browser/helpers.mjs';
import { root } from '../../tests/browser/host.mjs';

const task = JSON.parse(readFileSync(0, 'utf8'));
const PACKAGES = ['hnswlib-wasm', 'edgevec'];
const TURN_MS = task.quick ? 500 : 1000;
/** For measuring recall once; all queries, where they do not take as long. */
const RECALL_MS = task.quick ? 2000 : 6000;
/** The slowest setting that is tried. */
const SLOWEST_MS = 20;

const tell = (n, what, told) => console.log(JSON.stringify({ n, what, ...told }));

/** The package's module for vectors, as `npm run build` compiles it: that needs the whole package. */
async function answers() {
  const npm = join(root, 'crate/npm');
  const { build } = createRequire(join(npm, 'package.json'))('esbuild');
  const options = { bundle: true, format: 'esm', write: false, external: ['./vectors/*'] };
  const { outputFiles } = await build({ ...options, entryPoints: [join(npm, 'src/vectors.ts')] });
  const names = ['photorecall.js', 'photorecall_bg.wasm'];
  const built = [...names, ...names.map((name) => `relaxed/${name}`)].map((name) => [
    `/photorecall/vectors/${name}`,
    readFileSync(join(npm, 'dist/vectors', name)),
  ]);
  const page = readFileSync(new URL('index_page.mjs', import.meta.url));
  return { ...Object.fromEntries(built), '/photorecall/vectors.js': outputFiles[0].text, '/bench.mjs': page };
}

/** CPU seconds that the pages' processes have taken so far; in hundredths. */
async function cpu(session) {
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  return processInfo.filter(({ type }) => type === 'renderer').reduce((sum, { cpuTime }) => sum + cpuTime, 0);
}

/** A page with the vectors of one size. */
class Bench {
  constructor(page, session, n) {
    Object.assign(this, { page, session, n });
  }

  call(name, ...args) {
    return this.page.evaluate(async ([name, args]) => (await import('/bench.mjs'))[name](...args), [name, args]);
  }

  async timed(name, ...args) {
    const before = await cpu(this.session);
    const answer = await this.call(name, ...args);
    return { answer, seconds: (await cpu(this.session)) - before };
  }

  /** Builds one of them, and tells how fast. */
  async build(key) {
    const manifest = join(task.folder, 'browser/node_modules', key, 'package.json');
    const version = PACKAGES.includes(key) ? JSON.parse(readFileSync(manifest, 'utf8')).version : undefined;
    const { answer, seconds } = await this.timed('build', key, version);
    const bytes = (await this.call('bytes', key)) ?? null;
    const told = { by: answer.name, rows_per_cpu_second: this.n / Math.max(seconds, 0.01) };
    // All of it is in the page's memory.
    const sizes = bytes && { bytes_per_vector: bytes, resident_bytes_per_vector: bytes };
    if (key !== 'scan') tell(this.n, 'built', { ...told, ...sizes });
    return { key, ...answer };
  }

  /** Recall, and how many queries make a turn. */
  async aim({ key }, query, setting) {
    const { recall, ms } = await this.call('recall', key, query, setting, RECALL_MS);
    return { key, query, setting, recall, ms, times: Math.max(1, Math.round(TURN_MS / ms)) };
  }

  async turn({ key, query, setting, times, recall }) {
    const { seconds } = await this.timed('turn', key, query, setting, times);
    return { recall, qps_cpu: times / Math.max(seconds, 0.01) };
  }

  /** One's settings, from fast to exact, until one is good or slow enough. */
  async sweep(contender, query) {
    const aims = [];
    const measured = [];
    for (const setting of contender.settings) {
      aims.push(await this.aim(contender, query, setting));
      measured.push(await this.turn(aims.at(-1)));
      if (aims.at(-1).recall >= task.enough || aims.at(-1).ms > SLOWEST_MS) break;
    }
    tell(this.n, 'swept', { by: contender.name, query, measured });
    return aims;
  }

  /** Ours and a peer in turns, for a kind of query. */
  async compare(ours, peer, query) {
    const aims = await this.sweep(peer, query);
    for (const [asked, promised] of Object.entries(task.levels)) {
      const mine = await this.aim(ours, query, asked);
      const wanted = Math.min(mine.recall, promised);
      const theirs = aims.find(({ recall }) => recall >= wanted) ?? aims.at(-1);
      const rounds = [];
      for (let round = 0; round < task.rounds; round++) rounds.push([await this.turn(mine), await this.turn(theirs)]);
      tell(this.n, 'compared', { query, asked, peer: peer.name, rounds });
    }
  }
}

async function measure(bench) {
  await bench.call('load', `/vectors/${bench.n}`, task.queries);
  const ours = await bench.build('ours');
  for (const query of Object.keys(task.queries)) await bench.sweep(ours, query);
  for (const key of [...PACKAGES, 'scan']) {
    try {
      const peer = await bench.build(key);
      for (const query of Object.keys(task.queries)) await bench.compare(ours, peer, query);
    } catch (error) {
      tell(bench.n, 'not run', { peer: key, why: error.message.split('\n')[0] });
    }
  }
}

writeFileSync(join(task.folder, 'index.html'), '<!doctype html><title>Vectors</title><link rel="icon" href="data:,">');
const [browser, host] = await Promise.all([launch(), answers().then((answers) => serveSite(task.folder, answers))]);
try {
  tell(0, 'chromium', { told: browser.version() });
  const session = await browser.newBrowserCDPSession();
  for (const n of task.sizes) {
    const page = await browser.newPage();
    page.on('console', (message) => message.type() === 'error' && console.error(message.text()));
    await page.goto(host.url);
    await measure(new Bench(page, session, n));
    await page.close();
  }
} finally {
  await browser.close();
  host.close();
}
