// How long a row was looked at: while it is the current one, in a window that is seen and used.

// A longer pause without a key, a click or a movement is not reading: the telephone rang.
const IDLE_SECONDS = 60;

/** Adds up seconds for the row that is being looked at. */
class Stopwatch {
  constructor() {
    this.row = -1;
    this.running = !document.hidden && document.hasFocus();
    this.last = performance.now();
    /** @type {Map<number, number>} seconds by row */
    this.spent = new Map();
    const alive = () => this._count();
    for (const sign of ["keydown", "pointerdown", "pointermove", "wheel"]) {
      window.addEventListener(sign, alive, { passive: true, capture: true });
    }
    window.addEventListener("blur", () => this._run(false));
    window.addEventListener("focus", () => this._run(!document.hidden));
    document.addEventListener("visibilitychange", () => this._run(!document.hidden));
  }

  /** @param {boolean} running */
  _run(running) {
    this._count();
    this.running = running;
  }

  _count() {
    const now = performance.now();
    const seconds = Math.min((now - this.last) / 1000, IDLE_SECONDS);
    this.last = now;
    if (this.running && this.row >= 0) {
      this.spent.set(this.row, (this.spent.get(this.row) ?? 0) + seconds);
    }
  }

  /** @param {number} row what is looked at from now on */
  lookAt(row) {
    this._count();
    this.row = row;
  }

  /**
   * Return the seconds spent on a row since they were last taken.
   * @param {number} row
   */
  take(row) {
    this._count();
    const seconds = this.spent.get(row) ?? 0;
    this.spent.delete(row);
    return seconds;
  }
}
