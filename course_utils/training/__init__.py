"""What surrounds a training loop: order, checkpoints, exact resume, interrupts, several processes, memory."""
