// What is shown and what is current, and everything that changes it.

class App {
  /**
   * @param {Rows} rows
   * @param {HTMLElement} root
   */
  constructor(rows, root) {
    this.rows = rows;
    /** @type {View} */
    this.view = viewOf(location.hash);
    this.current = rowNamed(rows, this.view.row);
    this.stopwatch = new Stopwatch();
    const soon = afterPause(() => this.decided(), 0);
    this.decisions = new Decisions(rows, soon);
    const { found, counts } = this.select();
    this.found = found;
    this.counts = counts;
    this.place = afterPause(() => putIntoAddress(this.view, false), 300);
    this.toolbar = makeToolbar(this);
    this.panel = makePanel(this);
    this.lightbox = makeLightbox(this);
    this.holder = make("div", { class: "holder" });
    this.list = this.makeView();
    root.append(
      this.toolbar.element,
      make("div", { class: "columns" }, this.holder, make("aside", {}, this.panel.element)),
      make("p", { class: "spoken", id: "spoken", role: "status" }),
    );
    root.hidden = false;
    this.list.show(this.found, Number(this.view.part || 1) - 1);
    this.toolbar.update();
    this.toolbar.updateParts();
    this.panel.update();
    new ResizeObserver(() => this.stick()).observe(this.toolbar.element);
    window.addEventListener("popstate", () => this.restore());
    window.addEventListener("hashchange", () => this.restore());
    window.addEventListener("pagehide", () => this.leaveNote());
    this.stopwatch.lookAt(this.current);
    if (this.current >= 0) this.reveal(false);
    if (this.view.open && this.current >= 0) this.lightbox.open();
  }

  /** Return how much of the window the toolbar covers, and tell the style sheet. */
  stick() {
    const { element } = this.toolbar;
    const covered = getComputedStyle(element).position === "sticky" ? element.offsetHeight : 0;
    document.documentElement.style.setProperty("--stuck", `${covered}px`);
    return covered;
  }

  select() {
    return select(this.rows, this.view, (row) => this.decisions.reviewOf(row));
  }

  makeView() {
    this.list?.close();
    const { element, list } = this.view.layout === "table" ? makeTable(this) : makeCards(this);
    this.holder.replaceChildren(element);
    return list;
  }

  /**
   * Change the view: filters, order, cards or table.
   * @param {Partial<View>} changes
   * @param {boolean} [step] whether the back button undoes it
   */
  change(changes, step = true) {
    this.view = { ...this.view, ...changes, part: "" };
    putIntoAddress(this.view, step);
    this.refresh();
    // A key must not decide on an image that is not to be seen.
    if (this.current >= 0 && !this.found.includes(this.current)) {
      this.setCurrent(-1);
      this.drawCurrent();
    }
    if (this.toolbar.element.getBoundingClientRect().top <= 0) {
      this.holder.scrollIntoView({ block: "start", behavior: "instant" });
    }
  }

  /** Find the rows of the view anew and show them. */
  refresh() {
    ({ found: this.found, counts: this.counts } = this.select());
    this.list = this.makeView();
    this.list.show(this.found, Number(this.view.part || 1) - 1);
    this.toolbar.update();
    this.toolbar.updateParts();
    this.panel.update();
  }

  /** Show what the address asks for: the back button was pressed, or a link followed. */
  restore() {
    const asked = viewOf(location.hash);
    if (hashOf(asked) === hashOf(this.view)) return;
    const listed = LIST_KEYS.some((key) => asked[key] !== this.view[key]);
    this.view = asked;
    const row = rowNamed(this.rows, asked.row);
    if (row >= 0) this.setCurrent(row);
    if (listed) this.refresh();
    if (row >= 0 && !asked.open) this.reveal(true);
    if (asked.open && row >= 0) this.lightbox.open();
    else this.lightbox.close();
    this.drawCurrent();
  }

  /** @param {number} part */
  showPart(part) {
    this.view = { ...this.view, part: part ? String(part + 1) : "" };
    putIntoAddress(this.view, true);
    this.refresh();
    this.holder.scrollIntoView({ block: "start", behavior: "instant" });
  }

  /**
   * Return the details of a row if they are here; they are sent for, and shown when they come.
   * @param {number} row
   */
  detail(row) {
    return detailOf(this.rows, row, () => {
      this.list.refill(false);
      this.lightbox.update();
    });
  }

  /** @param {number} row */
  detailIfHere(row) {
    return detailHere(this.rows, row);
  }

  /** Return the files that hold the details of rows that are shown. */
  filesShown() {
    const rows = this.current < 0 ? this.list.drawn() : [...this.list.drawn(), this.current];
    return new Set(rows.map((row) => numberOfFile(this.rows, row)));
  }

  /** What is being typed is a note on the row that is current until now. */
  leaveNote() {
    if (document.activeElement === this.panel.note) this.panel.note.blur();
  }

  /** @param {number} row */
  setCurrent(row) {
    this.leaveNote();
    this.current = row;
    this.stopwatch.lookAt(row);
  }

  /**
   * Make a row the current one.
   * @param {number} row
   * @param {boolean} [focus] move the keyboard's focus to it, and bring it into the window
   */
  goTo(row, focus = true) {
    if (row !== this.current) {
      this.setCurrent(row);
      this.view = { ...this.view, row: nameOfRow(this.rows, row) };
      this.place();
      this.drawCurrent();
    }
    if (focus) this.reveal(true);
  }

  drawCurrent() {
    this.list.refill(false);
    this.panel.update();
    this.lightbox.update();
  }

  /** @param {boolean} focus */
  reveal(focus) {
    const position = this.found.indexOf(this.current);
    if (position < 0) return;
    const part = this.list.part;
    const item = this.list.reveal(position, this.stick());
    if (part !== this.list.part) this.toolbar.updateParts();
    if (focus && !this.isOpen()) item?.focus({ preventScroll: true });
  }

  /** @param {number} by 1: the next image, -1: the one before; none is current here: the first */
  step(by) {
    const position = this.found.indexOf(this.current);
    const first = this.list.part * this.list.perPart();
    const here = position >= first && position < first + this.list.perPart();
    const next = here ? position + by : first;
    if (next >= 0 && next < this.found.length) this.goTo(this.found[next]);
    else announce(by > 0 ? "This is the last image." : "This is the first image.");
  }

  nextUnreviewed() {
    const { found, decisions } = this;
    const from = found.indexOf(this.current) + 1;
    for (let at = 0; at < found.length; at++) {
      const row = found[(from + at) % found.length];
      if (decisions.reviewOf(row) === "no") {
        this.goTo(row);
        return;
      }
    }
    announce("All of these images are reviewed.");
  }

  isOpen() {
    return this.lightbox.element.open;
  }

  /** @param {number} [row] */
  openLightbox(row = this.current) {
    if (row < 0) return;
    this.goTo(row, false);
    this.view = { ...this.view, row: nameOfRow(this.rows, row), open: "1" };
    putIntoAddress(this.view, true);
    this.lightbox.open();
  }

  closeLightbox() {
    this.lightbox.close();
    this.view = { ...this.view, open: "" };
    putIntoAddress(this.view, true);
    this.reveal(true);
  }

  /** @param {string} name a class, or `unclear` */
  decide(name) {
    const said = agrees(name, predictionOf(this.rows, this.current)) ? "yes" : "no";
    this.record({ decision: name, agrees: said });
  }

  /**
   * Say that the model is right (`yes`) or not (`no`), which may leave open what it is.
   * @param {"yes" | "no"} said
   */
  judge(said) {
    const prediction = predictionOf(this.rows, this.current);
    const right = prediction === "uncertain" ? UNCLEAR : prediction;
    const named = this.decisions.of(this.current)?.decision ?? "";
    // Whoever has named another class disagrees already; the class stays.
    const other = named === right ? "" : named;
    this.record({ decision: said === "yes" ? right : other, agrees: said });
  }

  /** @param {string} text */
  keepNote(text) {
    const before = this.decisions.of(this.current);
    const note = text.trim();
    if (note === (before?.note ?? "")) return;
    if (note || before?.agrees || before?.decision) this.record({ note });
    else this.decisions.keep(this.current, undefined);
  }

  /** @param {Partial<Decision>} said */
  async record(said) {
    const row = this.current;
    if (row < 0) {
      announce("Choose an image first.");
      return;
    }
    if (!setting("reviewer") && !(await askForName())) {
      announce("Nothing was decided: a decision needs a name.");
      return;
    }
    this.decisions.readAs(setting("reviewer"));
    const before = this.decisions.of(row);
    const detail = this.detailIfHere(row);
    const seconds = (before?.seconds ?? 0) + this.stopwatch.take(row);
    const decision = {
      decision: "",
      agrees: "",
      note: "",
      ...before,
      ...said,
      reviewer: setting("reviewer"),
      at: new Date().toISOString(),
      seconds: Math.round(seconds * 10) / 10,
      sha256: detail && detail !== "missing" ? detail.sha256 : this.rows.sha[row],
    };
    this.decisions.keep(row, decision);
    announce(`${decision.decision} ${SPOKEN[decision.agrees] ?? "note kept"}`.trim());
  }

  /** Something was decided, here or in another tab. The list stays as it is until it is asked for
   * anew: a row must not vanish under the reader because it no longer is "not reviewed". */
  decided() {
    ({ counts: this.counts } = this.select());
    this.list.refill(false);
    this.toolbar.update();
    this.panel.update();
  }

  undo() {
    const row = this.decisions.undo();
    if (row >= 0) this.goTo(row);
    announce(row < 0 ? "There is nothing to undo." : "Undone.");
  }

  writeNote() {
    if (this.current < 0) return;
    this.panel.note.focus();
    this.panel.note.select();
  }

  showHelp() {
    openHelp();
  }

  async askName() {
    await askForName();
    this.decisions.readAs(setting("reviewer"));
    this.panel.update();
  }

  /** @param {(text: string) => void} say */
  exportCsv(say) {
    const many = this.decisions.all.size;
    if (many) saveAs("decisions.csv", decisionsAsCsv(this.decisions));
    say(many ? `${thousands(many)} decisions exported.` : "There is nothing to export yet.");
  }

  /** @param {(text: string) => void} say */
  async forget(say) {
    const many = this.decisions.all.size;
    if (!many) say("There is nothing to forget.");
    else if (await askToForget(many, () => this.exportCsv(say))) {
      this.decisions.forget();
      say(`${thousands(many)} decisions removed from this browser.`);
    }
  }

  /**
   * @param {string} text
   * @param {(text: string) => void} say
   */
  async importCsv(text, say) {
    const names = reviewersIn(text);
    if (!setting("reviewer") && names.length === 1) keepSetting("reviewer", names[0]);
    if (!setting("reviewer") && !(await askForName())) return;
    this.decisions.readAs(setting("reviewer"));
    try {
      say(takeCsv(this.decisions, text, setting("reviewer")));
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
  }
}

/** @type {Record<string, string>} */
const SPOKEN = Object.freeze({ yes: "agrees with the model", no: "disagrees with the model" });
