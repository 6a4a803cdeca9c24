/** The part of the settings that is about the page's looks: its language, light or dark. */
import { h } from './dom.js';
import { t } from './i18n.js';
import { applyTheme, choose, chosen, type Pref } from './prefs.js';

export class LooksSection {
  readonly element = h('section', {}, [h('h3', { textContent: t('looks') })]);

  constructor() {
    const automatic: [string, string] = ['', t('asBrowser')];
    this.element.append(
      this.row('language', t('language'), [automatic, ['en', 'English'], ['ko', '한국어']], () => location.reload()),
      this.row('theme', t('theme'), [automatic, ['light', t('light')], ['dark', t('dark')]], applyTheme),
    );
  }

  async refresh(): Promise<void> {}

  private row(pref: Pref, label: string, choices: [string, string][], apply: () => void): HTMLElement {
    const options = choices.map(([value, textContent]) => h('option', { value, textContent, selected: (chosen(pref) ?? '') === value }));
    const select = h('select', {}, options);
    select.onchange = () => {
      choose(pref, select.value);
      apply();
    };
    return h('label', { className: 'choice' }, [h('span', { textContent: label }), select]);
  }
}
