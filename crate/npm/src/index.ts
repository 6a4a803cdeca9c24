/**
 * Private photo search by meaning. Nothing leaves the device.
 *
 * ```js
 * import { Library } from 'photorecall';
 * const library = await Library.open({ modelUrl: '/models/photorecall-s/' });
 * for await (const { done, total } of library.add(input.files)) console.log(done, total);
 * const found = await library.search({ text: 'a dog on the beach' });
 * ```
 * @module
 */
export type { Adding } from './adding.js';
export { PhotorecallError } from './errors.js';
export { isPhotoName, photosOfDrop, photosOfFolder, photosOfInput } from './files.js';
export { type FileEntry, type KnownModel, parseManifest, sha256 } from './known.js';
export { Library } from './library.js';
export type { ModelFiles } from './model.js';
export { type InstallOptions, ModelStore } from './model-store.js';
export type { Room } from './room.js';
export type { ImportOptions, TransferOptions } from './transfer.js';
export type * from './types.js';
