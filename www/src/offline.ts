/** The service worker: makes the page work offline, and tells when there is a new version. */
import { toast } from './dom.js';
import { t } from './i18n.js';

/** Registers it; a browser without one keeps working online. */
export async function keepOffline(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  // The first worker to take the page over is no new version of anything.
  let first = !navigator.serviceWorker.controller;
  navigator.serviceWorker.addEventListener('controllerchange', () => {
    if (first) first = false;
    else location.reload();
  });
  try {
    const registration = await navigator.serviceWorker.register('sw.js');
    const offer = (): void => {
      const waiting = registration.waiting;
      if (!waiting || !navigator.serviceWorker.controller) return;
      toast(t('update'), { label: t('reload'), run: () => waiting.postMessage('update') }, 60_000);
    };
    offer();
    registration.addEventListener('updatefound', () => {
      registration.installing?.addEventListener('statechange', offer);
    });
  } catch (error) {
    console.warn('The page will not work offline:', error);
  }
}
