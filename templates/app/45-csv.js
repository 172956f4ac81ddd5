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

/**
 * Return a text as a cell that no spreadsheet takes for a formula (OWASP, CSV injection), as the
 * scan writes its own. Line breaks become spaces: a row is a line.
 * @param {string} text
 */
function guarded(text) {
  // eslint-disable-next-line no-control-regex
  const line = text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, " ");
  return /^[=+\-@']/.test(line) ? `'${line}` : line;
}

/**
 * Return what a guarded cell stands for.
 * @param {string} cell
 */
function unguarded(cell) {
  return cell.startsWith("'") ? cell.slice(1) : cell;
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
 * Return decisions.csv of all decisions, in the order of need.
 * @param {Decisions} decisions
 */
function decisionsAsCsv(decisions) {
  const { rows, byRow, strays } = decisions;
  const inOrder = [...byRow].sort(([a], [b]) => a - b);
  /** @type {[string, Decision][]} */
  const all = [
    ...inOrder.map(([row, d]) => /** @type {[string, Decision]} */ ([rows.path[row], d])),
    ...strays,
  ];
  const lines = all.map(([path, d]) =>
    csvLine([
      path, // guarded already, by the scan that wrote it
      d.sha256,
      guarded(d.decision),
      d.agrees,
      guarded(d.reviewer),
      d.at,
      d.seconds.toFixed(1),
      guarded(d.note),
      rows.file.model,
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
  const places = CSV_COLUMNS.map((name) => (head ?? []).indexOf(name));
  if (places.includes(-1)) {
    const missing = CSV_COLUMNS[places.indexOf(-1)];
    throw new Error(`This is no decisions.csv: it has no column "${missing}".`);
  }
  const known = new Set([...decisions.rows.file.classes, UNCLEAR, ""]);
  let taken = 0;
  let older = 0;
  let unknown = 0;
  let others = 0;
  for (const line of lines) {
    const cells = places.map((place) => line[place] ?? "");
    const [path, sha256, decision, agreeing, name, at, seconds, note] = cells;
    const row = rowOfPath(decisions.rows, path) ?? rowOfPath(decisions.rows, unguarded(path));
    if (row === undefined || !sha256.startsWith(decisions.rows.sha[row])) unknown++;
    else if (!known.has(unguarded(decision)) || !/^(yes|no|)$/.test(agreeing)) unknown++;
    else if (unguarded(name).toLowerCase() !== reviewer.toLowerCase()) others++;
    else if ((decisions.of(row)?.at ?? "") >= at) older++;
    else {
      decisions.keep(row, {
        decision: unguarded(decision),
        agrees: agreeing,
        reviewer: unguarded(name),
        at,
        seconds: Number(seconds) || 0,
        note: unguarded(note),
        sha256,
      }, false);
      taken++;
    }
  }
  const said = [`${thousands(taken)} decisions taken in`];
  if (older) said.push(`${thousands(older)} known already`);
  if (others) said.push(`${thousands(others)} of other readers left out (cxr-scan review merges)`);
  if (unknown) said.push(`${thousands(unknown)} that do not fit this report`);
  return `${said.join(", ")}.`;
}

/**
 * Return the readers whom a decisions.csv names, as it spells them.
 * @param {string} text
 */
function reviewersIn(text) {
  const [head, ...lines] = csvRows(text);
  const place = (head ?? []).indexOf("reviewer");
  return [...new Set(lines.map((line) => unguarded(line[place] ?? "")))].filter(Boolean);
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
