// Which rows are shown, in which order, and how many there would be with one filter changed.

/** How rows can be sorted, in words. */
const SORTS = Object.freeze({
  need: "need",
  unsure: "least sure first",
  sure: "surest first",
  astray: "least lung focus first",
  focused: "most lung focus first",
  path: "path",
});

/** The filters that offer choices, each with how many rows it would leave. */
const FACETS = /** @type {const} */ (["need", "group", "status", "mark", "review"]);

/** @typedef {Record<(typeof FACETS)[number], Map<string, number>>} Counts */

/** @type {Map<string, Uint32Array>} */
const orders = new Map();

/**
 * Return the rows in an order; each is made once.
 * @param {Rows} rows
 * @param {string} sort
 */
function orderOf(rows, sort) {
  let order = orders.get(sort);
  if (!order) {
    order = Uint32Array.from({ length: rows.total }, (_, row) => row);
    if (sort === "path") {
      order.sort((a, b) => (rows.path[a] < rows.path[b] ? -1 : 1));
    } else if (sort !== "need") {
      const column = sort === "unsure" || sort === "sure" ? rows.confidence : rows.focus;
      const sign = sort === "unsure" || sort === "astray" ? 1 : -1;
      // One sort of numbers, the row in the last digits; those without a value go last.
      const keys = Float64Array.from(order, (row) => {
        const value = column[row] < 0 ? 1001 : sign * column[row];
        return (value + 1000) * 2 ** 32 + row;
      });
      order = Uint32Array.from(keys.sort(), (key) => key % 2 ** 32);
    }
    orders.set(sort, order);
  }
  return order;
}

/**
 * Return the range that a view asks for as thousandths, or null if it asks for none.
 * @param {string} range `from-to` in per cent; either may be empty
 * @returns {[number, number] | null}
 */
function rangeOf(range) {
  const found = /^(\d{0,3})-(\d{0,3})$/.exec(range);
  if (!found || (!found[1] && !found[2])) return null;
  return [Number(found[1] || 0) * 10, Number(found[2] || 100) * 10];
}

/**
 * Return the rows of a view in its order, and for every filter how many rows each of its choices
 * would leave, the other filters being as they are.
 * @param {Rows} rows
 * @param {View} view
 * @param {(row: number) => string} reviewOf `no`, `yes`, `agree` or `disagree`
 * @returns {{found: Uint32Array, counts: Counts}}
 */
function select(rows, view, reviewOf) {
  const { file } = rows;
  const need = file.needs.find(([slug]) => slug === view.need);
  const [first, last] = need ? [need[2], need[2] + need[3]] : [0, rows.total];
  const group = view.group ? placeIn(file.groups, view.group) : null;
  const status = view.status ? placeIn(file.statuses, view.status) : null;
  const slug = view.mark.slice(2);
  const flag = view.mark.startsWith("f:") ? placeIn(file.flags.map(([name]) => name), slug) : null;
  const reason = view.mark.startsWith("r:")
    ? placeIn(file.reasons.map(([name]) => name), slug)
    : null;
  const confidence = rangeOf(view.conf);
  const focus = rangeOf(view.focus);
  const words = view.q.toLowerCase().split(/\s+/).filter(Boolean);

  const found = new Uint32Array(rows.total);
  let size = 0;
  const left = FACETS.map(() => 0);
  const groups = new Uint32Array(file.groups.length);
  const statuses = new Uint32Array(file.statuses.length);
  const flags = new Uint32Array(32);
  const reasons = new Uint32Array(file.reasons.length);
  const needs = new Uint32Array(rows.total + 1);
  /** @type {Record<string, number>} */
  const reviews = { yes: 0, no: 0, agree: 0, disagree: 0 };

  for (const row of orderOf(rows, view.sort)) {
    const review = reviewOf(row);
    let missed = -1;
    let misses = 0;
    if (row < first || row >= last) (missed = 0), misses++;
    if (group !== null && rows.group[row] !== group) (missed = 1), misses++;
    if (status !== null && rows.status[row] !== status) (missed = 2), misses++;
    if (flag !== null && (flag < 0 || !((rows.flags[row] >>> flag) & 1))) (missed = 3), misses++;
    if (reason !== null && rows.reason[row] !== reason) (missed = 3), misses++;
    if (view.review && !fitsReview(review, view.review)) (missed = 4), misses++;
    if (misses > 1) continue;
    if (confidence && !within(rows.confidence[row], confidence)) continue;
    if (focus && !within(rows.focus[row], focus)) continue;
    if (words.length && !hasAll(textOf(rows, row), words)) continue;
    if (misses === 0) found[size++] = row;
    else left[missed]++;
    if (misses === 0 || missed === 0) needs[row] = 1;
    if ((misses === 0 || missed === 1) && rows.group[row] >= 0) groups[rows.group[row]]++;
    if (misses === 0 || missed === 2) statuses[rows.status[row]]++;
    if (misses === 0 || missed === 3) {
      if (rows.reason[row] >= 0) reasons[rows.reason[row]]++;
      for (let bits = rows.flags[row]; bits; bits &= bits - 1) {
        flags[31 - Math.clz32(bits & -bits)]++;
      }
    }
    if (misses === 0 || missed === 4) reviews[review]++;
  }
  reviews.yes += reviews.agree + reviews.disagree;
  /** @type {Counts} */
  const counts = {
    need: new Map(file.needs.map(([name, , from, many]) => [name, sum(needs, from, from + many)])),
    group: new Map(file.groups.map((name, at) => [name, groups[at]])),
    status: new Map(file.statuses.map((name, at) => [name, statuses[at]])),
    mark: new Map([
      ...file.flags.map(([name], at) => /** @type {const} */ ([`f:${name}`, flags[at]])),
      ...file.reasons.map(([name], at) => /** @type {const} */ ([`r:${name}`, reasons[at]])),
    ]),
    review: new Map(Object.entries(reviews)),
  };
  FACETS.forEach((facet, at) => counts[facet].set("", size + left[at]));
  return { found: found.subarray(0, size), counts };
}

/**
 * Return where a name stands; one that a link asks for and this report lacks stands nowhere (-1
 * would be "none").
 * @param {string[]} names
 * @param {string} name
 */
function placeIn(names, name) {
  const found = names.indexOf(name);
  return found < 0 ? -2 : found;
}

/**
 * @param {string} review
 * @param {string} wanted
 */
function fitsReview(review, wanted) {
  return wanted === "yes" ? review !== "no" : review === wanted;
}

/**
 * @param {number} value
 * @param {[number, number]} range
 */
function within(value, range) {
  return value >= range[0] && value <= range[1];
}

/**
 * @param {string} text
 * @param {string[]} words
 */
function hasAll(text, words) {
  return words.every((word) => text.includes(word));
}

/**
 * @param {Uint32Array} values
 * @param {number} from
 * @param {number} to
 */
function sum(values, from, to) {
  let total = 0;
  for (let at = from; at < to; at++) total += values[at];
  return total;
}
