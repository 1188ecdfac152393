"""The interactive figures, one module each, with a still twin for readers without a kernel."""
