"""Networks that a later lesson needs again, their losses and their training steps, and the weights that ship."""
