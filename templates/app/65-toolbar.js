// What is to be shown: filters, order, cards or table. It stays in sight while one scrolls.

/** Typing is over when nothing was typed for so long; then rows are searched. */
const TYPING_MS = 120;

const REVIEW_WORDS = Object.freeze({
  no: "not reviewed",
  yes: "reviewed",
  agree: "agrees with the model",
  disagree: "disagrees with the model",
});

/**
 * Return the toolbar and what brings it up to date.
 * @param {App} app
 */
function makeToolbar(app) {
  const { file } = app.rows;
  const search = make("input", {
    type: "search",
    placeholder: "file, flag, reason, patient",
    autocomplete: "off",
    spellcheck: "false",
    id: "search",
  });
  const type = afterPause(() => app.change({ q: search.value.trim() }, false), TYPING_MS);
  search.addEventListener("input", type);

  const choosers = {
    need: makeChooser("Worklist", "need", [["", file.needs.map(([slug, words]) => [slug, words])]]),
    group: makeChooser("Class", "group", [["", file.groups.map((name) => [name, name])]]),
    status: makeChooser("Status", "status", [["", file.statuses.map((name) => [name, name])]]),
    mark: makeChooser("Flag or reason", "mark", [
      ["flags", file.flags.map(([slug, words]) => [`f:${slug}`, words])],
      ["not judged, because", file.reasons.map(([slug, words]) => [`r:${slug}`, words])],
    ]),
    review: makeChooser("Review", "review", [["", Object.entries(REVIEW_WORDS)]]),
  };
  const sort = make("select", {}, ...Object.entries(SORTS).map(([k, words]) => option(k, words)));
  sort.addEventListener("change", () => app.change({ sort: sort.value }));
  const confidence = makeRange("Confidence", "conf");
  const focus = makeRange("Lung focus", "focus");
  const clear = makeButton("Clear filters", () => {
    app.change(Object.fromEntries(FILTER_KEYS.map((key) => [key, ""])));
  });
  const cards = makeButton("Cards", () => app.change({ layout: "cards" }));
  const table = makeButton("Table", () => app.change({ layout: "table" }));
  const count = make("p", { class: "shown", role: "status" });
  const parts = make("nav", { class: "pager", "aria-label": "Parts of the list" });

  const more = make(
    "details",
    { class: "more" },
    make("summary", {}, "More filters"),
    make(
      "div",
      { class: "fields" },
      choosers.status.field,
      choosers.mark.field,
      confidence.field,
      focus.field,
    ),
  );
  const element = make(
    "div",
    { class: "toolbar", role: "search", "aria-label": "Filter and sort" },
    make(
      "div",
      { class: "fields" },
      labelled("Find", search, "field find"),
      choosers.need.field,
      choosers.group.field,
      choosers.review.field,
      labelled("Sort by", sort),
    ),
    more,
    make(
      "div",
      { class: "line" },
      count,
      clear,
      parts,
      make("div", { class: "switch", role: "group", "aria-label": "View" }, cards, table),
    ),
  );

  /**
   * @param {string} label
   * @param {(typeof FACETS)[number]} key
   * @param {[string, [string, string][]][]} groups heading, and value and words of each choice
   */
  function makeChooser(label, key, groups) {
    const chooser = make("select", {}, option("", ""));
    /** @type {Map<HTMLOptionElement, string>} */
    const words = new Map([[chooser.options[0], "all"]]);
    for (const [heading, choices] of groups) {
      const made = choices.map(([value, text]) => {
        const choice = option(value, text);
        words.set(choice, text);
        return choice;
      });
      if (heading) chooser.append(make("optgroup", { label: heading }, ...made));
      else chooser.append(...made);
    }
    chooser.addEventListener("change", () => app.change({ [key]: chooser.value }));
    /** @param {Counts} counts */
    const update = (counts) => {
      for (const [choice, text] of words) {
        const many = counts[key].get(choice.value) ?? 0;
        choice.textContent = `${text} (${thousands(many)})`;
        choice.hidden = many === 0 && choice.value !== "" && choice.value !== app.view[key];
      }
      chooser.value = app.view[key];
      chooser.classList.toggle("set", app.view[key] !== "");
    };
    return { field: labelled(label, chooser), update };
  }

  /**
   * @param {string} label
   * @param {"conf" | "focus"} key
   */
  function makeRange(label, key) {
    const inputs = ["from", "to"].map((end) =>
      make("input", {
        type: "number",
        min: 0,
        max: 100,
        step: 1,
        inputmode: "numeric",
        "aria-label": `${label} ${end} per cent`,
        placeholder: end === "from" ? "0" : "100",
      }),
    );
    const changed = afterPause(() => {
      const [from, to] = inputs.map((input) => input.value && String(clamp(+input.value, 0, 100)));
      app.change({ [key]: from || to ? `${from && parseInt(from)}-${to && parseInt(to)}` : "" });
    }, TYPING_MS);
    for (const input of inputs) input.addEventListener("input", changed);
    const field = make(
      "div",
      { class: "field range", role: "group", "aria-label": `${label}, per cent` },
      make("span", {}, label),
      make("span", { class: "ends" }, inputs[0], "to", inputs[1], "%"),
    );
    const update = () => {
      const ends = app.view[key].split("-");
      inputs.forEach((input, at) => {
        if (input !== document.activeElement) input.value = ends[at] ?? "";
      });
    };
    return { field, update };
  }

  function update() {
    const { view, counts, found } = app;
    for (const chooser of Object.values(choosers)) chooser.update(counts);
    confidence.update();
    focus.update();
    if (search !== document.activeElement) search.value = view.q;
    sort.value = view.sort;
    cards.setAttribute("aria-pressed", String(view.layout === "cards"));
    table.setAttribute("aria-pressed", String(view.layout === "table"));
    const filtered = FILTER_KEYS.some((key) => view[key]);
    clear.hidden = !filtered;
    if (view.status || view.mark || view.conf || view.focus) more.open = true;
    const all = thousands(app.rows.total);
    count.textContent = filtered ? `${thousands(found.length)} of ${all} images` : `${all} images`;
  }

  function updateParts() {
    const { list } = app;
    const many = list.parts();
    parts.replaceChildren();
    parts.hidden = many < 2;
    if (many < 2) return;
    const first = list.part * list.perPart();
    const last = Math.min(first + list.perPart(), app.found.length);
    const back = makeButton("← previous", () => app.showPart(list.part - 1));
    const on = makeButton("next →", () => app.showPart(list.part + 1));
    back.disabled = list.part === 0;
    on.disabled = list.part === many - 1;
    const text = `${thousands(first + 1)} to ${thousands(last)}`;
    parts.append(back, make("span", {}, `shown: ${text}, as many as a browser lays out`), on);
  }

  return { element, update, updateParts, search };
}

/**
 * @param {string} value
 * @param {string} text
 */
function option(value, text) {
  return make("option", { value }, text);
}
