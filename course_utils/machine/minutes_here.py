"""What a lesson takes on this machine: the recorded run, scaled by how fast its machine was and how fast this one is.

Each lesson's settings cell ends with ``minutes_here.tell(run, "02_dcgan_cifar10", steps)``. Where a lesson would take
more than twice its five minutes, the sentence names a setting that fits, and what was measured with fewer steps.
"""

import math
from collections.abc import Iterable, Iterator

from course_utils import results
from course_utils.learner import catalogue
from course_utils.machine import lesson_costs, speed
from course_utils.machine.lesson_costs import KNOBS, Measured, duration
from course_utils.runtime import Runtime
from course_utils.tiers import TIERS

FITS = 5
"""Minutes that a lesson at tier ``laptop`` is meant to take."""


def tell(run: Runtime, lesson: str, knob: int | None = None, minutes: float = FITS) -> None:
    """Print what a lesson takes here; nothing at a tier where nothing is learned, since that takes seconds.

    Args:
        run: the machine's settings.
        lesson: its name, for example ``"02_dcgan_cifar10"``.
        knob: the value of the setting that decides (`lesson_costs.KNOBS`), as the learner has it now.
        minutes: that are wanted, where the lesson would take more than twice as long.
    """
    if TIERS[run.tier].learns:
        print("\n".join(sentences(run, lesson, knob, minutes)))


def sentences(
    run: Runtime, lesson: str, knob: int | None = None, minutes: float = FITS
) -> Iterator[str]:
    """What `tell` prints, sentence by sentence."""
    there = lesson_costs.run_of(lesson, run.tier)
    if there is None:
        yield f"How long this lesson takes at tier {run.tier} was not measured."
        return
    if not there.speed:
        yield (
            f"This lesson took {duration(there.seconds)} on {there.machine}; "
            "how fast they are was not recorded, so what it takes here is not known."
        )
        return
    slower = times_slower(run, lesson, there)
    here = slower * _seconds(there, lesson, knob)
    yield (
        f"This lesson takes about {duration(here)} on this machine "
        f"({duration(there.seconds)} on the one that measured it)."
    )
    if TIERS[run.tier].default_on == "cpu" and here > 2 * 60 * minutes:
        yield from _offer(there, lesson, slower, minutes)


def seconds(run: Runtime, lesson: str, knob: int | None = None) -> float | None:
    """Seconds that a lesson takes here, None where it was not measured or the speed of that machine is not known."""
    there = lesson_costs.run_of(lesson, run.tier)
    if there is None or not there.speed:
        return None
    return times_slower(run, lesson, there) * _seconds(there, lesson, knob)


def times_slower(run: Runtime, lesson: str, there: Measured) -> float:
    """How many times as long this machine needs as the recorded one: by convolutions for images, else by products."""
    here = speed.here(run)
    images, products = there.speed["images"] / here.images, there.speed["products"] / here.products
    uses = next((known.uses for known in catalogue.lessons() if known.name == lesson), ())
    if not uses:
        return math.sqrt(images * products)
    return images if "images" in uses else products


def _seconds(there: Measured, lesson: str, knob: int | None) -> float:
    """Seconds of the recorded lesson, had its setting been ``knob``."""
    name = KNOBS.get(lesson, "")
    if knob is None or name not in there.training:
        return there.seconds
    return there.seconds + there.training["seconds"] * (knob / there.training[name] - 1)


def _offer(there: Measured, lesson: str, slower: float, minutes: float) -> Iterator[str]:
    """The setting that fits into so many minutes here, and what it costs."""
    name = KNOBS.get(lesson, "")
    if name not in there.training:
        return
    usual, training = there.training[name], there.training["seconds"]
    rest = there.seconds - training
    share = (60 * minutes / slower - rest) / training
    if share < 0.02:
        yield f"Without its training it would still take about {duration(slower * rest)}."
        return
    fits = _round_down(share * usual)
    yield f"To stay within about {minutes:g} minutes, set {name} = {fits:_} in this cell and run it again."
    yield what_is_lost(lesson, fits, int(usual))


def _round_down(value: float) -> int:
    """Two digits are enough: 1,234 becomes 1,200."""
    unit = 10 ** max(0, math.floor(math.log10(max(1.0, value))) - 1)
    return max(1, int(value // unit * unit))


def what_is_lost(lesson: str, fewer: int, usual: int) -> str:
    """What was measured with about ``fewer`` and with about the ``usual`` value of a lesson's setting."""
    what, points = _RECORDS[lesson]
    known = dict(points())
    most = _nearest(sorted(known)[1:], usual)
    least = _nearest([value for value in known if value < most], fewer)
    unit = KNOBS[lesson].replace("n_train", "training reviews")
    return f"Measured: {what} {known[least]:.3g} with {least:,} {unit}, {known[most]:.3g} with {most:,}."


def _nearest(known: Iterable[int], value: int) -> int:
    return min(known, key=lambda one: abs(math.log(one / value)))


def _dcgan() -> Iterator[tuple[int, float]]:
    """The generator itself: its average in that record remembers more steps than the lesson's."""
    for point in results.read("dcgan_equal_time.json")["curves"]:
        yield _mean_steps(point["course_steps"]), point["course_generator"]["value"]


def _vae() -> Iterator[tuple[int, float]]:
    yield from _quality("vae")
    record = results.read("vae_laptop.json")
    bits = [seed["bits"] for seed in record["learned"]["seeds"]]
    yield record["settings"]["steps"], sum(bits) / len(bits)


def _gpt() -> Iterator[tuple[int, float]]:
    yield from _quality("gpt")
    record = results.read("gpt_laptop.json")
    values = [seed["value"] for seed in record["gpt"]["seeds"]]
    yield record["settings"]["steps"], sum(values) / len(values)


def _flow() -> Iterator[tuple[int, float]]:
    """Scored on the way through whole runs: the learning rate of a shorter one would fall earlier."""
    for point in results.read("flow_laptop.json")["curve"]:
        yield point["step"], point["FD"]["value"]


def _bert() -> Iterator[tuple[int, float]]:
    record = results.read("bert_curve.json")
    for count in record["epochs"]:
        yield int(count), record[count]["full"]["value"]


_RECORDS = {
    "02_dcgan_cifar10": ("FD", _dcgan),
    "03_vae_elbo": ("bits per dimension", _vae),
    "04_bert_imdb": ("share of right answers", _bert),
    "05_attention_text": ("bits per byte", _gpt),
    "09_diffusion_flow": ("FD", _flow),
}


def _quality(lesson: str) -> Iterator[tuple[int, float]]:
    for row in results.read("bench.json")["quality"]:
        if row["lesson"] == lesson:
            yield row["steps"], row["course"]["value"]


def _mean_steps(seeds: list[int]) -> int:
    return round(sum(seeds) / len(seeds))
