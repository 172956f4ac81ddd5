// The keyboard: one place that says what a key does.

/**
 * @param {App} app
 */
function listenToKeys(app) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (document.querySelector("dialog.small[open]")) return;
    if (isTyping(target)) {
      if (event.key === "Escape") {
        event.preventDefault();
        target.blur();
      }
      return;
    }
    if (usesKey(target, event.key)) return;
    if (app.isOpen() ? app.lightbox.press(event) || pressed(app, event) : pressed(app, event)) {
      event.preventDefault();
    }
  });
}

/** @param {HTMLElement} target */
function isTyping(target) {
  return target.matches("textarea, input:not([type=range], [type=file])");
}

/**
 * Tell whether the control that has the focus needs a key for itself.
 * @param {HTMLElement} target
 * @param {string} key
 */
function usesKey(target, key) {
  if (key === " " || key === "Enter") return target.matches("button, a[href], summary, select");
  if (target.matches("select")) return key.length === 1 || key.startsWith("Arrow");
  return target.matches("input[type=range]") && key.startsWith("Arrow");
}

/**
 * Do what a key says in the list and in the lightbox; return whether it says anything.
 * @param {App} app
 * @param {KeyboardEvent} event
 */
function pressed(app, { key }) {
  if (/^[0-9]$/.test(key)) {
    const name = key === "0" ? UNCLEAR : app.rows.file.classes[Number(key) - 1];
    if (name) app.decide(name);
    return Boolean(name);
  }
  /** @type {Record<string, () => void>} */
  const actions = {
    j: () => app.step(1),
    k: () => app.step(-1),
    a: () => app.judge("yes"),
    x: () => app.judge("no"),
    u: () => app.nextUnreviewed(),
    z: () => app.undo(),
    n: () => app.writeNote(),
    "?": () => app.showHelp(),
    "/": () => app.toolbar.search.focus(),
    Enter: () => app.openLightbox(),
  };
  if (!(key in actions) || (key === "/" && app.isOpen())) return false;
  actions[key]();
  return true;
}
