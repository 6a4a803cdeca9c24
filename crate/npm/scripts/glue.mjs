// The types that wasm-bindgen writes use Symbol.dispose: they say themselves which library has it, so
// that projects with an older `lib` compile.
import { readFileSync, writeFileSync } from 'node:fs';

const reference = '/// <reference lib="esnext.disposable" />\n';
for (const name of ['photorecall.d.ts', 'relaxed/photorecall.d.ts', 'vectors/photorecall.d.ts', 'vectors/relaxed/photorecall.d.ts']) {
  const types = new URL(`../dist/${name}`, import.meta.url);
  const text = readFileSync(types, 'utf8');
  if (!text.startsWith(reference)) writeFileSync(types, reference + text);
}
