// The examples of the package's documentation, as code that can be run and checked.

/** The code blocks of a text in Markdown that are marked so: `js`, `js node`. */
export function blocksOf(markdown, mark) {
  return [...markdown.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].filter(([, info]) => info === mark).map(([, , code]) => code);
}

/** `let name = expression; // → value` and the like, taken apart; a statement may begin on the lines above. */
const EXPECTED = /^(?!\s|.*\bconst\b|.*\blet\b)(.+?);\s*\/\/ → (.+)$/;
const IMPORT = /^import (\{[^}]*\}) from ('[^']*');$/;

/**
 * One module of all blocks: what is expected of a line is compared by `check(line, value, expected)`, and what
 * several blocks import is imported once.
 */
export function moduleOf(blocks) {
  const imported = new Map();
  const lines = blocks.join('\n').split('\n').map((line) => {
    const [, names, from] = IMPORT.exec(line) ?? [];
    if (from) {
      const all = imported.get(from) ?? new Set();
      for (const name of names.slice(1, -1).split(',')) all.add(name.trim());
      imported.set(from, all);
      return '';
    }
    const [, expression, expected] = EXPECTED.exec(line) ?? [];
    return expected ? `check(${JSON.stringify(line)}, ${expression}, ${expected});` : line;
  });
  const imports = [...imported].map(([from, names]) => `import { ${[...names].join(', ')} } from ${from};`);
  return [...imports, ...lines].join('\n');
}

/** How many lines of the blocks say what is expected. */
export function expectations(blocks) {
  return blocks.join('\n').split('\n').filter((line) => line.includes('// →')).length;
}
