// What the reader decided, kept in the browser: one entry for each row, so that two tabs on the
// same run add to each other, and neither overwrites what the other has written.

const KEPT_UNDER = "cxr-scan";
const UNCLEAR = "unclear";

/**
 * Return this browser's storage, or null if it keeps nothing for this page.
 * @returns {Storage | null}
 */
function storageOrNull() {
  try {
    const probe = `${KEPT_UNDER}/probe`;
    localStorage.setItem(probe, "1");
    localStorage.removeItem(probe);
    return localStorage;
  } catch {
    return null;
  }
}

const storage = storageOrNull();

/**
 * Return a setting of the reader, such as the name; settings are not of one run.
 * @param {string} name
 */
function setting(name) {
  return storage?.getItem(`${KEPT_UNDER}/${name}`) ?? settings.get(name) ?? "";
}

/** @type {Map<string, string>} */
const settings = new Map();

/**
 * @param {string} name
 * @param {string} value
 */
function keepSetting(name, value) {
  settings.set(name, value);
  try {
    storage?.setItem(`${KEPT_UNDER}/${name}`, value);
  } catch {
    // Full: it holds for this visit. Decisions, which must not be lost, say so themselves.
  }
}

/** The decisions on one run's rows. */
class Decisions {
  /**
   * @param {Rows} rows
   * @param {() => void} changed called after every change, of this tab or another
   */
  constructor(rows, changed) {
    this.rows = rows;
    this.changed = changed;
    this.prefix = `${KEPT_UNDER}/${rows.file.run}/`;
    /** @type {Map<number, Decision>} */
    this.byRow = new Map();
    /** @type {Uint8Array} 0 nothing, 1 yes, 2 agrees, 3 disagrees: what the filters ask */
    this.kinds = new Uint8Array(rows.total);
    /** @type {{row: number, before: Decision | undefined}[]} */
    this.undoable = [];
    /** @type {string} why decisions are not kept; empty if they are */
    this.trouble = storage
      ? ""
      : "This browser keeps nothing for this page: export the decisions before you close it.";
    /** Decisions on rows that this report no longer has. @type {Map<string, Decision>} */
    this.strays = new Map();
    this._read();
    window.addEventListener("storage", (event) => {
      if (event.key === null || event.key.startsWith(this.prefix)) this._heard(event);
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.trouble && this.byRow.size) event.preventDefault();
    });
  }

  _read() {
    if (!storage) return;
    for (let at = 0; at < storage.length; at++) {
      const key = storage.key(at) ?? "";
      if (key.startsWith(this.prefix)) this._set(key, storage.getItem(key));
    }
  }

  /** @param {StorageEvent} event */
  _heard(event) {
    if (event.key !== null) {
      this._set(event.key, event.newValue);
    } else {
      this.byRow.clear();
      this.kinds.fill(0);
    }
    this.changed();
  }

  /** @param {number} row */
  _keyOf(row) {
    return `${this.prefix}${this.rows.sha[row]}/${this.rows.path[row]}`;
  }

  /**
   * @param {string} key
   * @param {string | null} text
   */
  _set(key, text) {
    const path = key.slice(key.indexOf("/", this.prefix.length) + 1);
    const row = rowOfPath(this.rows, path);
    const decision = text === null ? undefined : parseDecision(text);
    if (row !== undefined && this._keyOf(row) === key) this._put(row, decision);
    else if (decision) this.strays.set(path, decision);
  }

  /**
   * @param {number} row
   * @param {Decision | undefined} decision
   */
  _put(row, decision) {
    if (decision) this.byRow.set(row, decision);
    else this.byRow.delete(row);
    this.kinds[row] = decision ? kindOf(decision) : 0;
  }

  /**
   * @param {number} row
   * @returns {Decision | undefined}
   */
  of(row) {
    return this.byRow.get(row);
  }

  /**
   * Tell whether a row was reviewed, and with what outcome; a note alone is no review.
   * @param {number} row
   */
  reviewOf(row) {
    return ["no", "yes", "agree", "disagree"][this.kinds[row]];
  }

  /**
   * Keep a decision, or delete it; with `undo` it can be taken back by `undo()`.
   * @param {number} row
   * @param {Decision | undefined} decision
   * @param {boolean} [undoable]
   */
  keep(row, decision, undoable = true) {
    if (undoable) this.undoable.push({ row, before: this.byRow.get(row) });
    this._put(row, decision);
    try {
      if (decision) storage?.setItem(this._keyOf(row), JSON.stringify(decision));
      else storage?.removeItem(this._keyOf(row));
    } catch {
      this.trouble =
        "This browser has no room for more decisions: export them before you close this page.";
    }
    this.changed();
  }

  /** Take back the last change of this visit; return its row, or -1 if there is none. */
  undo() {
    const last = this.undoable.pop();
    if (!last) return -1;
    this.keep(last.row, last.before, false);
    return last.row;
  }

  /** How many rows were reviewed, and how many of them agree with the model. */
  progress() {
    let reviewed = 0;
    let agreeing = 0;
    for (const kind of this.kinds) {
      if (kind) reviewed++;
      if (kind === 2) agreeing++;
    }
    return { reviewed, agreeing };
  }
}

/** @param {Decision} decision */
function kindOf(decision) {
  if (decision.agrees) return decision.agrees === "yes" ? 2 : 3;
  return decision.decision ? 1 : 0;
}

/**
 * Return a decision as it was kept, or undefined if that is damaged.
 * @param {string} text
 * @returns {Decision | undefined}
 */
function parseDecision(text) {
  try {
    const found = JSON.parse(text);
    if (typeof found !== "object" || found === null) return undefined;
    const { decision, agrees, reviewer, at, note, sha256 } = found;
    const texts = { decision, agrees, reviewer, at, note, sha256 };
    if (Object.values(texts).some((value) => typeof value !== "string")) return undefined;
    return { ...texts, seconds: Number(found.seconds) || 0 };
  } catch {
    return undefined;
  }
}

/**
 * Tell whether what a reader says is what the model says; `unclear` and `uncertain` are the same.
 * @param {string} decision
 * @param {string} prediction
 */
function agrees(decision, prediction) {
  return decision === prediction || (decision === UNCLEAR && prediction === "uncertain");
}
