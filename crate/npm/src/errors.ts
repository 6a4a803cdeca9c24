/**
 * The one error of this package. `code` is stable: it is the Rust side's `Error::code` (as
 * `not_an_image`, `image_too_large`, `model_mismatch`, `indexed_db`) or one of
 * `aborted`, `bad_argument`, `closed`, `crashed`, `fetch`, `insecure_context`, `locked`, `model_file`,
 * `model_manifest`, `no_ranges`, `not_found`, `not_loaded`, `offline`, `quota`, `read_only`.
 */
export class PhotorecallError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PhotorecallError';
    this.code = code;
  }

  /** Anything that was thrown, as an error of this class. */
  static from(thrown: unknown): PhotorecallError {
    if (thrown instanceof PhotorecallError) return thrown;
    if (thrown instanceof Error) {
      const code = (thrown as Error & { code?: unknown }).code;
      return new PhotorecallError(codeOf(thrown, code), thrown.message, { cause: thrown });
    }
    return new PhotorecallError('crashed', String(thrown));
  }
}

function codeOf(error: Error, code: unknown): string {
  // A DOMException's `code` is a number, and its name says more.
  if (typeof code === 'string') return code;
  if (error.name === 'AbortError') return 'aborted';
  if (error.name === 'NotFoundError' || error.name === 'NotReadableError') return 'not_readable';
  // What a panic and a lack of memory end in: the module cannot be used any more.
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) return 'crashed';
  return 'unexpected';
}
