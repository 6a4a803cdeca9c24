// A model hub on loopback: the shipped model's own files under another name, slow or broken as asked.
import { createServer } from 'node:http';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { withHub } from '../../crate/npm/scripts/hub.mjs';
import { serveSite, site } from './helpers.mjs';

const folder = join(site, 'models/photorecall-s');
const SOURCE = { repository: 'test/model', revision: 'r1' };

/** The shipped model's manifest, as that of a model called `name` which lies on a hub. */
export function manifestOf(name) {
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
  return JSON.stringify({ ...manifest, name, license: 'MIT', source: SOURCE });
}

/** The paths of the model's files on disk. */
export const files = Object.keys(JSON.parse(manifestOf('any')).files).map((name) => join(folder, name));

/** What they weigh together, as the page writes it. */
export const megabytes = (files.reduce((sum, path) => sum + statSync(path).size, 0) / 1e6).toFixed(1);

/**
 * A hub, and a site that knows it. `manners` may be changed at any time:
 * `pause` between pieces of 256 KiB in milliseconds, `breakAfter` so many bytes, `spoil` the bytes,
 * `ranges: false` for a hub that knows no ranges.
 */
export async function withModelHub(names = ['other']) {
  const manners = {};
  const asked = [];
  const hub = createServer((request, response) => void answer(request, response, manners, asked));
  await new Promise((resolve) => hub.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${hub.address().port}`;
  const answers = {
    '/index.html': (html) => withHub(html, url),
    '/models/known/index.json': JSON.stringify(names.map((name) => `${name}.json`)),
  };
  for (const name of names) answers[`/models/known/${name}.json`] = manifestOf(name);
  const host = await serveSite(site, answers);
  return { url: host.url, hub: url, manners, asked, close: () => (host.close(), hub.close(), hub.closeAllConnections()) };
}

async function answer(request, response, manners, asked) {
  response.setHeader('access-control-allow-origin', '*');
  if (request.method === 'OPTIONS') {
    return response.writeHead(204, { 'access-control-allow-headers': 'range' }).end();
  }
  const [, prefix, name] = /^(\/test\/model\/resolve\/r1)\/([\w.]+)$/.exec(request.url) ?? [];
  if (!prefix) return response.writeHead(404).end();
  const { range, referer, cookie } = request.headers;
  asked.push({ name, range, referer, cookie });
  const bytes = Buffer.from(readFileSync(join(folder, name)));
  if (manners.spoil) bytes[bytes.length >> 1] ^= 1;
  const from = manners.ranges === false ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  response.writeHead(from > 0 ? 206 : 200, { 'content-length': bytes.length - from });
  let sent = 0;
  for (let at = from; at < bytes.length; at += 1 << 18) {
    if (manners.breakAfter !== undefined && sent >= manners.breakAfter) {
      // What was written is on its way by then.
      return setTimeout(() => response.destroy(), 300);
    }
    const piece = bytes.subarray(at, at + (1 << 18));
    response.write(piece);
    sent += piece.length;
    if (manners.pause) await new Promise((resolve) => setTimeout(resolve, manners.pause));
    if (response.destroyed) return;
  }
  response.end();
}
