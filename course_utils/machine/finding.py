"""One thing that a lesson could stumble over."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What was found on this machine.

    Attributes:
        code: short stable name, for example ``"memory-small"``.
        what: what is there, in one sentence.
        why: which lesson it matters to, and how.
        fix: what to do; where possible a line that can be pasted.
        stops: whether a lesson stops or is in vain; False where it goes on, with less.
    """

    code: str
    what: str
    why: str
    fix: str
    stops: bool = True
