"""Numbers about a trained network: scores with intervals, bounds, and the diagnosis of a run."""
