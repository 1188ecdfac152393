"""One recipe per lesson: what `course_utils.train` and the measuring programs run."""
