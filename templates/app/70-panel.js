// The side panel: what the reader says of the current row. It never lies over a picture.

/**
 * Return the panel and what brings it up to date.
 * @param {App} app
 */
function makePanel(app) {
  const { classes } = app.rows.file;
  const what = make("p", { class: "what" });
  const file = make("p", { class: "path" });
  const choices = [...classes.map((name, at) => [name, String(at + 1)]), [UNCLEAR, "0"]].map(
    ([name, key]) => choice(name, key.length === 1 ? key : "", () => app.decide(name)),
  );
  const agree = choice("agree", "a", () => app.judge("yes"));
  const disagree = choice("disagree", "x", () => app.judge("no"));
  const note = make("textarea", { rows: 2, maxlength: 1000, "aria-label": "Note on this image" });
  note.addEventListener("change", () => app.keepNote(note.value));
  const next = choice("next open", "u", () => app.nextUnreviewed());
  const undo = choice("undo", "z", () => app.undo());
  const noteLabel = labelled("Note", note, "field");
  noteLabel.firstElementChild?.append(" ", make("kbd", {}, "n"));
  const current = make(
    "div",
    { class: "now" },
    what,
    file,
    make("div", { class: "choices two" }, agree.button, disagree.button),
    make(
      "div",
      { class: "choices", role: "group", "aria-label": "It shows" },
      ...choices.map(({ button }) => button),
    ),
    noteLabel,
  );
  const idle = make("p", { class: "note idle" });
  idle.append("Press ", make("kbd", {}, "j"), " or choose an image to begin; ");
  idle.append(make("kbd", {}, "?"), " lists the keys.");

  const bar = make("progress", { "aria-label": "Reviewed" });
  const progress = make("p", { class: "progress" });
  const message = make("p", { class: "note message", role: "status" });
  const trouble = make("p", { class: "warning", role: "alert" });
  const reader = make("span", {});
  const picker = make("input", { type: "file", accept: ".csv,text/csv", "aria-label": "Import" });
  picker.hidden = true;
  picker.addEventListener("change", async () => {
    const [chosen] = picker.files ?? [];
    if (chosen) await app.importCsv(await chosen.text(), say);
    picker.value = "";
  });
  const element = make(
    "section",
    { class: "review panel", "aria-label": "Your review" },
    make("h2", {}, "Review"),
    idle,
    current,
    make("p", { class: "note narrow" }, "Open an image to review it."),
    make("div", { class: "choices two" }, next.button, undo.button),
    bar,
    progress,
    trouble,
    make(
      "div",
      { class: "files" },
      makeButton("Export decisions.csv", () => app.exportCsv(say)),
      makeButton("Import", () => picker.click()),
      makeButton("Forget these decisions", () => app.forget(say)),
      picker,
    ),
    message,
    make(
      "p",
      { class: "note reader" },
      reader,
      makeButton("change", () => app.askName(), { class: "link", "aria-label": "Change the name" }),
      make("span", {}, " · "),
      makeButton("keys", () => app.showHelp(), { class: "link" }),
    ),
  );

  /** @param {string} text */
  function say(text) {
    message.textContent = text;
  }

  function update() {
    const { rows, current: row, decisions } = app;
    const decision = row < 0 ? undefined : decisions.of(row);
    current.hidden = row < 0;
    idle.hidden = row >= 0;
    if (row >= 0) {
      const sure = surenessOf(rows, row, null);
      what.replaceChildren(make("b", {}, titleOf(rows, row)), ` ${sure}`);
      file.textContent = rows.path[row];
      if (note !== document.activeElement) note.value = decision?.note ?? "";
    }
    choices.forEach(({ name, press }) => press(decision?.decision === name));
    agree.press(decision?.agrees === "yes");
    disagree.press(decision?.agrees === "no");
    const { reviewed, agreeing } = decisions.progress();
    bar.max = rows.total;
    bar.value = reviewed;
    const share = reviewed ? `, ${thousands(agreeing)} agree with the model` : "";
    progress.textContent = `${thousands(reviewed)} of ${thousands(rows.total)} reviewed${share}`;
    undo.button.disabled = decisions.undoable.length === 0;
    trouble.textContent = decisions.trouble;
    trouble.hidden = !decisions.trouble;
    const name = setting("reviewer");
    reader.textContent = name ? `Reader: ${name} · ` : "Reader: not named yet · ";
  }

  return { element, update, note };
}

/**
 * Return a button with its key on it, and what shows it pressed.
 * @param {string} name
 * @param {string} key
 * @param {() => void} action
 */
function choice(name, key, action) {
  const button = makeButton("", action);
  if (key) button.append(make("kbd", { "aria-hidden": "true" }, key));
  button.append(make("span", {}, name));
  if (key) button.setAttribute("aria-keyshortcuts", key);
  /** @param {boolean} pressed */
  const press = (pressed) => button.setAttribute("aria-pressed", String(pressed));
  return { name, button, press };
}
