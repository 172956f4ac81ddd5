// The same rows as a table.

// The height of a line, in rem; report's app.css sets the same.
const LINE_REM = 3.25;

/** The columns: title, class, and by which orders its heading sorts. */
const TABLE_COLUMNS = /** @type {const} */ ([
  ["Picture", "picture", []],
  ["Prediction", "prediction", ["need"]],
  ["Confidence", "number", ["unsure", "sure"]],
  ["Lung focus", "number focus", ["astray", "focused"]],
  ["Why to look", "why", []],
  ["File", "file", ["path"]],
  ["Patient", "patient", []],
  ["Review", "review", []],
]);

/**
 * Return the table and the list in it.
 * @param {App} app
 */
function makeTable(app) {
  const before = make("tr", { "aria-hidden": "true" });
  const after = make("tr", { "aria-hidden": "true" });
  const box = make("tbody", { tabindex: -1 });
  const head = make("tr", { "aria-rowindex": 1 });
  const table = make(
    "table",
    { class: "rows", "aria-label": "Images", "aria-rowcount": app.found.length + 1 },
    make("thead", {}, head),
    make("tbody", { class: "space" }, before),
    box,
    make("tbody", { class: "space" }, after),
  );
  const element = make("div", { class: "view" }, table);
  for (const [title, cssClass, sorts] of TABLE_COLUMNS) {
    head.append(makeHeading(app, title, cssClass, sorts));
  }

  function measure() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    return { height: Math.round(LINE_REM * rem), perLine: 1 };
  }

  /** @param {number} row @param {number} position */
  function makeItem(row, position) {
    const line = make("tr", { "aria-rowindex": position + 2, tabindex: -1 });
    line.style.height = `${measure().height}px`;
    for (const [, cssClass] of TABLE_COLUMNS) line.append(make("td", { class: cssClass }));
    line.addEventListener("focusin", () => app.goTo(row, false));
    line.addEventListener("click", () => app.goTo(row, false));
    line.addEventListener("dblclick", () => app.openLightbox());
    const open = makeButton("", () => app.openLightbox(row), {
      class: "open",
      "aria-label": `Show ${app.rows.path[row]} in full`,
    });
    open.append(make("img", { loading: "lazy", decoding: "async", alt: "" }));
    line.children[0].append(open);
    return line;
  }

  /** @param {HTMLElement} line @param {number} row @param {boolean} ask */
  function fill(line, row, ask) {
    const { rows } = app;
    const found = ask ? app.detail(row) : app.detailIfHere(row);
    const detail = found === "missing" ? null : found;
    const [picture, prediction, confidence, focus, why, file, patient, review] = /** @type {
      HTMLElement[]} */ ([...line.children]);
    const image = /** @type {HTMLImageElement} */ (find(picture, "img"));
    const url = detail?.pictures?.[0];
    if (url && image.getAttribute("src") !== url) image.src = url;
    image.hidden = !url;
    const status = rows.file.statuses[rows.status[row]];
    prediction.textContent = titleOf(rows, row);
    prediction.className = `prediction ${status}`;
    confidence.textContent = perCent(rows.confidence[row]);
    focus.textContent = rows.focus[row] < 0 ? "" : `${Math.round(rows.focus[row] / 10)} %`;
    why.textContent =
      reasonOf(rows, row) || flagsOf(rows, row).map(([, words]) => words).join("; ");
    why.title = why.textContent;
    file.replaceChildren(make("bdi", { dir: "ltr" }, rows.path[row]));
    file.title = rows.path[row];
    patient.textContent = rows.patient[row];
    markReview(line, review, app.decisions.of(row));
    line.classList.toggle("current", row === app.current);
    line.tabIndex = row === app.current || (app.current < 0 && row === app.found[0]) ? 0 : -1;
  }

  const list = new LongList({ before, box, after, measure, make: makeItem, fill });
  return { element, list };
}

/**
 * Return a heading; one that can sort is a button.
 * @param {App} app
 * @param {string} title
 * @param {string} cssClass
 * @param {readonly string[]} sorts pressing it again takes the next of them
 */
function makeHeading(app, title, cssClass, sorts) {
  const heading = make("th", { scope: "col", class: cssClass });
  const at = sorts.indexOf(app.view.sort);
  if (sorts.length === 0) {
    heading.textContent = title;
    return heading;
  }
  const next = sorts[(at + 1) % sorts.length];
  const words = SORTS[/** @type {keyof typeof SORTS} */ (next)];
  const arrow = at < 0 ? "" : at === 0 ? " ▴" : " ▾";
  if (at >= 0) heading.setAttribute("aria-sort", at === 0 ? "ascending" : "descending");
  heading.append(
    makeButton(title + arrow, () => app.change({ sort: next }), { title: `sort: ${words}` }),
  );
  return heading;
}
