/**
 * Tar files, as any system unpacks them: 512 bytes of header, the file, zeros to the next 512; two blocks of
 * zeros at the end. A path that the header has no room for, or that is not ASCII, comes in a pax header.
 */
import { PhotorecallError } from './errors.js';

const BLOCK = 512;
const PATH_ROOM = 100;
/** What has been written is handed to the browser, which may put it on disk, in parts of so many bytes. */
const PART = 32 * 1024 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A file of an archive. */
export interface Entry {
  path: string;
  data: Blob;
}

export class TarWriter {
  private readonly parts: Blob[] = [];
  private pending: Uint8Array<ArrayBuffer>[] = [];
  private pendingBytes = 0;

  add(path: string, bytes: Uint8Array): void {
    const name = encoder.encode(path);
    const plain = name.length <= PATH_ROOM && name.length === path.length;
    if (!plain) this.file('pax', paxPath(path), 'x');
    this.file(plain ? path : 'long', bytes, '0');
  }

  /** The archive; nothing can be added afterwards. */
  finish(): Blob {
    this.push(new Uint8Array(2 * BLOCK));
    this.flush();
    return new Blob(this.parts, { type: 'application/x-tar' });
  }

  private file(name: string, bytes: Uint8Array, kind: '0' | 'x'): void {
    this.push(header(name, bytes.length, kind));
    this.push(bytes as Uint8Array<ArrayBuffer>);
    this.push(new Uint8Array(padding(bytes.length)));
  }

  private push(bytes: Uint8Array<ArrayBuffer>): void {
    this.pending.push(bytes);
    this.pendingBytes += bytes.length;
    if (this.pendingBytes >= PART) this.flush();
  }

  private flush(): void {
    this.parts.push(new Blob(this.pending));
    [this.pending, this.pendingBytes] = [[], 0];
  }
}

function padding(bytes: number): number {
  return (BLOCK - (bytes % BLOCK)) % BLOCK;
}

function header(name: string, bytes: number, kind: '0' | 'x'): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK);
  const write = (at: number, text: string): void => block.set(encoder.encode(text), at);
  const octal = (at: number, digits: number, value: number): void => write(at, value.toString(8).padStart(digits, '0'));
  write(0, name);
  octal(100, 7, 0o644);
  octal(108, 7, 0);
  octal(116, 7, 0);
  octal(124, 11, bytes);
  octal(136, 11, 0);
  write(148, ' '.repeat(8));
  write(156, kind);
  write(257, 'ustar\0' + '00');
  octal(148, 6, sumOf(block));
  block[154] = 0;
  return block;
}

/** The sum of a header's bytes, its own field taken for spaces. */
function sumOf(block: Uint8Array): number {
  return block.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0);
}

/** `LENGTH path=PATH\n`, where the length counts its own digits. */
function paxPath(path: string): Uint8Array {
  const body = encoder.encode(` path=${path}\n`).length;
  let length = body + String(body).length;
  if (String(length).length > String(body).length) length++;
  return encoder.encode(`${length} path=${path}\n`);
}

function damaged(reason: string): PhotorecallError {
  return new PhotorecallError('damaged', `not a whole library file: ${reason}`);
}

/** The files of an archive, in order; one that was cut off is an error. */
export async function* readTar(archive: Blob): AsyncGenerator<Entry, void> {
  let long: string | undefined;
  for (let at = 0; ; ) {
    const block = new Uint8Array(await archive.slice(at, at + BLOCK).arrayBuffer());
    if (block.length < BLOCK) throw damaged('it ends before its end');
    if (block.every((byte) => byte === 0)) return;
    const { name, bytes, kind } = readHeader(block);
    at += BLOCK;
    if (at + bytes > archive.size) throw damaged('it ends before its end');
    const data = archive.slice(at, at + bytes);
    at += bytes + padding(bytes);
    if (kind === 'x') long = /^\d+ path=([^]*?)\n/.exec(await data.text())?.[1] ?? long;
    else if (kind === '0' || kind === '\0') {
      yield { path: long ?? name, data };
      long = undefined;
    }
  }
}

function readHeader(block: Uint8Array): { name: string; bytes: number; kind: string } {
  const text = (at: number, length: number): string => decoder.decode(block.subarray(at, at + length)).replace(/\0[^]*$/, '');
  const octal = (at: number, length: number): number => Number.parseInt(text(at, length).trim(), 8);
  if (octal(148, 8) !== sumOf(block)) throw damaged('a header does not add up');
  const prefix = text(345, 155);
  return { name: prefix ? `${prefix}/${text(0, 100)}` : text(0, 100), bytes: octal(124, 12), kind: String.fromCharCode(block[156] ?? 0) };
}
