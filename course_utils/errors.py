"""The one error class that a learner meets when data, disk, network or settings are not as expected."""


class CourseError(RuntimeError):
    """An error that names what happened, why, and what to do about it.

    Args:
        code: short stable name, for example ``"images-broken-file"``; tests and forum posts refer to it.
        what: what happened, in one sentence.
        why: why it happened or why it matters, in one sentence.
        fix: what to do now; where possible a line that can be pasted as it is.
    """

    def __init__(self, code: str, what: str, why: str, fix: str) -> None:
        self.code, self.what, self.why, self.fix = code, what, why, fix
        super().__init__(f"{what}\n  Why: {why}\n  Fix: {fix}\n  [{code}]")

    def __reduce__(self) -> tuple[type, tuple[str, ...]]:
        """Reach another process whole (pickle would call the class with the message alone)."""
        return type(self), (self.code, self.what, self.why, self.fix)

    def _render_traceback_(self) -> list[str]:
        """Show a learner the message and not forty lines of traceback (called by IPython)."""
        return [f"{type(self).__name__}: {self}"]
