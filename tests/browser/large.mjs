// A library of many photos, made without encoding any: their vectors are random, few have a small picture.

/** Fills the page's own library with `count` photos; the page is loaded anew afterwards. */
export async function fillLibrary(page, count) {
  await page.evaluate(async (count) => {
    const wasm = await import('/photorecall/photorecall.js');
    await wasm.default();
    const manifest = new Uint8Array(await (await fetch('/models/photorecall-s/manifest.json')).arrayBuffer());
    const { name, dim } = JSON.parse(new TextDecoder().decode(manifest));
    const index = await wasm.Index.open('photos', { name, dim, digest: wasm.digest(manifest) });
    let seed = 1;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647 - 0.5;
    const shapes = [[4, 3], [3, 4], [16, 9], [1, 1], [3, 2]];
    for (let i = 0; i < count; i++) {
      const vector = Float32Array.from({ length: dim }, random);
      const norm = Math.hypot(...vector);
      const [width, height] = shapes[i % shapes.length];
      const photo = {
        path: `many/${String(i).padStart(6, '0')}.jpg`,
        bytes: 1000 + i,
        // The first one is the newest.
        modifiedMs: 1_700_000_000_000 - i * 60_000,
        digest: i.toString(16).padStart(64, '0'),
        width: width * 100,
        height: height * 100,
      };
      index.put(photo, vector.map((x) => x / norm), undefined);
    }
    await index.commit();
    index.close();
  }, count);
  await page.reload();
}
