"""A call at another tier than this machine's."""

import pytest


def at(tier, do, *arguments, **options):
    """What ``do`` returns where ``COURSE_TIER`` is ``tier``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_TIER", tier)
        return do(*arguments, **options)
