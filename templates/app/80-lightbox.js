// One image in full: the radiograph with the heat map over it, windowed, enlarged, moved.

const GRAD_CAM =
  "Grad-CAM shows where in the image the evidence for the predicted class lies, relative to its " +
  "own maximum. It does not show why, nor that the prediction is right, nor where a disease is.";

const MOST_ZOOM = 12;
const ZOOM_STEP = 1.25;
// A drag over so many pixels goes through all grey levels once.
const DRAG_PIXELS = 500;
// A window narrower than this share of the grey levels shows nothing but noise of 8 bits.
const NARROWEST = 0.04;

/**
 * Return the lightbox and what opens it and brings it up to date.
 * @param {App} app
 */
function makeLightbox(app) {
  const plain = make("img", { class: "plain", alt: "", draggable: "false" });
  const overlay = make("img", { class: "overlay", alt: "", draggable: "false" });
  const film = make("div", { class: "film" }, plain, overlay);
  const missing = make("p", { class: "missing" });
  const stage = make("div", { class: "stage", tabindex: 0 }, film, missing);
  const where = make("p", { class: "where" });
  const heat = makeSlider("Heat map", 0, 100, 0);
  const centre = makeSlider("Level", 0, 100, 50);
  const width = makeSlider("Window", 4, 200, 100);
  const invert = makeButton("Invert", () => toggleInvert(), { "aria-keyshortcuts": "i" });
  const pan = makeButton("Drag moves", () => togglePan(), { title: "else it windows" });
  const back = makeButton("← Previous", () => app.step(-1));
  const on = makeButton("Next →", () => app.step(1));
  const facts = make("div", { class: "about" });
  const side = make("div", { class: "side" });
  const slope = windowFilter();
  const dialog = make(
    "dialog",
    { class: "lightbox", "aria-label": "Image in full" },
    make(
      "div",
      { class: "bar-top" },
      where,
      back,
      on,
      makeButton("Close", () => app.closeLightbox(), { "aria-keyshortcuts": "Escape" }),
    ),
    stage,
    make(
      "div",
      { class: "tools" },
      heat.field,
      centre.field,
      width.field,
      make(
        "div",
        { class: "buttons" },
        invert,
        pan,
        makeButton("−", () => zoomBy(1 / ZOOM_STEP), { "aria-label": "Smaller" }),
        makeButton("+", () => zoomBy(ZOOM_STEP), { "aria-label": "Larger" }),
        makeButton("Reset", () => reset(), { "aria-keyshortcuts": "r" }),
      ),
      make("p", { class: "note" }, GRAD_CAM),
    ),
    make("div", { class: "aside" }, side, facts),
    make("p", { class: "spoken", role: "status" }),
    slope.svg,
  );
  document.body.append(dialog);

  let zoom = 1;
  let [x, y] = [0, 0];
  let inverted = false;
  let panning = false;
  // How strong the heat map is when the space bar brings it back. At first it is away: look at the
  // radiograph first, then at what the model saw.
  let strength = 60;
  /** @type {HTMLElement | null} */
  let panelHome = null;

  heat.input.addEventListener("input", () => {
    if (+heat.input.value > 0) strength = +heat.input.value;
    draw();
  });
  centre.input.addEventListener("input", draw);
  width.input.addEventListener("input", draw);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    app.closeLightbox();
  });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 400), event);
  });
  plain.addEventListener("error", () => say("The picture cannot be loaded."));
  followPointers(stage, { drag, pinch: zoomBy });

  /** @param {string} text */
  function say(text) {
    missing.textContent = text;
    missing.hidden = !text;
  }

  function draw() {
    const [middle, wide] = [+centre.input.value / 100, +width.input.value / 100];
    slope.set(1 / wide, 0.5 - middle / wide, inverted);
    const changed = inverted || middle !== 0.5 || wide !== 1;
    plain.style.filter = changed ? "url(#window)" : "none";
    overlay.style.opacity = String(+heat.input.value / 100);
    film.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    invert.setAttribute("aria-pressed", String(inverted));
    pan.setAttribute("aria-pressed", String(panning));
    stage.classList.toggle("panning", panning);
    heat.output.textContent = `${heat.input.value} %`;
    centre.output.textContent = `${centre.input.value} %`;
    width.output.textContent = `${width.input.value} %`;
  }

  /**
   * @param {number} factor
   * @param {{clientX: number, clientY: number}} [at] stays where it is
   */
  function zoomBy(factor, at) {
    const box = stage.getBoundingClientRect();
    const [px, py] = at
      ? [at.clientX - box.left - box.width / 2, at.clientY - box.top - box.height / 2]
      : [0, 0];
    const next = clamp(zoom * factor, 1, MOST_ZOOM);
    x = px - ((px - x) * next) / zoom;
    y = py - ((py - y) * next) / zoom;
    zoom = next;
    moveBy(0, 0);
  }

  /** @param {number} dx @param {number} dy */
  function moveBy(dx, dy) {
    const [mx, my] = [stage.clientWidth, stage.clientHeight].map((side) => (side * (zoom - 1)) / 2);
    x = clamp(x + dx, -mx, mx);
    y = clamp(y + dy, -my, my);
    draw();
  }

  /** @param {number} dx @param {number} dy @param {boolean} moves the picture, whatever the mode */
  function drag(dx, dy, moves) {
    if (moves || panning) {
      moveBy(dx, dy);
      return;
    }
    // As on workstations: to the right a wider window, down a darker picture.
    width.input.value = String(clamp(+width.input.value + (200 * dx) / DRAG_PIXELS, 4, 200));
    centre.input.value = String(clamp(+centre.input.value + (100 * dy) / DRAG_PIXELS, 0, 100));
    draw();
  }

  function reset() {
    [zoom, x, y, inverted] = [1, 0, 0, false];
    centre.input.value = "50";
    width.input.value = "100";
    draw();
  }

  function toggleHeat() {
    heat.input.value = heat.input.value === "0" ? String(strength) : "0";
    draw();
  }

  function toggleInvert() {
    inverted = !inverted;
    draw();
  }

  function togglePan() {
    panning = !panning;
    draw();
  }

  /** Show the current row. */
  function update() {
    if (!dialog.open || app.current < 0) return;
    const { rows, current: row } = app;
    const found = app.detail(row);
    const detail = found === "missing" ? null : found;
    const position = app.found.indexOf(row);
    where.textContent = `${thousands(position + 1)} of ${thousands(app.found.length)}`;
    back.disabled = position <= 0;
    on.disabled = position === app.found.length - 1;
    const [url, over] = detail?.pictures ?? [];
    show(plain, detail?.detail ?? url);
    show(overlay, over);
    stage.setAttribute("role", "img");
    stage.setAttribute("aria-label", `Radiograph ${rows.path[row]}`);
    heat.input.disabled = !over;
    heat.name.textContent = detail?.best ? `Evidence for ${detail.best}` : "Heat map";
    say(found === "missing" ? "The details cannot be loaded." : found && !url ? "No picture." : "");
    facts.replaceChildren(newCard());
    const card = /** @type {HTMLElement} */ (facts.firstElementChild);
    fillCard(card, rows, row, found);
    find(card, ".pictures").remove();
    slot(card, "missing").remove();
    draw();
  }

  function open() {
    if (dialog.open) return;
    panelHome = app.panel.element.parentElement;
    side.append(app.panel.element);
    reset();
    dialog.showModal();
    stage.focus();
    update();
  }

  function close() {
    if (!dialog.open) return;
    dialog.close();
    panelHome?.append(app.panel.element);
  }

  /**
   * Do what a key says; return whether it says anything here.
   * @param {KeyboardEvent} event
   */
  function press(event) {
    const step = 60;
    const moves = /** @type {Record<string, [number, number]>} */ ({
      ArrowLeft: [step, 0],
      ArrowRight: [-step, 0],
      ArrowUp: [0, step],
      ArrowDown: [0, -step],
    });
    if (event.shiftKey && event.key in moves) moveBy(...moves[event.key]);
    else if (event.key === "ArrowLeft") app.step(-1);
    else if (event.key === "ArrowRight") app.step(1);
    else if (event.key === " ") toggleHeat();
    else if (event.key === "i") toggleInvert();
    else if (event.key === "r") reset();
    else if (event.key === "+" || event.key === "=") zoomBy(ZOOM_STEP);
    else if (event.key === "-") zoomBy(1 / ZOOM_STEP);
    else return false;
    return true;
  }

  return { element: dialog, open, close, update, press };
}
