"""What a learner has done and what the course consists of: progress, catalogue, the clinic's checklist and toy."""
