// Three small dialogs: the reader's name, the keys, and whether to forget what was decided.

const KEYS = Object.freeze([
  ["j, k", "next, previous image"],
  ["Enter", "show it in full; Esc closes"],
  ["1, 2, 3 …", "it shows this class; 0: unclear"],
  ["a, x", "agree, disagree with the model"],
  ["u", "next unreviewed image"],
  ["n", "write a note; Esc leaves it"],
  ["z", "undo"],
  ["/", "find"],
  ["space", "in full: heat map on and off"],
  ["i, r", "in full: invert, reset"],
  ["+, −, arrows", "in full: zoom, next and previous; with Shift the arrows move the picture"],
  ["?", "these keys"],
]);

/**
 * Return a dialog that is there while it is open, and gone afterwards.
 * @param {string} title
 * @param {...(Node | string)} children
 */
function openDialog(title, ...children) {
  const dialog = make("dialog", { class: "small", "aria-label": title }, make("h2", {}, title));
  dialog.append(...children);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function openHelp() {
  const list = make("dl", { class: "keys" });
  for (const [key, words] of KEYS) {
    list.append(make("dt", {}, make("kbd", {}, key)), make("dd", {}, words));
  }
  /** @type {HTMLDialogElement} */
  const dialog = openDialog("Keys", list, makeButton("Close", () => dialog.close()));
}

/**
 * Ask who reads; the name is kept in this browser. Resolves to it, or to nothing if cancelled.
 * @returns {Promise<string>}
 */
function askForName() {
  const field = make("input", {
    value: setting("reviewer"),
    maxlength: 80,
    required: true,
    autocomplete: "name",
  });
  const form = make(
    "form",
    { method: "dialog" },
    make("p", { class: "note" }, "It is kept in this browser and stands beside every decision."),
    labelled("Name or initials", field),
    make("p", { class: "choices two" }, make("button", { type: "submit" }, "OK")),
  );
  const cancel = makeButton("Cancel", () => dialog.close());
  find(form, ".choices").append(cancel);
  /** @type {HTMLDialogElement} */
  const dialog = openDialog("Who is reading?", form);
  // The CSP forbids forms to be sent anywhere, this one too; so nothing is sent.
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = field.value.trim();
    if (!name) return;
    keepSetting("reviewer", name);
    dialog.close(name);
  });
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue));
  });
}

/**
 * Ask whether this run's decisions are to be removed, which needs that they were exported just now.
 * @param {number} many
 * @param {() => void} save
 * @returns {Promise<boolean>}
 */
function askToForget(many, save) {
  const text =
    `All readers' decisions on this scan (${thousands(many)}) are removed from this browser. ` +
    "Export them first, and see that the file is there: they cannot be brought back.";
  const forget = makeButton("Forget", () => dialog.close("forget"));
  forget.disabled = true;
  const first = makeButton("Export", () => {
    save();
    forget.disabled = false;
  });
  const buttons = make("p", { class: "choices two" }, first, forget);
  buttons.append(makeButton("Cancel", () => dialog.close()));
  /** @type {HTMLDialogElement} */
  const dialog = openDialog("Forget these decisions?", make("p", {}, text), buttons);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "forget"));
  });
}
