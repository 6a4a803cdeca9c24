// A static host on loopback, as plain as they come.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
export const site = process.env.PHOTORECALL_SITE ?? join(root, 'target/www');

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

/** What hosts compress. */
const COMPRESSED = /\.(html|m?js|css|json|svg|wasm|webmanifest|txt)$/;
const ENCODERS = {
  gzip: (bytes) => gzipSync(bytes, { level: 9 }),
  // The highest level takes a minute for the largest files.
  br: (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }),
};

/** What a host has at an address: bytes, and a tag where they are a file's. */
function bodyAt(folder, answers, url) {
  const path = normalize(decodeURIComponent(url.pathname));
  const name = path.endsWith('/') ? `${path}index.html` : path;
  const file = join(folder, name);
  const other = answers[name];
  if (typeof other === 'function') return { name, body: Buffer.from(other(existsSync(file) ? readFileSync(file, 'utf8') : '', url)) };
  if (other !== undefined) return { name, body: Buffer.from(other) };
  const about = statSync(file, { throwIfNoEntry: false });
  if (!about?.isFile()) return undefined;
  return { name, body: readFileSync(file), tag: `"${about.mtimeMs.toString(36)}-${about.size}"` };
}

/**
 * Serves a folder; no header is sent that only some hosts send. `answers` has other bodies for some paths: a
 * text, bytes, or a function of the file's text and the whole address. With `compress` (`gzip` or `br`), text
 * and wasm are compressed, each once; `send` writes the bodies; `sent` counts their bytes.
 */
export async function serveSite(folder = site, answers = {}, { compress, compressed = new Map(), send = (response, body) => response.end(body) } = {}) {
  if (!existsSync(join(folder, 'index.html'))) throw new Error(`no site in ${folder}: run cargo xtask build-web`);
  const sent = { bytes: 0, files: [] };
  const answer = (request, response) => {
    const found = bodyAt(folder, answers, new URL(request.url, 'http://x'));
    if (!found) return response.writeHead(404).end();
    const { name, tag } = found;
    if (tag) response.setHeader('etag', tag);
    if (tag && request.headers['if-none-match'] === tag) return response.writeHead(304).end();
    response.setHeader('content-type', TYPES[extname(name)] ?? 'application/octet-stream');
    let { body } = found;
    if (compress && COMPRESSED.test(name)) {
      response.setHeader('content-encoding', compress);
      const key = `${compress} ${name}`;
      if (!compressed.has(key)) compressed.set(key, ENCODERS[compress](body));
      body = compressed.get(key);
    }
    sent.bytes += body.length;
    sent.files.push([name, body.length]);
    send(response, body);
  };
  const server = createServer((request, response) => {
    try {
      answer(request, response);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  // One that a failed test leaves behind does not keep its program alive.
  server.unref();
  return { url: `http://127.0.0.1:${server.address().port}/`, sent, close: () => server.close() };
}
