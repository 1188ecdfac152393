"""Move every control of a widget by keyboard alone, and time the answer: from the key's event to the new picture.

A page of JupyterLab (`measuring.browser`) is driven; the clock is the page's own.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CONTROLS = 'input:not([type="hidden"]), textarea, button, select, [role="slider"]'
"""What can have the focus in a widget, apart from the numbers beside its sliders."""
_PATIENCE = 5.0  # seconds; a key at the end of a slider has no answer

_WATCH = """root => {
  const w = window.__watch = {key: null, told: null};
  const see = () => { if (w.key !== null && w.told === null) w.told = performance.now(); };
  if (!window.__keys) {
    window.__keys = true;
    document.addEventListener('keydown', () => { const w = window.__watch; w.key = performance.now(); w.told = null; },
                              true);
  }
  const pictures = [...root.querySelectorAll('img')];
  pictures.forEach(picture => picture.addEventListener('load', see));  // decoded: it is to be seen
  if (!pictures.length) {
    const look = {subtree: true, childList: true, characterData: true};
    [...root.querySelectorAll('.widget-html-content')].forEach(e => new MutationObserver(see).observe(e, look));
  }
}"""
_STATE = """root => [...root.querySelectorAll('img')].map(e => e.src).join() + '|' +
  [...root.querySelectorAll('.widget-html-content')].map(e => e.innerText).join('|')"""
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
    cells = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell")
    for number in range(cells.count()):
        cells.nth(number).evaluate("cell => cell.scrollIntoView()")
        page.wait_for_timeout(60)
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


def moves(page: Any, widget: Any, times: int = 1) -> Iterator[Move]:
    """Visit every control with Tab, press the keys that move it ``times`` times, and time each answer.

    A button that is chosen already has nothing to change and is passed over.
    """
    widget.evaluate(_WATCH)
    name = ""
    for _ in range(len(tab_order(page, widget))):
        kind, chosen = page.evaluate(_KIND)
        name = (
            f"{name}, slider" if kind == "slider" and focused(page) == "slider" else focused(page)
        )
        for round_ in range(0 if chosen else times):
            for key in _keys(kind, round_):
                yield Move(name, key, *_press(page, widget, key))
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


def _press(page: Any, widget: Any, key: str) -> tuple[bool, float | None]:
    """Press a key when all is quiet; whether something changed, and the milliseconds until it was to be seen."""
    before, told = _quiet(page, widget), None
    if key == "Delete":
        page.keyboard.press("Control+a")
    page.keyboard.press(key)
    end = time.monotonic() + _PATIENCE
    while told is None and time.monotonic() < end:
        page.wait_for_timeout(10)
        told = page.evaluate(
            "() => window.__watch.told && window.__watch.told - window.__watch.key"
        )
    return _quiet(page, widget) != before, told


def _quiet(page: Any, widget: Any) -> str:
    """Wait until the widget has not changed for 0.6 s; returns what it shows."""
    shown, still = widget.evaluate(_STATE), 0
    while still < 6:
        page.wait_for_timeout(100)
        now = widget.evaluate(_STATE)
        still = still + 1 if now == shown else 0
        shown = now
    return shown
