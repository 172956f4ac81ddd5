// A list of any length of which only what is near the window exists: lines of one height, and two
// empty blocks where the others would be.

// Drawn above and below the window, so that scrolling a little shows no gap.
const LINES_AROUND = 2;
// Browsers lay out no more than 17 (Firefox) to 33 million pixels: a longer list comes in parts.
const MOST_PIXELS = 8_000_000;
// While one drags the scroll bar, files of details that fly past are not worth loading.
const SETTLED_MS = 80;

/**
 * @typedef {object} Lines
 * @property {HTMLElement} before takes the height of what is above
 * @property {HTMLElement} box holds the items
 * @property {HTMLElement} after takes the height of what is below
 * @property {() => {height: number, perLine: number}} measure of one line, in pixels
 * @property {(row: number, position: number) => HTMLElement} make
 * @property {(item: HTMLElement, row: number, ask: boolean) => void} fill `ask`: send for details
 */

class LongList {
  /** @param {Lines} lines */
  constructor(lines) {
    this.lines = lines;
    /** @type {Uint32Array} */
    this.rows = new Uint32Array(0);
    this.part = 0;
    /** @type {Map<number, HTMLElement>} items by position */
    this.items = new Map();
    this.asked = false;
    const settle = afterPause(() => this.refill(true), SETTLED_MS);
    let waiting = false;
    this.onScroll = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        if (this.lines.box.isConnected) this.draw();
        settle();
      });
    };
    window.addEventListener("scroll", this.onScroll, { passive: true });
    // Something above may fold open, and with it the list moves without being scrolled.
    this.moved = new ResizeObserver(this.onScroll);
    this.moved.observe(document.body);
  }

  /** No longer drawn: another view takes its place. */
  close() {
    window.removeEventListener("scroll", this.onScroll);
    this.moved.disconnect();
  }

  /** @param {Uint32Array} rows @param {number} part */
  show(rows, part) {
    this.rows = rows;
    this.part = Math.max(0, Math.min(part, this.parts() - 1));
    for (const item of this.items.values()) item.remove();
    this.items.clear();
    this.draw();
    this.refill(true);
  }

  /** How many rows a part has. */
  perPart() {
    const { height, perLine } = this.lines.measure();
    return Math.max(1, Math.floor(MOST_PIXELS / height)) * perLine;
  }

  parts() {
    return Math.max(1, Math.ceil(this.rows.length / this.perPart()));
  }

  /** Make the items that are near the window, and take away the others. */
  draw() {
    const { before, box, after } = this.lines;
    const { height, perLine } = this.lines.measure();
    const start = this.part * this.perPart();
    const end = Math.min(this.rows.length, start + this.perPart());
    const all = Math.ceil((end - start) / perLine);
    const top = before.getBoundingClientRect().top;
    const first = clamp(Math.floor(-top / height) - LINES_AROUND, 0, Math.max(all - 1, 0));
    // One line at least, even far outside the window: the keyboard comes in through it.
    const least = Math.min(first + 1, all);
    const last = clamp(Math.ceil((window.innerHeight - top) / height) + LINES_AROUND, least, all);
    before.style.height = `${first * height}px`;
    after.style.height = `${(all - last) * height}px`;
    this._put(start + first * perLine, Math.min(end, start + last * perLine));
    box.classList.toggle("none", this.rows.length === 0);
  }

  /**
   * @param {number} first
   * @param {number} end
   */
  _put(first, end) {
    const { box } = this.lines;
    for (const [position, item] of this.items) {
      if (position >= first && position < end) continue;
      if (item.contains(document.activeElement)) box.focus({ preventScroll: true });
      item.remove();
      this.items.delete(position);
    }
    let next = box.firstElementChild;
    for (let position = first; position < end; position++) {
      const known = this.items.get(position);
      if (known) {
        next = known.nextElementSibling;
        continue;
      }
      const item = this.lines.make(this.rows[position], position);
      this.lines.fill(item, this.rows[position], false);
      this.items.set(position, item);
      box.insertBefore(item, next);
    }
  }

  /** Return the rows that have an item now. */
  drawn() {
    return [...this.items.keys()].map((position) => this.rows[position]);
  }

  /** @param {boolean} ask send for details that are not here */
  refill(ask) {
    for (const [position, item] of this.items) this.lines.fill(item, this.rows[position], ask);
  }

  /**
   * Bring an item into the window, below what sticks to its top, and return it.
   * @param {number} position
   * @param {number} covered pixels at the top of the window
   */
  reveal(position, covered) {
    const perPart = this.perPart();
    const part = Math.floor(position / perPart);
    if (part !== this.part) this.show(this.rows, part);
    const { height, perLine } = this.lines.measure();
    const line = Math.floor((position - part * perPart) / perLine);
    const top = this.lines.before.getBoundingClientRect().top + line * height;
    const room = window.innerHeight - covered;
    if (top < covered || (top + height > window.innerHeight && height > room)) {
      window.scrollBy({ top: top - covered, behavior: "instant" });
    } else if (top + height > window.innerHeight) {
      window.scrollBy({ top: top + height - window.innerHeight, behavior: "instant" });
    }
    this.draw();
    this.refill(true);
    return this.items.get(position);
  }
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
