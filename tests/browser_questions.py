"""What the browser tests ask a page."""

# How far it is wider than the window, and what sticks out; tables may scroll in their own frame.
OVERFLOW = """() => {
    const root = document.documentElement;
    const wide = [...document.body.querySelectorAll('*')].filter(
        e => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest('.wide'));
    const texts = wide.slice(0, 5).map(e => e.outerHTML.slice(0, 99));
    return [root.scrollWidth - root.clientWidth, texts];
}"""
