"""One recipe a lesson: what `course_utils.train` and the measuring programs run."""
