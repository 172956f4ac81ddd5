// What is shown stands in the address, behind the #: a view can be sent to a colleague as a link,
// and the back button goes back.

/** @type {View} */
const DEFAULT_VIEW = Object.freeze({
  layout: "cards",
  sort: "need",
  need: "",
  group: "",
  status: "",
  mark: "",
  review: "",
  q: "",
  conf: "",
  focus: "",
  row: "",
  open: "",
  part: "",
});

const VIEW_KEYS = /** @type {(keyof View)[]} */ (Object.keys(DEFAULT_VIEW));
/** Those that decide which rows are found. */
const FILTER_KEYS = /** @type {(keyof View)[]} */ (
  ["need", "group", "status", "mark", "review", "q", "conf", "focus"]
);
/** Those that decide what the list looks like. */
const LIST_KEYS = /** @type {(keyof View)[]} */ ([...FILTER_KEYS, "layout", "sort", "part"]);

/**
 * Return the view that an address asks for; what it does not say is as it is by default. An anchor
 * of the printed pages (`#failed`, `#i-<image>`) is understood too.
 * @param {string} hash with or without its #
 * @returns {View}
 */
function viewOf(hash) {
  const text = hash.replace(/^#/, "");
  if (text === "failed" || text === "rejected") return { ...DEFAULT_VIEW, status: text };
  const anchor = /^i-([0-9a-f]{12})$/.exec(text);
  if (anchor) return { ...DEFAULT_VIEW, row: anchor[1] };
  const view = { ...DEFAULT_VIEW };
  const asked = new URLSearchParams(text);
  for (const key of VIEW_KEYS) view[key] = asked.get(key) ?? view[key];
  if (view.layout !== "table") view.layout = "cards";
  if (!(view.sort in SORTS)) view.sort = DEFAULT_VIEW.sort;
  return view;
}

/**
 * Return what stands behind the # for a view.
 * @param {View} view
 */
function hashOf(view) {
  const asked = new URLSearchParams();
  for (const key of VIEW_KEYS) {
    if (view[key] !== DEFAULT_VIEW[key]) asked.set(key, view[key]);
  }
  return asked.toString();
}

/**
 * Put a view into the address: as a new step that the back button undoes, or in place of this one.
 * @param {View} view
 * @param {boolean} step
 */
function putIntoAddress(view, step) {
  const hash = `#${hashOf(view)}`;
  if (hash === (location.hash || "#")) return;
  if (step) history.pushState(null, "", hash);
  else history.replaceState(null, "", hash);
}
