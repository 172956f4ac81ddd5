// The rows: a columnar index of all of them, and details in files of some hundred, loaded as
// scripts because a page opened from a file may not fetch.

// Details of 25 files of 500 rows are about 12 MB; who scrolls on loads them again in a moment.
const FILES_KEPT = 25;
// A share that was away for a moment is asked again, but not at every movement.
const RETRY_MS = 5000;

/** @typedef {ReturnType<typeof columnsOf>} Rows */

/** @type {Map<number, Detail[]>} the one used last stands last */
const loadedFiles = new Map();
/** @type {Map<number, number>} when they could not be had */
const missingFiles = new Map();
/** @type {Set<number>} */
const filesOnTheWay = new Set();

// Read now: a script that was started by an event has no currentScript.
const nonce = document.currentScript?.nonce ?? "";

/**
 * Load a script of the report; `done` is told whether it came.
 * @param {string} url
 * @param {(came: boolean) => void} done
 */
function loadScript(url, done) {
  const script = make("script", { src: url, async: true });
  script.nonce = nonce;
  script.addEventListener("load", () => done(true));
  script.addEventListener("error", () => done(false));
  for (const end of ["load", "error"]) script.addEventListener(end, () => script.remove());
  document.head.append(script);
}

/**
 * Return the columns of an index file as typed arrays.
 * @param {IndexFile} file
 */
function columnsOf(file) {
  const { columns } = file;
  return {
    file,
    total: file.total,
    path: columns.path,
    patient: columns.patient,
    sha: columns.sha,
    status: Int8Array.from(columns.status),
    group: Int16Array.from(columns.group),
    confidence: Int16Array.from(columns.confidence),
    focus: Int16Array.from(columns.focus),
    flags: Int32Array.from(columns.flags),
    reason: Int16Array.from(columns.reason),
    /** @type {string[]} lower-case text to search, made when it is first needed */
    text: [],
    /** @type {Map<string, number> | null} */
    byPath: null,
  };
}

/**
 * Return the flags of a row, slug and words.
 * @param {Rows} rows
 * @param {number} row
 */
function flagsOf(rows, row) {
  const bits = rows.flags[row];
  return rows.file.flags.filter((_, bit) => (bits >>> bit) & 1);
}

/**
 * Return what a row is called in the CSV: a class, `uncertain`, or nothing if it was not judged.
 * @param {Rows} rows
 * @param {number} row
 */
function predictionOf(rows, row) {
  return rows.group[row] < 0 ? "" : rows.file.groups[rows.group[row]];
}

/**
 * Return why a row was not judged, in words.
 * @param {Rows} rows
 * @param {number} row
 */
function reasonOf(rows, row) {
  return rows.reason[row] < 0 ? "" : rows.file.reasons[rows.reason[row]][1];
}

/**
 * Return what is searched for words: path, pseudonym, flags and reason, in lower case.
 * @param {Rows} rows
 * @param {number} row
 */
function textOf(rows, row) {
  rows.text[row] ??= [
    rows.path[row],
    rows.patient[row],
    reasonOf(rows, row),
    ...(rows.flags[row] ? flagsOf(rows, row).map((flag) => flag[1]) : []),
  ]
    .join("\n")
    .toLowerCase();
  return rows.text[row];
}

/**
 * Return the row of a path, or undefined.
 * @param {Rows} rows
 * @param {string} path
 */
function rowOfPath(rows, path) {
  rows.byPath ??= new Map(rows.path.map((name, row) => [name, row]));
  return rows.byPath.get(path);
}

/**
 * Return how a row is called in a link: by its image, or by its number where that is not one row's.
 * @param {Rows} rows
 * @param {number} row
 */
function nameOfRow(rows, row) {
  const sha = rows.sha[row];
  return sha && rows.sha.indexOf(sha) === row ? sha : `n${row}`;
}

/**
 * Return the row that a link names, or -1.
 * @param {Rows} rows
 * @param {string} name
 */
function rowNamed(rows, name) {
  if (!name) return -1;
  const number = /^n(\d+)$/.exec(name);
  if (!number) return rows.sha.indexOf(name);
  return Number(number[1]) < rows.total ? Number(number[1]) : -1;
}

/**
 * Return the details of a row if they are here; `missing` says that they cannot be had.
 * @param {Rows} rows
 * @param {number} row
 * @returns {Detail | "missing" | null}
 */
function detailHere(rows, row) {
  const number = numberOfFile(rows, row);
  const found = loadedFiles.get(number);
  if (found) {
    loadedFiles.delete(number);
    loadedFiles.set(number, found);
    return found[row % rows.file.chunk] ?? "missing";
  }
  return missingFiles.has(number) ? "missing" : null;
}

/**
 * Return the details of a row if they are here. If they are not, they are sent for, and `arrived`
 * is called when they have come or cannot be had.
 * @param {Rows} rows
 * @param {number} row
 * @param {() => void} arrived
 * @returns {Detail | "missing" | null}
 */
function detailOf(rows, row, arrived) {
  const here = detailHere(rows, row);
  const number = numberOfFile(rows, row);
  const triedAt = missingFiles.get(number);
  const due = triedAt === undefined ? !here : performance.now() - triedAt > RETRY_MS;
  if (due && !filesOnTheWay.has(number)) {
    filesOnTheWay.add(number);
    loadScript(fileOfDetails(number), (came) => {
      filesOnTheWay.delete(number);
      if (!came || !loadedFiles.has(number)) missingFiles.set(number, performance.now());
      arrived();
    });
  }
  return here;
}

/**
 * Return the number of the file that holds a row's details, from 1.
 * @param {Rows} rows
 * @param {number} row
 */
function numberOfFile(rows, row) {
  return Math.floor(row / rows.file.chunk) + 1;
}

/** @param {number} number */
function fileOfDetails(number) {
  return `data/rows-${String(number).padStart(4, "0")}.js`;
}

/**
 * Take in a file of details, and let go of those that were not used for longest. Sorted by path,
 * every row on the screen may lie in another file: what is shown is never let go.
 * @param {number} number
 * @param {Detail[]} details
 * @param {Set<number>} shown files that hold rows that are shown
 */
function takeDetails(number, details, shown) {
  loadedFiles.set(number, details);
  missingFiles.delete(number);
  for (const old of loadedFiles.keys()) {
    if (loadedFiles.size <= FILES_KEPT) break;
    if (old !== number && !shown.has(old)) loadedFiles.delete(old);
  }
}
