/**
 * The page with another model hub: where models are fetched from, and what the content security policy
 * lets the page reach. Hubs send on to hosts that store the files: those have to be named too.
 */
export function withHub(html, hub = '', ...stores) {
  const hosts = ["'self'", ...(hub ? [new URL(hub).origin, ...stores] : [])];
  const policy = html.replace(/connect-src [^;"]*/, `connect-src ${hosts.join(' ')}`);
  return policy.replace(/(<meta name="photorecall-hub" content=")[^"]*/, `$1${hub}`);
}
