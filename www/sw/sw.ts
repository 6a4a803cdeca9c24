/**
 * The service worker: after the first visit the page works without a network.
 *
 * The build writes VERSION (a digest of all files), FILES (their addresses) and RELAXED_PROBE (the
 * package's test module) above this text, so that a new build is a new worker with a cache of its own.
 */
export {};
declare const self: ServiceWorkerGlobalScope;
declare const VERSION: string;
declare const FILES: readonly string[];
declare const RELAXED_PROBE: readonly number[];

const PREFIX = 'photorecall-';
const CACHE = PREFIX + VERSION;
/** What a server may answer differently at any time. */
const SERVED = /\/library\.json$/;

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(activate()));
self.addEventListener('message', (event) => {
  if (event.data === 'update') void self.skipWaiting();
});
self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  if (event.request.method === 'GET' && url.origin === self.location.origin) event.respondWith(answer(event.request));
});

async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  // Of the two wasm files a browser uses one.
  const relaxed = WebAssembly.validate(Uint8Array.from(RELAXED_PROBE));
  const other = relaxed ? 'photorecall/photorecall_bg.wasm' : 'relaxed/photorecall_bg.wasm';
  const used = FILES.filter((file) => !file.endsWith(other));
  // no-cache asks the host whether what the browser kept is still right.
  await cache.addAll(used.map((file) => new Request(file, { cache: 'no-cache' })));
}

async function activate(): Promise<void> {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request.mode === 'navigate' ? './' : request, { ignoreSearch: true });
  if (!kept) return fetch(request);
  if (!SERVED.test(new URL(request.url).pathname)) return kept;
  return fetch(request).catch(() => kept);
}
