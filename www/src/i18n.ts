/** The words of the page, in English and Korean; {names} are filled in. */
const english = {
  title: 'Find any photo by saying what is on it',
  explain: 'Pick a folder of photos. Photorecall looks at each one once, on this device, and then finds it by words or by example.',
  privacy: 'Nothing leaves this device.',
  pickFolder: 'Choose a folder',
  pickFiles: 'Choose photos',
  orDrop: 'You can also drop photos or folders anywhere on this page.',
  add: 'Add photos',
  rescan: 'Look for changes in {name}',
  deleteAll: 'Delete this library',
  deleteAllSure: 'Delete the library of {count} photos from this browser? The photo files stay where they are.',
  placeholder: 'a dog on the beach, my bicycle, snow…',
  searchLabel: 'Search photos by words',
  byPhoto: 'Search by a photo',
  clearExample: 'Stop searching by this photo',
  loading: 'Getting ready… {percent} %',
  locked: 'The library is open in another tab. Close that tab, then reload this page.',
  failed: 'Photorecall could not start: {reason}',
  retry: 'Try again',
  count: '{count} photos',
  resultsFor: 'Best matches for “{text}”',
  resultsLike: 'Photos like this one',
  nothing: 'Nothing found. Other words may help.',
  emptyYet: 'The first photos appear here in a moment.',
  score: '{score} % alike',
  indexing: 'Looking at photos: {done} of {total}',
  rate: '{rate} a second, about {left} left',
  pausedAt: 'Paused at {done} of {total}',
  pause: 'Pause',
  resume: 'Resume',
  cancel: 'Cancel',
  close: 'Close',
  finished: 'Done: {added} added',
  stopped: 'Stopped: {added} added. The rest can be added later.',
  unchanged: '{count} unchanged',
  renamed: '{count} renamed',
  gone: '{count} gone',
  skipped: '{count} skipped',
  seconds: '{n} s',
  minutes: '{n} min',
  hours: '{n} h',
  similar: 'More like this',
  remove: 'Remove',
  removed: '{name} was removed from the library; the file stays.',
  undo: 'Undo',
  previous: 'Previous photo',
  next: 'Next photo',
  smallOnly: 'Small picture; the photo itself is in its folder',
  dropHere: 'Drop photos or folders to add them. Drop one photo on the search box to search by it.',
  update: 'A new version is ready.',
  reload: 'Reload',
  damaged: '{count} parts of the library could not be read; add their photos again.',
  noPhotos: 'There are no photos in it.',
};
type Words = typeof english;

const korean: Words = {
  title: '사진 속 내용을 말로 찾으세요',
  explain: '사진 폴더를 고르면 Photorecall이 이 기기에서 사진을 한 번씩 살펴보고, 말이나 비슷한 사진으로 찾아 줍니다.',
  privacy: '아무것도 이 기기를 벗어나지 않습니다.',
  pickFolder: '폴더 선택',
  pickFiles: '사진 선택',
  orDrop: '사진이나 폴더를 이 페이지에 끌어다 놓아도 됩니다.',
  add: '사진 추가',
  rescan: '{name}에서 바뀐 사진 찾기',
  deleteAll: '라이브러리 삭제',
  deleteAllSure: '이 브라우저에서 사진 {count}장의 라이브러리를 삭제할까요? 사진 파일은 그대로 남습니다.',
  placeholder: '해변의 강아지, 내 자전거, 눈…',
  searchLabel: '말로 사진 찾기',
  byPhoto: '사진으로 찾기',
  clearExample: '이 사진으로 찾기 끝내기',
  loading: '준비 중… {percent}%',
  locked: '다른 탭에서 라이브러리를 열고 있습니다. 그 탭을 닫고 새로 고침하세요.',
  failed: 'Photorecall을 시작하지 못했습니다: {reason}',
  retry: '다시 시도',
  count: '사진 {count}장',
  resultsFor: '“{text}”에 가장 가까운 사진',
  resultsLike: '이 사진과 비슷한 사진',
  nothing: '찾은 사진이 없습니다. 다른 말로 찾아 보세요.',
  emptyYet: '곧 첫 사진이 나타납니다.',
  score: '{score}% 비슷함',
  indexing: '사진 살펴보는 중: {total}장 중 {done}장',
  rate: '초당 {rate}장, 약 {left} 남음',
  pausedAt: '{total}장 중 {done}장에서 멈춤',
  pause: '일시 정지',
  resume: '계속',
  cancel: '취소',
  close: '닫기',
  finished: '완료: {added}장 추가',
  stopped: '중지됨: {added}장 추가. 나머지는 나중에 추가할 수 있습니다.',
  unchanged: '{count}장 그대로',
  renamed: '{count}장 이름 바뀜',
  gone: '{count}장 사라짐',
  skipped: '{count}장 건너뜀',
  seconds: '{n}초',
  minutes: '{n}분',
  hours: '{n}시간',
  similar: '비슷한 사진',
  remove: '빼기',
  removed: '{name}을(를) 라이브러리에서 뺐습니다. 파일은 그대로입니다.',
  undo: '되돌리기',
  previous: '이전 사진',
  next: '다음 사진',
  smallOnly: '작은 사진입니다. 원본은 폴더에 있습니다',
  dropHere: '사진이나 폴더를 놓으면 추가합니다. 검색창에 사진 한 장을 놓으면 그 사진으로 찾습니다.',
  update: '새 버전이 준비되었습니다.',
  reload: '새로 고침',
  damaged: '라이브러리의 {count}개 부분을 읽지 못했습니다. 그 사진을 다시 추가하세요.',
  noPhotos: '사진이 없습니다.',
};

export const language = navigator.language.startsWith('ko') ? 'ko' : 'en';
const words: Words = language === 'ko' ? korean : english;

/** The words for a key. */
export function t(key: keyof Words, values: Record<string, string | number> = {}): string {
  return words[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

/** A number as the reader writes it. */
export function number(n: number, digits = 0): string {
  return n.toLocaleString(language, { maximumFractionDigits: digits });
}

/** A length of time, roughly. */
export function duration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 90) return t('seconds', { n: seconds });
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? t('minutes', { n: minutes }) : t('hours', { n: number(minutes / 60, 1) });
}
