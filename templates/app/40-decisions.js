// What readers decided, kept in the browser: one entry for each reader and row, so that two tabs on
// the same run add to each other, and two readers at one computer do not overwrite each other.

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

/**
 * Return a name as names are compared, here and by `cxr-scan review`: capitals and blanks do not
 * tell people apart.
 * @param {string} name
 */
function comparedName(name) {
  return name.trim().split(/\s+/).join(" ").toLowerCase();
}

/**
 * Return a text without slashes, for a part of a key.
 * @param {string} text
 */
function keyPart(text) {
  return text.replace(/[%/]/g, encodeURIComponent);
}

/** The decisions on one run's rows: those of all readers, and of the one who reads now by row. */
class Decisions {
  /**
   * @param {Rows} rows
   * @param {() => void} changed called after every change, of this tab or another
   */
  constructor(rows, changed) {
    this.rows = rows;
    this.changed = changed;
    this.prefix = `${KEPT_UNDER}/${rows.file.run}/`;
    /** @type {Map<string, Decision>} of all readers, by key; also on rows this report lacks */
    this.all = new Map();
    this.reader = comparedName(setting("reviewer"));
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
    this._read();
    window.addEventListener("storage", (event) => {
      if (event.key === null || event.key.startsWith(this.prefix)) this._heard(event);
      if (event.key === `${KEPT_UNDER}/reviewer`) this.readAs(event.newValue ?? "");
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.trouble && this.all.size) event.preventDefault();
    });
  }

  /** Show the decisions of another reader. @param {string} name */
  readAs(name) {
    if (comparedName(name) === this.reader) return;
    this.reader = comparedName(name);
    this.undoable = [];
    this.byRow.clear();
    this.kinds.fill(0);
    for (const [key, decision] of this.all) this._set(key, decision);
    this.changed();
  }

  _read() {
    if (!storage) return;
    for (let at = 0; at < storage.length; at++) {
      const key = storage.key(at) ?? "";
      const text = key.startsWith(this.prefix) ? storage.getItem(key) : null;
      if (text !== null) this._set(key, parseDecision(text));
    }
  }

  /** @param {StorageEvent} event */
  _heard(event) {
    if (event.key !== null) {
      this._set(event.key, event.newValue === null ? undefined : parseDecision(event.newValue));
    } else {
      this._clear();
    }
    this.changed();
  }

  _clear() {
    this.all.clear();
    this.byRow.clear();
    this.kinds.fill(0);
    this.undoable = [];
  }

  /** @param {number} row @param {string} [reader] as names are compared */
  _keyOf(row, reader = this.reader) {
    const { sha, path } = this.rows;
    return `${this.prefix}${keyPart(reader)}/${keyPart(sha[row])}/${path[row]}`;
  }

  /**
   * Return what a key is about; without a row this report lacks the image.
   * @param {string} key
   */
  about(key) {
    const [reader, , ...rest] = key.slice(this.prefix.length).split("/");
    const path = rest.join("/");
    const named = reader.replace(/%2F/g, "/").replace(/%25/g, "%");
    const found = rowOfPath(this.rows, path);
    const row = found !== undefined && this._keyOf(found, named) === key ? found : undefined;
    return { reader: named, path, row };
  }

  /**
   * @param {string} key
   * @param {Decision | undefined} decision
   */
  _set(key, decision) {
    if (decision) this.all.set(key, decision);
    else this.all.delete(key);
    const { reader, row } = this.about(key);
    if (row === undefined || reader !== this.reader) return;
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
    const key = this._keyOf(row);
    this._set(key, decision);
    try {
      if (decision) storage?.setItem(key, JSON.stringify(decision));
      else storage?.removeItem(key);
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

  /** Remove the decisions of all readers on this run, from the browser too. */
  forget() {
    for (const key of this.all.keys()) storage?.removeItem(key);
    this._clear();
    this.changed();
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
    const seconds = Number(found.seconds);
    return { ...texts, seconds: seconds > 0 && seconds < Infinity ? seconds : 0 };
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
