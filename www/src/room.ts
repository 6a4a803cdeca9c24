/** Adding photos within the room that there is: what they take is told before they are looked at. */
import { type AddOptions, type AddProgress, type Library, type NamedSource, PhotorecallError } from 'photorecall';
import { number, size, t } from './i18n.js';

/** As `Library.add`; tells what is needed beside what is free, and asks where that is too little. */
export async function* addWithin(
  library: Library,
  sources: NamedSource[],
  options: AddOptions,
  tell: (text: string) => void,
): AsyncGenerator<AddProgress> {
  const { needed, free, quota } = await library.estimate(sources.length);
  const told = { count: number(sources.length), needed: size(needed), free: size(free) };
  tell(t('needs', told));
  // A browser that tells no quota cannot be asked.
  if (quota > 0 && needed > free && !confirm(t('needsMore', told))) {
    throw new PhotorecallError('aborted', 'there is too little room');
  }
  yield* library.add(sources, options);
}
