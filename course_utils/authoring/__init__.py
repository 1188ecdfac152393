"""Source to notebooks: what authors of lessons use, never learners."""
