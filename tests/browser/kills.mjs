// Tabs that are killed while they store: what was acknowledged is there, whole, and nothing twice.
//
// `node tests/browser/kills.mjs [COUNT]` kills so many (50); `cargo xtask test-kills` sets it up and runs it.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { launch, serveSite } from './helpers.mjs';

const MODEL = { name: 'kills', digest: 'd', dim: 16 };
/** A tab is killed at most so many milliseconds after it began to store. */
const KILLED_WITHIN_MS = 600;
/** Commits that a tab makes if it is left alone. */
const COMMITS = 60;

/** Numbers that every run has the same (Park and Miller 1988). */
function randomOf(seed) {
  let state = seed;
  return (below) => (state = (state * 48271) % 2147483647) % below;
}

/** What a tab is to do, and what is there after each commit. */
function plan(held, random, named) {
  const steps = [];
  let state = new Map(held);
  for (let i = 0; i < COMMITS; i++) {
    const paths = [...state.keys()];
    const some = () => Array.from({ length: 1 + random(20) }, () => paths[random(paths.length)]).filter(Boolean);
    const kind = random(10);
    const step = { put: [], remove: [], label: [], compact: kind === 9 };
    if (kind < 6 || paths.length < 10) step.put = Array.from({ length: 1 + random(300) }, () => `${named}/${i}-${random(4000)}.jpg`);
    else if (kind === 6) step.remove = some();
    else if (kind < 9) step.label = some();
    state = new Map(state);
    for (const path of step.put) state.set(path, state.get(path) ?? false);
    for (const path of step.remove) state.delete(path);
    for (const path of step.label) if (state.has(path)) state.set(path, true);
    steps.push({ step, state });
  }
  return steps;
}

/** Runs in the page: opens the library, and tells how it is. */
async function look([name, model]) {
  const wasm = await import('/photorecall/photorecall.js');
  await wasm.default();
  window.index = await wasm.Index.open(name, model);
  const { photos } = window.index.list(2 ** 31, 0);
  return { damaged: await window.index.verify(), held: photos.map(({ path, favourite = false }) => [path, favourite]) };
}

/** Runs in the page: one commit a step; each is told when it is acknowledged. */
async function work([steps, dim]) {
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647 - 0.5;
  for (const [at, { put, remove, label, compact }] of steps.entries()) {
    for (const path of put) {
      const vector = Float32Array.from({ length: dim }, random);
      const norm = Math.hypot(...vector);
      const photo = { path, bytes: 1, modifiedMs: at, digest: path, width: 4, height: 3 };
      window.index.put(photo, vector.map((x) => x / norm), new Uint8Array(500));
    }
    for (const path of remove) window.index.remove(path);
    window.index.label(label, { favourite: true });
    if (compact) {
      // Only what is stored is merged.
      await window.index.commit();
      const merged = window.index.merge(true);
      if (merged) window.index.adopt(merged.sources, merged.segment, merged.origins);
    }
    await window.index.commit();
    await window.acknowledged(at);
  }
}

const sorted = (state) => [...state].sort(([a], [b]) => (a < b ? -1 : 1));

/** Kills `count` tabs at random moments, by turns closed and crashed; returns what was found. */
export async function killTabs(browser, url, count, seed = 3) {
  const random = randomOf(seed);
  const context = await browser.newContext();
  const name = `kills-${seed}`;
  let held = new Map();
  const told = { kills: 0, commits: 0, photos: 0, unacknowledged: 0 };
  for (let round = 0; round <= count; round++) {
    const page = await context.newPage();
    let done = -1;
    await page.exposeFunction('acknowledged', (at) => void (done = at));
    await page.goto(url);
    const before = await page.evaluate(look, [name, MODEL]);
    assert.deepEqual(before.damaged, [], `round ${round}`);
    assert.equal(new Set(before.held.map(([path]) => path)).size, before.held.length, `round ${round}: a photo is there twice`);
    if (round > 0) {
      // The last commit may have been stored without having been told.
      const there = sorted(before.held);
      const matches = (state) => JSON.stringify(sorted(state)) === JSON.stringify(there);
      const isNext = held.next !== undefined && !matches(held.acknowledged) && matches(held.next);
      assert.ok(isNext || matches(held.acknowledged), `round ${round}: ${there.length} photos, not what was acknowledged`);
      told.unacknowledged += Number(isNext);
    }
    told.photos = before.held.length;
    if (round === count) break;
    const state = new Map(before.held);
    const steps = plan(state, random, `r${round}`);
    const running = page.evaluate(work, [steps.map(({ step }) => step), MODEL.dim]).catch(() => undefined);
    await Promise.race([running, new Promise((resolve) => setTimeout(resolve, random(KILLED_WITHIN_MS)))]);
    if (round % 2) {
      const session = await context.newCDPSession(page);
      await Promise.race([session.send('Page.crash').catch(() => undefined), new Promise((resolve) => page.once('crash', resolve))]);
    }
    await page.close();
    told.kills += 1;
    told.commits += done + 1;
    held = { acknowledged: done < 0 ? state : steps[done].state, next: steps[done + 1]?.state };
  }
  await context.close();
  return told;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [browser, host] = await Promise.all([launch(), serveSite()]);
  try {
    const { kills, commits, photos, unacknowledged } = await killTabs(browser, host.url, Number(process.argv[2] ?? 50));
    console.log(`${kills} tabs were killed after ${commits} commits; ${photos} photos, all that was acknowledged; ${unacknowledged} commits were stored and not yet told`);
  } finally {
    await browser.close();
    host.close();
  }
}
