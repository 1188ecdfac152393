"""Programs that measure what the lessons quote and train what ships; imported by nothing, not in the wheel."""
