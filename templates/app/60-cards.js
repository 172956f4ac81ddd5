// The rows as cards in a grid.

// A card is at least so wide (rem): below, two radiographs beside each other show nothing.
const CARD_REM = 23;
const GAP_REM = 1;
// What stands under the pictures (rem): title, two lines of flags, two of path, facts.
const TEXT_REM = 12.9;
const CLASS_REM = 1.45;
// More classes than that would push the rest out of sight; the lightbox shows all of them.
const MOST_CLASSES = 6;

/**
 * Return the list of cards and the element it lives in.
 * @param {App} app
 */
function makeCards(app) {
  const before = make("div", { class: "space" });
  const after = make("div", { class: "space" });
  const box = make("div", { class: "cards", role: "feed", "aria-label": "Images", tabindex: -1 });
  const element = make("div", { class: "view" }, before, box, after);
  const classes = Math.min(app.rows.file.classes.length, MOST_CLASSES);
  const list = new LongList({ before, box, after, measure, make: makeItem, fill });

  function measure() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const width = element.clientWidth;
    const perLine = Math.max(1, Math.floor((width + GAP_REM * rem) / ((CARD_REM + GAP_REM) * rem)));
    const card = (width - (perLine - 1) * GAP_REM * rem) / perLine;
    const side = (card - 2 * rem) / 2;
    const height = Math.ceil(side + (TEXT_REM + classes * CLASS_REM + GAP_REM) * rem);
    box.style.gridTemplateColumns = `repeat(${perLine}, minmax(0, 1fr))`;
    box.style.gridAutoRows = `${height}px`;
    return { height, perLine };
  }

  /** @param {number} row @param {number} position */
  function makeItem(row, position) {
    const card = newCard();
    card.setAttribute("aria-posinset", String(position + 1));
    card.setAttribute("aria-setsize", String(app.found.length));
    card.addEventListener("focusin", () => app.goTo(row, false));
    card.addEventListener("click", (event) => {
      const target = /** @type {Element} */ (event.target);
      if (target.closest("a") && (event.ctrlKey || event.metaKey || event.shiftKey)) return;
      event.preventDefault();
      app.goTo(row, false);
      if (target.closest("a")) app.openLightbox();
    });
    return card;
  }

  /** @param {HTMLElement} card @param {number} row @param {boolean} ask */
  function fill(card, row, ask) {
    fillCard(card, app.rows, row, ask ? app.detail(row) : app.detailIfHere(row));
    card.classList.toggle("current", row === app.current);
    card.tabIndex = row === app.current || (app.current < 0 && row === app.found[0]) ? 0 : -1;
    for (const link of card.querySelectorAll("a")) link.tabIndex = -1;
    markReview(card, slot(card, "decision"), app.decisions.of(row));
  }

  return { element, list };
}

/**
 * Show on a card or line what was decided.
 * @param {HTMLElement} item
 * @param {HTMLElement} place
 * @param {Decision | undefined} decision
 */
function markReview(item, place, decision) {
  const kind = decision ? kindOf(decision) : 0;
  item.classList.toggle("reviewed", kind > 0);
  place.classList.toggle("disagrees", kind === 3);
  place.textContent = decision ? inWords(decision) : "";
}

/**
 * Return a decision in a few words, such as `✓ Normal`.
 * @param {Decision} decision
 */
function inWords(decision) {
  const mark = { yes: "✓", no: "✗" }[decision.agrees] ?? "•";
  const said = { yes: "agreed", no: "disagreed" }[decision.agrees] ?? "note";
  return `${mark} ${decision.decision || said}`;
}
