// Where the page meets the app. Without its index the printed page stays, and says why.

const FORMAT = 1;

/** @param {string} text */
function warn(text) {
  find(document, "main").prepend(make("p", { class: "warning", role: "alert" }, text));
}

/** A button for the light theme and back; a link can ask for one (`?theme=light`). */
function addThemeButton() {
  const root = document.documentElement;
  const asked = new URLSearchParams(location.search).get("theme");
  /** @param {string} theme */
  const use = (theme) => {
    root.dataset.theme = theme;
    button.textContent = theme === "light" ? "Dark theme" : "Light theme";
  };
  const button = makeButton("", () => {
    use(root.dataset.theme === "light" ? "dark" : "light");
    keepSetting("theme", root.dataset.theme ?? "dark");
  });
  button.classList.add("theme");
  use((asked ?? setting("theme")) === "light" ? "light" : "dark");
  find(document, "header.top").append(button);
}

/**
 * Make the links of the first screen to groups of the worklist show them here.
 * @param {App} app
 * @param {HTMLElement} root
 */
function takeLinks(app, root) {
  for (const link of document.querySelectorAll("a[data-need]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const need = /** @type {HTMLElement} */ (link).dataset.need ?? "";
      app.change({ ...Object.fromEntries(FILTER_KEYS.map((key) => [key, ""])), need });
      root.scrollIntoView({ block: "start" });
    });
  }
}

/** @param {IndexFile} file */
function startApp(file) {
  const root = document.getElementById("app");
  if (!root) return;
  if (file.format !== FORMAT) {
    warn("This page and data/index.js are of different versions: make the report anew.");
    return;
  }
  document.documentElement.classList.add("app");
  const rows = columnsOf(file);
  const app = new App(rows, root);
  listenToKeys(app);
  takeLinks(app, root);
  // So that the first search need not wait; in small portions, so that nothing else does.
  prepareTexts(rows, 0);
  let warned = false;
  cxrScan.rows = (number, details, rendering) => {
    const expected = Math.min(file.chunk, file.total - (number - 1) * file.chunk);
    if (rendering === file.rendering && details.length === expected) {
      takeDetails(number, details, app.filesShown());
    } else if (!warned) {
      // Its rows may be others: a picture must never stand under another one's prediction.
      warn("The report was made anew while this page was open: reload it.");
      warned = true;
    }
  };
}

const TEXTS_AT_ONCE = 5000;

/**
 * @param {Rows} rows
 * @param {number} from
 */
function prepareTexts(rows, from) {
  if (from >= rows.total) return;
  setTimeout(() => {
    for (let row = from; row < Math.min(from + TEXTS_AT_ONCE, rows.total); row++) textOf(rows, row);
    prepareTexts(rows, from + TEXTS_AT_ONCE);
  }, 50);
}

/** What the files of data call, and the one name that the app has in the page. */
const cxrScan = {
  index: startApp,
  /** @type {(number: number, details: Detail[], rendering: string) => void} */
  rows: () => {}, // none is sent for before there is an index
};
Object.assign(window, { cxrScan });

addThemeButton();
if (document.getElementById("app")) {
  loadScript("data/index.js", (came) => {
    if (!came) warn("data/index.js cannot be loaded: this is the plain page, without filters.");
  });
}
