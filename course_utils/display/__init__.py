"""Figures, tables and text for people; nothing here computes a result."""
