// The types that wasm-bindgen writes use Symbol.dispose: they say themselves which library has it, so
// that projects with an older `lib` compile.
import { readFileSync, writeFileSync } from 'node:fs';

const types = new URL('../dist/photorecall.d.ts', import.meta.url);
const reference = '/// <reference lib="esnext.disposable" />\n';
const text = readFileSync(types, 'utf8');
if (!text.startsWith(reference)) writeFileSync(types, reference + text);
