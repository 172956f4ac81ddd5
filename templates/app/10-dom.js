// Making elements: text always goes in as text, never as markup.

/**
 * Return a new element. Of `attributes`, `class` and the like are set as they are, true without a
 * value; false leaves one out.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/**
 * Return a button that does something when pressed. One pressed with the mouse gives the focus
 * back, so that the space bar goes on meaning what it means in the list or the lightbox.
 * @param {string} label
 * @param {() => void} action
 * @param {Record<string, string | number | boolean>} [attributes]
 */
function makeButton(label, action, attributes = {}) {
  const button = make("button", { type: "button", ...attributes }, label);
  button.addEventListener("click", (event) => {
    if (event.detail > 0) button.blur();
    action();
  });
  return button;
}

let labels = 0;

/**
 * Return a control with its label above it. The label does not hold the control: else what is
 * chosen in it would belong to its name.
 * @param {string} text
 * @param {HTMLElement} control
 * @param {string} [cssClass]
 */
function labelled(text, control, cssClass = "field") {
  control.id ||= `control-${++labels}`;
  return make("div", { class: cssClass }, make("label", { for: control.id }, text), control);
}

/**
 * Return the element in `root` that fits a selector; the markup is ours, so it is there.
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {HTMLElement}
 */
function find(root, selector) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`the report lacks ${selector}`);
  return /** @type {HTMLElement} */ (found);
}

/**
 * Return a number with its thousands apart, as the printed pages have it.
 * @param {number} number
 */
function thousands(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/**
 * Return thousandths in per cent; nothing that a network says is certain.
 * @param {number} thousandths
 */
function perCent(thousandths) {
  if (thousandths < 0) return "";
  return thousandths < 995 ? `${Math.round(thousandths / 10)} %` : "> 99 %";
}

/**
 * Return `action` so that it runs once, `wait` ms after it was last called.
 * @param {() => void} action
 * @param {number} wait
 */
function afterPause(action, wait) {
  /** @type {number | undefined} */
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, wait);
  };
}

/**
 * Tell a screen reader something that is not otherwise shown where the focus is.
 * @param {string} text
 */
function announce(text) {
  const spoken = document.querySelector("dialog[open] .spoken") ?? find(document, "#spoken");
  spoken.textContent = text;
}
