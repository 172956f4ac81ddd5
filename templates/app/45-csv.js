// decisions.csv, written and read (RFC 4180): what `cxr-scan review` merges.

const CSV_COLUMNS = Object.freeze([
  "path",
  "sha256",
  "decision",
  "agrees",
  "reviewer",
  "decided_at",
  "seconds",
  "note",
  "model",
]);

// What scanner/text.py escapes, character for character; with the flag u, surrogates are lone ones.
const UNSAFE =
  // eslint-disable-next-line no-control-regex
  /[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\\]/gu;
const ESCAPED = /\\(?:\\|x[0-9a-f]{2}|u[0-9a-f]{4})/g;

/**
 * Return a text as a cell that no spreadsheet takes for a formula (OWASP, CSV injection), as the
 * scan writes its own: on one line, backslashes doubled, an apostrophe before what would calculate.
 * @param {string} text
 */
function guarded(text) {
  const line = text.replace(UNSAFE, (character) => {
    if (character === "\\") return "\\\\";
    const code = character.charCodeAt(0);
    // A byte of a file name that is not UTF-8 (PEP 383).
    if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
    const digits = code.toString(16);
    return code < 0x80 ? `\\x${digits.padStart(2, "0")}` : `\\u${digits.padStart(4, "0")}`;
  });
  return /^[=+\-@']/.test(line) ? `'${line}` : line;
}

/**
 * Return what a guarded cell stands for.
 * @param {string} cell
 */
function unguarded(cell) {
  return cell.replace(/^'/, "").replace(ESCAPED, (escape) => {
    if (escape === "\\\\") return "\\";
    const code = parseInt(escape.slice(2), 16);
    return String.fromCharCode(escape[1] === "x" && code >= 0x80 ? code + 0xdc00 : code);
  });
}

/**
 * Return a text with spaces for its line breaks: notes are read in spreadsheets.
 * @param {string} text
 */
function onOneLine(text) {
  return text.replace(/[\t\n\v\f\r\x85\u2028\u2029]+/g, " ");
}

/**
 * Return a line of a CSV file, its cells quoted where they must be.
 * @param {string[]} cells
 */
function csvLine(cells) {
  const quoted = cells.map((cell) =>
    /[",\r\n]/.test(cell) ? `"${cell.replace(/"/g, '""')}"` : cell,
  );
  return `${quoted.join(",")}\r\n`;
}

/**
 * Return the rows of a CSV file as lists of cells; quoted cells may hold line breaks. Commas,
 * semicolons and tabs are understood: what the first line has most of parts its cells.
 * @param {string} text
 * @returns {string[][]}
 */
function csvRows(text) {
  const whole = text.replace(/^\ufeff/, "");
  const head = whole.split(/\r?\n/, 1)[0];
  const [comma] = [",", ";", "\t"].sort((a, b) => head.split(b).length - head.split(a).length);
  const rows = [];
  let cells = [];
  let cell = "";
  let quoted = false;
  for (let at = 0; at < whole.length; at++) {
    const character = whole[at];
    if (quoted) {
      if (character !== '"') cell += character;
      else if (whole[at + 1] === '"') cell += whole[++at];
      else quoted = false;
    } else if (character === '"' && cell === "") {
      quoted = true;
    } else if (character === comma || character === "\n") {
      cells.push(cell.replace(/\r$/, ""));
      cell = "";
      if (character === "\n") {
        rows.push(cells);
        cells = [];
      }
    } else {
      cell += character;
    }
  }
  if (cell || cells.length) rows.push([...cells, cell]);
  return rows.filter((row) => row.length > 1 || row[0]);
}

/**
 * Return decisions.csv of all readers' decisions, in the order of need.
 * @param {Decisions} decisions
 */
function decisionsAsCsv(decisions) {
  const { rows, all } = decisions;
  const inOrder = [...all]
    .map(([key, decision]) => ({ ...decisions.about(key), decision }))
    .sort((a, b) => {
      const [first, second] = [a.row ?? rows.total, b.row ?? rows.total];
      return first - second || (a.reader < b.reader ? -1 : 1);
    });
  const lines = inOrder.map(({ path, decision: d }) =>
    csvLine([
      guarded(unguarded(path)), // as it is, in a predictions.csv that the scan wrote
      guarded(d.sha256),
      guarded(d.decision),
      guarded(d.agrees),
      guarded(onOneLine(d.reviewer)),
      guarded(d.at),
      d.seconds.toFixed(1),
      guarded(onOneLine(d.note)),
      guarded(rows.file.model),
    ]),
  );
  return csvLine([...CSV_COLUMNS]) + lines.join("");
}

/**
 * Take in a decisions.csv: the decisions of `reviewer`, the later one where a row has two. Returns
 * a sentence on what came of it. Throws an Error with a sentence if the file is none.
 * @param {Decisions} decisions
 * @param {string} text
 * @param {string} reviewer
 */
function takeCsv(decisions, text, reviewer) {
  const [head, ...lines] = csvRows(text);
  const names = headings(head);
  const places = CSV_COLUMNS.map((name) => names.indexOf(name));
  if (places.includes(-1)) {
    const missing = CSV_COLUMNS[places.indexOf(-1)];
    throw new Error(`This is no decisions.csv: it has no column "${missing}".`);
  }
  const known = new Set([...decisions.rows.file.classes, UNCLEAR, ""]);
  let taken = 0;
  let older = 0;
  let unknown = 0;
  let others = 0;
  let damaged = "";
  let many = 0;
  for (const [at, line] of lines.entries()) {
    const cells = places.map((place) => line[place] ?? "");
    const path = cells[0]; // with the blanks that a file name may begin or end with
    const [, sha256, decision, agreeing, name, time, seconds, note] = cells.map((c) => c.trim());
    const row =
      rowOfPath(decisions.rows, path) ?? rowOfPath(decisions.rows, guarded(unguarded(path)));
    const when = timeOf(time);
    const spent = secondsOf(seconds);
    const hash = sha256.toLowerCase();
    const fault =
      (when === null && "decided_at is no time like 2026-11-23T07:15:00Z") ||
      (spent === null && "seconds is no number") ||
      (!/^[0-9a-f]{0,64}$/.test(hash) && "sha256 is none");
    if (fault || when === null || spent === null) {
      damaged ||= `the first in row ${at + 2}: ${fault}`;
      many++;
    } else if (row === undefined || !hash.startsWith(decisions.rows.sha[row])) unknown++;
    else if (!known.has(unguarded(decision)) || !/^(yes|no|)$/i.test(agreeing)) unknown++;
    else if (comparedName(unguarded(name)) !== comparedName(reviewer)) others++;
    else if (Date.parse(decisions.of(row)?.at ?? "") >= when) older++;
    else {
      decisions.keep(row, {
        decision: unguarded(decision),
        agrees: agreeing.toLowerCase(),
        reviewer: unguarded(name),
        at: new Date(when).toISOString(),
        seconds: spent,
        note: unguarded(note),
        sha256: hash,
      }, false);
      taken++;
    }
  }
  const said = [`${thousands(taken)} decisions taken in`];
  if (older) said.push(`${thousands(older)} known already`);
  if (others) said.push(`${thousands(others)} of other readers left out (cxr-scan review merges)`);
  if (unknown) said.push(`${thousands(unknown)} that do not fit this report`);
  if (many) said.push(`${thousands(many)} damaged (${damaged})`);
  return `${said.join(", ")}.`;
}

/**
 * Return a point in time in milliseconds, or null if a text is none. As `cxr-scan review` reads
 * it: without a zone it is UTC.
 * @param {string} text
 */
function timeOf(text) {
  const found =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)(Z|[+-]\d\d:?\d\d)?)?$/.exec(text);
  if (!found) return null;
  const [, day, clock = "00:00", zone = "Z"] = found;
  const colon = zone.replace(/^(...)(\d\d)$/, "$1:$2");
  const time = Date.parse(`${day}T${clock.replace(",", ".")}${colon}`);
  return Number.isFinite(time) ? time : null;
}

/**
 * Return seconds, 0 if none are given, null if a text is no number of them. Spreadsheets of many
 * countries write a comma.
 * @param {string} text
 */
function secondsOf(text) {
  const seconds = Number(text.replace(",", "."));
  return seconds >= 0 && seconds < Infinity ? Math.round(seconds * 10) / 10 : null;
}

/** @param {string[] | undefined} head */
function headings(head) {
  return (head ?? []).map((name) => name.trim().toLowerCase());
}

/**
 * Return the readers whom a decisions.csv names, as it spells them.
 * @param {string} text
 */
function reviewersIn(text) {
  const [head, ...lines] = csvRows(text);
  const place = headings(head).indexOf("reviewer");
  return [...new Set(lines.map((line) => unguarded((line[place] ?? "").trim())))].filter(Boolean);
}

/**
 * Have the browser save a text as a file.
 * @param {string} name
 * @param {string} text
 */
function saveAs(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
