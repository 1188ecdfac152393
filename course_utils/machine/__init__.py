"""What this machine has, and what a lesson could stumble over on it."""
