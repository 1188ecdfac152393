"""The interactive figures, one module each, with a static twin for readers without a kernel."""
