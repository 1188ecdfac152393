"""The colours of all figures and widgets; beside them only black, white and grey are used.

Four of Okabe and Ito's, black, and two darker ones for theirs that are too pale on white: colour-blind readers can tell
all seven apart, and each has a contrast of at least 3 to 1 with white. The fills are pale, for black text on them.
"""

BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
CRIMSON = "#95143B"
BRIGHT_BLUE = "#3F95FF"
BLACK = "#000000"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, CRIMSON, BRIGHT_BLUE, BLACK)
"""Of lines, in the order in which a figure takes them."""

POSITIVE, NEGATIVE = BLUE, VERMILION
"""What speaks for and against: a review's verdict, and the words that move it."""

BETTER, NEITHER, WORSE = "#56B4E9", "#F2F2F2", "#E69F00"
"""Fills of a table's cells."""

AMOUNTS = "cividis"
"""matplotlib's map for amounts in a picture."""
SHARES = "Blues"
"""matplotlib's map for shares of one: none is white."""
BACKGROUND = "Greys"
"""matplotlib's map for what lies behind points, which keep their colours on it."""

FRAME, ARROWS = "lightgrey", "silver"
"""Of a plane's frame, and of the arrows that fill it behind the points."""
