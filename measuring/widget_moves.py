"""Move every control of a widget by keyboard alone, and time the answer: from the key's event to the new picture.

A page of JupyterLab (`measuring.browser`) is driven; the clock is the page's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from measuring.browser import BUSY

CONTROLS = 'input:not([type="hidden"]), textarea, button, select, [role="slider"]'
"""What can have the focus in a widget, apart from the numbers beside its sliders."""
_PATIENCE = 5.0  # seconds; a key at the end of a slider has no answer
_STILL = 0.6  # seconds without a change, after which a widget has told all: longer than any pause that one makes
_STILL_AFTER_TAB = 0.3  # the same where only the focus has moved

_WATCH = """root => {
  const w = window.__watch = {key: null, told: null};
  const see = () => { if (w.key !== null && w.told === null) w.told = performance.now(); };
  if (!window.__keys) {
    window.__keys = true;
    document.addEventListener('keydown', () => { const w = window.__watch; w.key = performance.now(); w.told = null; },
                              true);
  }
  root.addEventListener('load', see, true);  // of a picture: decoded, it is to be seen
  if (!root.querySelector('img')) {
    const look = {subtree: true, childList: true, characterData: true};
    [...root.querySelectorAll('.widget-html-content')].forEach(e => new MutationObserver(see).observe(e, look));
  }
}"""
_SETTLED = """(root, [before, still, patience, working]) => new Promise(resolve => {
  const w = window.__watch, start = performance.now();
  let shown = null, since = start;
  const look = () => {
    const now = performance.now();
    const state = [...root.querySelectorAll('img')].map(e => e.src).join() + '|' +
      [...root.querySelectorAll('.widget-html-content')].map(e => e.innerText).join('|');
    if (state !== shown || document.querySelector(working)) since = now;
    shown = state;
    const answered = before === null || w.told !== null || shown !== before;
    if (now - since >= still && (answered || now - start >= patience))
      resolve([shown, w.told === null ? null : w.told - w.key]);
    else setTimeout(look, 100);
  };
  look();
})"""
_DRAW = """async panel => { for (const cell of panel.querySelectorAll('.jp-Cell')) {
  cell.scrollIntoView();
  await new Promise(requestAnimationFrame); } }"""
_DRAWN = """() => ![...document.querySelectorAll('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea-output')]
  .some(output => output.textContent === 'Loading widget...')"""
_KIND = """() => { const e = document.activeElement;
  return [e.type || e.getAttribute('role'), e.classList.contains('mod-active')]; }"""
_NAME = """e => (e.labels && e.labels.length ? e.labels[0].innerText : e.getAttribute('aria-label') || e.innerText ||
  (e.closest('.jupyter-widgets, .widget-slider')?.querySelector('.widget-label')?.innerText ?? '') ||
  'slider').trim()"""


@dataclass(frozen=True)
class Move:
    """One key on one control.

    Attributes:
        control: what a person calls it.
        key: the key.
        answered: whether the widget showed something new.
        milliseconds: from the key's event until the new picture (or text, in a widget without one) was there; None
            where none came.
    """

    control: str
    key: str
    answered: bool
    milliseconds: float | None


def widgets_of(page: Any) -> list[Any]:
    """The widgets with controls on a notebook's page, in order; each is scrolled to, since the page draws lazily."""
    page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)").evaluate(_DRAW)
    page.wait_for_function(_DRAWN)
    found = page.locator(".jp-OutputArea-output").filter(has=page.locator(".jupyter-widgets"))
    return [w for w in found.all() if w.locator(CONTROLS).count()]


def tab_order(page: Any, widget: Any) -> list[str]:
    """Enter the widget with Tab from its cell; the names of its controls in the order in which Tab visits them.

    The focus is left on the first control.
    """
    enter(page, widget)
    names = []
    while _inside(widget) and len(names) < 100:
        names.append(focused(page))
        page.keyboard.press("Tab")
    enter(page, widget)
    return names


def enter(page: Any, widget: Any) -> None:
    """Select the widget's cell and press Tab until the first control of the widget has the focus."""
    for _ in range(100):
        if not _inside(widget):
            break
        page.keyboard.press(
            "Tab"
        )  # a click beside a control that has the focus does not take it away
    widget.evaluate("root => root.closest('.jp-Cell').scrollIntoView()")
    widget.locator("xpath=ancestor::*[contains(@class,'jp-CodeCell')]").locator(
        ".jp-InputPrompt"
    ).click()
    for _ in range(60):
        page.keyboard.press("Tab")
        if _inside(widget):
            return
    raise AssertionError("Tab does not lead into the widget")


def _inside(widget: Any) -> bool:
    """Whether a control of the widget has the focus."""
    return widget.evaluate("root => root.contains(document.activeElement)")


def focused(page: Any) -> str:
    """What a person calls the control that has the focus."""
    return page.evaluate(f"() => ({_NAME})(document.activeElement)")


def moves(page: Any, widget: Any, controls: int, times: int = 1) -> Iterator[Move]:
    """Visit every control with Tab, press the keys that move it ``times`` times, and time each answer.

    A button that is chosen already has nothing to change and is passed over.

    Args:
        page: Playwright's page.
        widget: one of `widgets_of`; its first control has the focus, as `tab_order` leaves it.
        controls: how many there are.
        times: rounds of keys on each control.
    """
    widget.evaluate(_WATCH)
    name = ""
    for _ in range(controls):
        kind, chosen = page.evaluate(_KIND)
        name = (
            f"{name}, slider" if kind == "slider" and focused(page) == "slider" else focused(page)
        )
        keys = [key for round_ in range(0 if chosen else times) for key in _keys(kind, round_)]
        if keys:
            shown, _ = _settled(widget, None, _STILL_AFTER_TAB)
        for key in keys:
            before = shown
            if key == "Delete":
                page.keyboard.press("Control+a")
            page.keyboard.press(key)
            shown, milliseconds = _settled(widget, before, _STILL)
            yield Move(name, key, shown != before, milliseconds)
        page.keyboard.press("Tab")


def _keys(kind: str | None, round_: int) -> tuple[str, ...]:
    """Keys that move a control, there and back, so that every press has something to change."""
    if kind in ("number", "slider"):
        return "ArrowUp", "ArrowDown"
    if kind == "textarea":
        return "Delete", "abcdefghij"[
            round_ % 10
        ]  # of all its text: one letter more may change no rounded number
    return ("Space",) if kind in ("button", "submit") else ()


def _settled(widget: Any, before: str | None, still: float) -> tuple[str, float | None]:
    """Wait until a widget has answered, its kernel is idle and nothing has changed for ``still`` seconds.

    Args:
        widget: one of `widgets_of`.
        before: what it showed when the key was pressed; None where no answer is waited for.
        still: seconds.

    Returns:
        What it shows, and the milliseconds from the last key's event to the first answer, None without one.
    """
    waited_for = [before, 1000 * still, 1000 * _PATIENCE, BUSY]
    shown, milliseconds = widget.evaluate(_SETTLED, waited_for)
    return shown, milliseconds
