"""What the browser tests ask a page."""

# How far it is wider than the window, and what sticks out; tables may scroll in their own frame.
OVERFLOW = """() => {
    const root = document.documentElement;
    const wide = [...document.body.querySelectorAll('*')].filter(
        e => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest('.wide'));
    const texts = wide.slice(0, 5).map(e => e.outerHTML.slice(0, 99));
    return [root.scrollWidth - root.clientWidth, texts];
}"""

# How far each text stands out from its ground (WCAG 2.2, contrast ratio).
CONTRASTS = """all => all.map(element => {
    const linear = p => p <= .04045 ? p / 12.92 : ((p + .055) / 1.055) ** 2.4;
    const light = colour => {
        const parts = colour.match(/[0-9.]+/g).slice(0, 3);
        const [r, g, b] = parts.map(part => linear(part / 255));
        return .2126 * r + .7152 * g + .0722 * b;
    };
    let ground = element;
    while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') {
        ground = ground.parentElement;
    }
    const style = getComputedStyle(element);
    const ink = element.tagName === 'text' ? style.fill : style.color;
    const pair = [ink, getComputedStyle(ground).backgroundColor];
    const [low, high] = pair.map(light).sort((a, b) => a - b);
    return (high + .05) / (low + .05);
})"""
