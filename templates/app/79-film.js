// What the lightbox is made of: pictures on a film, sliders, and a window on grey levels.

/**
 * @param {HTMLImageElement} image
 * @param {string | undefined} url
 */
function show(image, url) {
  image.hidden = !url;
  if (url && image.getAttribute("src") !== url) image.src = url;
}

/**
 * @param {string} label
 * @param {number} min
 * @param {number} max
 * @param {number} value
 */
function makeSlider(label, min, max, value) {
  const input = make("input", { type: "range", min, max, step: 1, value });
  const output = make("output", {});
  const field = labelled(label, input, "slider");
  field.append(output);
  return { field, input, output, name: /** @type {HTMLElement} */ (field.firstElementChild) };
}

/** Return an SVG filter that spreads a window of grey levels. (A canvas may not read files.) */
function windowFilter() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const filter = document.createElementNS(svg.namespaceURI, "filter");
  const transfer = document.createElementNS(svg.namespaceURI, "feComponentTransfer");
  const channels = ["R", "G", "B"].map((channel) => {
    const made = document.createElementNS(svg.namespaceURI, `feFunc${channel}`);
    made.setAttribute("type", "linear");
    return made;
  });
  filter.id = "window";
  filter.setAttribute("color-interpolation-filters", "sRGB");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "nowhere");
  transfer.append(...channels);
  filter.append(transfer);
  svg.append(filter);
  /** @param {number} slope @param {number} intercept @param {boolean} inverted */
  const set = (slope, intercept, inverted) => {
    for (const channel of channels) {
      channel.setAttribute("slope", String(inverted ? -slope : slope));
      channel.setAttribute("intercept", String(inverted ? 1 - intercept : intercept));
    }
  };
  return { svg, set };
}
