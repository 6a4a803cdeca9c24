/**
 * Rows of pictures: each as high as the others about, all as wide as the window.
 *
 * A photo's place follows from the shapes of those before it, so that nothing moves when pictures come,
 * and any part of a long list can be shown without the rest.
 */

/** Very wide and very tall photos are cut to fit the rows. */
const [NARROWEST, WIDEST] = [0.6, 2.4];
/** A last row of few photos is not blown up by more than this. */
const MOST_GROWTH = 1.25;

/** What the layout is made for, in CSS pixels. */
export interface Frame {
  width: number;
  /** A row's height before it is fitted to the width. */
  row: number;
  gap: number;
}

/** Where a picture is, in CSS pixels from the list's corner. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export class Layout {
  /** The list's height. */
  readonly height: number;
  /** The first photo of each row, and the count of all at the end. */
  private readonly firsts: number[] = [0];
  /** The top of each row, and the bottom of all at the end. */
  private readonly tops: number[] = [0];

  /** `ratios` has each photo's width by its height. */
  constructor(
    private readonly ratios: ArrayLike<number>,
    private readonly frame: Frame,
  ) {
    const { width, row, gap } = frame;
    let [sum, first, top] = [0, 0, 0];
    for (let at = 0; at < ratios.length; at++) {
      sum += this.ratio(at);
      const free = width - gap * (at - first);
      const last = at === ratios.length - 1;
      if (sum * row < free && !last) continue;
      top += Math.min(free / sum, last ? row * MOST_GROWTH : Infinity) + gap;
      this.firsts.push(at + 1);
      this.tops.push(top);
      [sum, first] = [0, at + 1];
    }
    this.height = Math.max(0, top - gap);
  }

  get count(): number {
    return this.ratios.length;
  }

  private get rows(): number {
    return this.firsts.length - 1;
  }

  private ratio(at: number): number {
    return Math.min(WIDEST, Math.max(NARROWEST, this.ratios[at] || 1));
  }

  /** The row of a photo. */
  private rowOf(at: number): number {
    return lastAtMost(this.firsts, at, this.rows);
  }

  /** The row at a height. */
  private rowAt(y: number): number {
    return lastAtMost(this.tops, y, this.rows);
  }

  /** The photos between two heights, those cut by them counted: from the first, before the second. */
  between(top: number, bottom: number): [number, number] {
    if (this.count === 0) return [0, 0];
    return [this.firsts[this.rowAt(top)] ?? 0, this.firsts[this.rowAt(bottom) + 1] ?? this.count];
  }

  box(at: number): Box {
    const row = this.rowOf(at);
    const top = this.tops[row] ?? 0;
    const height = (this.tops[row + 1] ?? top) - top - this.frame.gap;
    let left = 0;
    for (let before = this.firsts[row] ?? 0; before < at; before++) left += this.ratio(before) * height + this.frame.gap;
    return { left, top, width: this.ratio(at) * height, height };
  }

  /** The photo so many rows below (above, when negative) that lies nearest under (over) this one. */
  below(at: number, rows: number): number {
    const row = Math.min(this.rows - 1, Math.max(0, this.rowOf(at) + rows));
    const { left, width } = this.box(at);
    const middle = left + width / 2;
    const distance = (other: number): number => {
      const box = this.box(other);
      return Math.abs(box.left + box.width / 2 - middle);
    };
    let best = this.firsts[row] ?? 0;
    for (let other = best; other < (this.firsts[row + 1] ?? 0); other++) if (distance(other) < distance(best)) best = other;
    return best;
  }
}

/** The last of the `count` sorted numbers that is at most `value`; the first one when none is. */
function lastAtMost(sorted: readonly number[], value: number, count: number): number {
  let [low, high] = [0, count - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((sorted[middle] ?? 0) <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
