// In the page of `cargo xtask bench index`: ours, the browser's peers and a plain scan over the same vectors. index.mjs
// imports this into headless Chromium, and measures from outside what it takes.
const K = 10;
const WIDTHS = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048];
/** Where npm puts the peers, below the served folder. */
const PEERS = '/browser/node_modules/';

const queries = {};
const contenders = {};
let base, dim;

/** The values of an `.npy` file of two dimensions, and its width. */
async function npy(url, Values) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  const bytes = await response.arrayBuffer();
  const start = 10 + new DataView(bytes).getUint16(8, true);
  const header = new TextDecoder().decode(new Uint8Array(bytes, 10, start - 10));
  return { values: new Values(bytes, start), width: Number(/'shape': \(\d+, (\d+)\)/.exec(header)[1]) };
}

const vector = (values, at) => values.subarray(at * dim, (at + 1) * dim);

/** Fetches the vectors of a folder, and the queries with their true neighbours. */
export async function load(folder, names) {
  ({ values: base, width: dim } = await npy(`${folder}/base.npy`, Float32Array));
  for (const [kind, name] of Object.entries(names)) {
    const { values } = await npy(`${folder}/${name}.npy`, Float32Array);
    const { values: truth } = await npy(`${folder}/${name}.truth.npy`, Int32Array);
    queries[kind] = { values, truth, count: values.length / dim, next: 0 };
  }
}

/** Each builds an index over `base`: `search(query)` gives ids by what `set` set last, one of `settings`, from fast to exact. */
const builders = {
  async ours() {
    const { loadVectors } = await import('/photorecall/vectors.js');
    const { VectorIndex } = await loadVectors();
    const index = new VectorIndex(dim);
    for (let at = 0; at < base.length; at += 1000 * dim) index.add(base.subarray(at, at + 1000 * dim));
    index.compact();
    let recall;
    return {
      name: 'photorecall',
      settings: ['fast', 'high', 'exact'],
      set: (wanted) => (recall = wanted),
      search: (query) => index.search(query, { k: K, recall }).ids,
      bytes: () => index.save().length,
    };
  },

  async 'hnswlib-wasm'(version) {
    const { loadHnswlib } = await import(`${PEERS}hnswlib-wasm/dist/hnswlib.js`);
    const { HierarchicalNSW } = await loadHnswlib();
    const index = new HierarchicalNSW('ip', dim, '');
    const count = base.length / dim;
    index.initIndex(count, 16, 200, 100);
    for (let at = 0; at < count; at++) index.addPoint(vector(base, at), at, false);
    return {
      name: `hnswlib-wasm ${version} M16 efC200`,
      settings: WIDTHS,
      set: (width) => index.setEfSearch(width),
      search: (query) => index.searchKnn(query, K, undefined).neighbors,
    };
  },

  async edgevec(version) {
    const { default: init, EdgeVec, EdgeVecConfig, MetricType } = await import(`${PEERS}edgevec/edgevec.js`);
    await init();
    const config = new EdgeVecConfig(dim);
    // Its inner product and its cosine find others than the nearest; of unit vectors, L2 has the same order.
    config.setMetricType(MetricType.L2);
    Object.assign(config, { m: 16, m0: 32, ef_construction: 200, ef_search: WIDTHS[0] });
    const index = new EdgeVec(config);
    const first = index.insert(vector(base, 0));
    for (let at = 1; at < base.length / dim; at++) index.insert(vector(base, at));
    let width = K;
    return {
      name: `edgevec ${version} M16 efC200`,
      // A width for one search cannot be given: asking for more neighbours widens it.
      settings: WIDTHS,
      set: (wanted) => (width = wanted),
      search: (query) => index.search(query, width).slice(0, K).map(({ id }) => id - first),
    };
  },

  async scan() {
    return { name: 'a plain scan in JavaScript, f32', settings: ['all'], set: () => {}, search: scan };
  },
};

/** The nearest by inner product: every one is compared. */
function scan(query) {
  // A module's variables are read anew each time.
  const [vectors, axes] = [base, dim];
  const ids = new Array(K).fill(-1);
  const scores = new Float64Array(K).fill(-Infinity);
  for (let start = 0, id = 0; start < vectors.length; start += axes, id++) {
    // Four sums, since one would wait for itself.
    let a = 0, b = 0, c = 0, d = 0;
    for (let i = 0; i < axes; i += 4) {
      a += query[i] * vectors[start + i];
      b += query[i + 1] * vectors[start + i + 1];
      c += query[i + 2] * vectors[start + i + 2];
      d += query[i + 3] * vectors[start + i + 3];
    }
    const score = a + b + c + d;
    if (score <= scores[K - 1]) continue;
    let place = K - 1;
    for (; place > 0 && scores[place - 1] < score; place--) {
      scores[place] = scores[place - 1];
      ids[place] = ids[place - 1];
    }
    scores[place] = score;
    ids[place] = id;
  }
  return ids;
}

/** Builds one; tells its name and settings. */
export async function build(key, version) {
  contenders[key] = await builders[key](version);
  const { name, settings } = contenders[key];
  return { name, settings };
}

/** Bytes a vector, where that is known. */
export const bytes = (key) => contenders[key].bytes?.() / (base.length / dim);

/** Recall@10 by a setting over the queries, or those that `most` milliseconds are enough for; milliseconds a query. */
export function recall(key, kind, setting, most) {
  const { search, set } = contenders[key];
  const { values, truth, count } = queries[kind];
  set(setting);
  const start = performance.now();
  let found = 0;
  let at = 0;
  for (; at < count && performance.now() - start < most; at++) {
    const ids = new Set(search(vector(values, at)));
    for (let i = 0; i < K; i++) found += ids.has(truth[at * K + i]);
  }
  return { recall: found / (at * K), ms: (performance.now() - start) / at };
}

/** Searches for so many queries, each the one after the last. */
export function turn(key, kind, setting, times) {
  const { search, set } = contenders[key];
  const of = queries[kind];
  set(setting);
  for (let i = 0; i < times; i++, of.next = (of.next + 1) % of.count) search(vector(of.values, of.next));
}
