/** Failures in the reader's words. */
import { PhotorecallError } from 'photorecall';
import { t, why } from './i18n.js';

/** What to say of something that was thrown. */
export function said(thrown: unknown): string {
  const { code, message } = PhotorecallError.from(thrown);
  const reason = why(code, message).replace(/\.$/, '');
  switch (code) {
    case 'offline':
      return t('errorOffline');
    case 'fetch':
      return t('errorFetch', { reason });
    case 'quota':
      return t('errorQuota', { reason });
    case 'model_file':
      return t('errorModelFile', { reason });
    case 'damaged':
      return t('errorDamaged', { reason });
    case 'insecure_context':
      return t('errorInsecure');
    case 'query':
      return reason;
    default:
      return t('errorOther', { reason });
  }
}
