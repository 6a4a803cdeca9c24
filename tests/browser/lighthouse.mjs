// Lighthouse over the built page, as a phone and as a desktop: `cargo xtask lighthouse` runs it, and says where
// Lighthouse is installed. Every score below LEAST is a failure.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { serveSite } from './helpers.mjs';

const LEAST = 95;
const CATEGORIES = ['performance', 'accessibility', 'best-practices'];
/** Performance is measured by time: the middle one of so many runs counts. */
const RUNS = 3;

const [installed, out] = process.argv.slice(2);
const from = createRequire(join(installed, 'package.json'));
const load = (name) => import(pathToFileURL(from.resolve(name)));
const { default: lighthouse, desktopConfig } = await load('lighthouse');
const { launch } = await load('chrome-launcher');

const host = await serveSite(undefined, {}, { compress: 'gzip' });
const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-component-update', '--disable-background-networking'];
const chrome = await launch({ chromePath: process.env.CHROMIUM ?? '/usr/bin/chromium', chromeFlags: flags });

/** One run: scores of a hundred, and the times that performance is made of. */
async function measure(config) {
  const { lhr } = await lighthouse(host.url, { port: chrome.port, onlyCategories: CATEGORIES, logLevel: 'error' }, config);
  if (lhr.runtimeError) throw new Error(lhr.runtimeError.message);
  const scores = Object.fromEntries(CATEGORIES.map((name) => [name, Math.round(100 * lhr.categories[name].score)]));
  const times = Object.fromEntries(
    ['first-contentful-paint', 'largest-contentful-paint', 'total-blocking-time', 'cumulative-layout-shift', 'speed-index'].map((id) => [id, lhr.audits[id].displayValue]),
  );
  const failed = CATEGORIES.flatMap((name) =>
    lhr.categories[name].auditRefs.filter(({ id, weight }) => weight > 0 && (lhr.audits[id].score ?? 1) < 0.9).map(({ id }) => `${id}: ${lhr.audits[id].title}`),
  );
  return { scores, times, failed };
}

const report = {};
for (const [name, config] of Object.entries({ phone: undefined, desktop: desktopConfig })) {
  const runs = [];
  for (let run = 0; run < RUNS; run++) runs.push(await measure(config));
  runs.sort((a, b) => a.scores.performance - b.scores.performance);
  const middle = runs[Math.floor(RUNS / 2)];
  report[name] = { ...middle, performance: runs.map(({ scores }) => scores.performance) };
  console.log(`${name}: ${CATEGORIES.map((id) => `${id} ${middle.scores[id]}`).join(', ')}; performance of ${RUNS} runs ${report[name].performance.join(', ')}`);
  console.log(`  ${Object.entries(middle.times).map(([id, value]) => `${id} ${value}`).join(', ')}`);
  for (const line of middle.failed) console.log(`  not full: ${line}`);
}
if (out) writeFileSync(out, JSON.stringify(report, undefined, 1));
await chrome.kill();
host.close();
const low = Object.values(report).flatMap(({ scores }) => Object.values(scores)).filter((score) => score < LEAST);
process.exitCode = low.length > 0 ? 1 : 0;
