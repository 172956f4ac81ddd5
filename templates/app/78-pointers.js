// Drags and pinches on the stage of the lightbox, by mouse, pen or fingers.

/**
 * Call `drag` while one pointer moves, with whether it moves the picture (Shift, middle button, or
 * two fingers), and `pinch` while two come closer or go apart.
 * @param {HTMLElement} stage
 * @param {object} does
 * @param {(dx: number, dy: number, moves: boolean) => void} does.drag
 * @param {(factor: number, at: {clientX: number, clientY: number}) => void} does.pinch
 */
function followPointers(stage, does) {
  /** @type {Map<number, PointerEvent>} */
  const down = new Map();

  stage.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    down.set(event.pointerId, event);
    stage.setPointerCapture(event.pointerId);
  });
  for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
    stage.addEventListener(end, (event) => down.delete(event.pointerId));
  }
  stage.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    const other = [...down.values()].find(({ pointerId }) => pointerId !== event.pointerId);
    down.set(event.pointerId, event);
    if (other) {
      does.pinch(apart(event, other) / Math.max(apart(before, other), 1), event);
      does.drag(dx / 2, dy / 2, true);
    } else {
      does.drag(dx, dy, event.shiftKey || event.buttons === 4);
    }
  });
}

/** @param {PointerEvent} one @param {PointerEvent} other */
function apart(one, other) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}
