"""Programs that measure what the lessons quote and train what ships; imported by nothing, not in the wheel."""

import course_utils  # noqa: F401 - before torch, which a program may import first: waiting threads sleep
