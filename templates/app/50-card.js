// One row as a card: the markup is the printed pages' (templates/card.html), filled by its slots.

/**
 * Return what a row is called where it is shown: its prediction, or what became of it.
 * @param {Rows} rows
 * @param {number} row
 */
function titleOf(rows, row) {
  return predictionOf(rows, row) || rows.file.statuses[rows.status[row]];
}

/**
 * Return how sure a row is, in words: per cent, the classes it could be, or why it was not judged.
 * @param {Rows} rows
 * @param {number} row
 * @param {Detail | null} detail
 */
function surenessOf(rows, row, detail) {
  if (rows.group[row] < 0) return reasonOf(rows, row);
  return detail?.uncertain ? detail.set.join(" or ") : perCent(rows.confidence[row]);
}

/** @returns {HTMLElement} an empty card */
function newCard() {
  const template = /** @type {HTMLTemplateElement} */ (find(document, "template#card"));
  const card = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
  card.tabIndex = -1;
  return card;
}

/**
 * Fill a card with a row, as far as its details are here.
 * @param {HTMLElement} card
 * @param {Rows} rows
 * @param {number} row
 * @param {Detail | "missing" | null} found
 */
function fillCard(card, rows, row, found) {
  const detail = found === "missing" ? null : found;
  const title = titleOf(rows, row);
  const sureness = surenessOf(rows, row, detail);
  card.classList.add(rows.file.statuses[rows.status[row]]);
  card.classList.toggle("waiting", !found);
  card.setAttribute("aria-label", `${title} ${sureness}, ${rows.path[row]}`);
  slot(card, "prediction").textContent = title;
  slot(card, "confidence").textContent = sureness;
  slot(card, "path").textContent = rows.path[row];
  slot(card, "path").title = rows.path[row];
  slot(card, "facts").textContent = detail?.facts ?? "";
  slot(card, "detail").textContent = detail?.detailText ?? "";
  slot(card, "detail").hidden = !detail?.detailText;
  fillPictures(card, rows, row, found);
  fillList(slot(card, "trust"), detail?.trust ?? [], (item, said) => (item.textContent = said));
  fillList(slot(card, "flags"), flagsOf(rows, row), (item, [slug, words]) => {
    item.textContent = words;
    item.title = slug;
  });
  fillProbabilities(slot(card, "probabilities"), detail?.probabilities ?? []);
}

/**
 * @param {HTMLElement} card
 * @param {string} name
 */
function slot(card, name) {
  return find(card, `[data-slot="${name}"]`);
}

/**
 * @param {HTMLElement} card
 * @param {Rows} rows
 * @param {number} row
 * @param {Detail | "missing" | null} found
 */
function fillPictures(card, rows, row, found) {
  const pictures = found && found !== "missing" ? found.pictures : null;
  const judged = rows.group[row] >= 0;
  slot(card, "pictures").hidden = Boolean(found) && !pictures;
  slot(card, "missing").hidden = !found || Boolean(pictures);
  if (found === "missing") {
    const file = fileOfDetails(numberOfFile(rows, row));
    slot(card, "missing").textContent = `The details are missing: ${file} cannot be loaded.`;
  } else if (!judged) {
    slot(card, "missing").textContent = "There is no picture of it.";
  }
  card.querySelectorAll("figure").forEach((figure, which) => {
    const url = pictures?.[which];
    figure.hidden = Boolean(pictures) && !url;
    const image = /** @type {HTMLImageElement} */ (find(figure, "img"));
    const link = /** @type {HTMLAnchorElement} */ (find(figure, "a"));
    if (url && image.getAttribute("src") !== url) {
      image.src = url;
      link.href = url;
    }
  });
  if (found && found !== "missing") {
    slot(card, "evidence").textContent = found.camEmpty
      ? "no evidence to show"
      : `evidence for ${found.best}`;
  }
}

/**
 * Give a list as many items as there are values, made from its first; without values it is hidden.
 * @template T
 * @param {HTMLElement} list
 * @param {T[]} values
 * @param {(item: HTMLElement, value: T, at: number) => void} fill
 */
function fillList(list, values, fill) {
  const parent = list.tagName === "TABLE" ? find(list, "tbody") : list;
  const first = /** @type {HTMLElement} */ (parent.firstElementChild);
  list.hidden = values.length === 0;
  while (parent.children.length < values.length) parent.append(first.cloneNode(true));
  while (parent.children.length > Math.max(values.length, 1)) parent.lastElementChild?.remove();
  values.forEach((value, at) => fill(/** @type {HTMLElement} */ (parent.children[at]), value, at));
}

/**
 * @param {HTMLElement} table
 * @param {[string, number][]} probabilities
 */
function fillProbabilities(table, probabilities) {
  fillList(table, probabilities, (line, [name, probability], at) => {
    find(line, "th").textContent = name;
    find(line, ".number").textContent = probability.toFixed(3);
    const bar = find(line, "rect:not(.track)");
    bar.setAttribute("class", `class-${at % 8}`);
    bar.setAttribute("width", (100 * probability).toFixed(1));
  });
}
