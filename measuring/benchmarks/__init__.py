"""The course's training beside textbook loops, timed in turn."""
