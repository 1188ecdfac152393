"""Small tables for people: plain text for a terminal, HTML with headers and a caption for a notebook."""

from collections.abc import Sequence


def text(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in plain text: the caption, an empty line, the columns one under another."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in (head, *rows)
    ]
    return "\n".join([caption, "", *(line.rstrip() for line in lines)])


def page(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in HTML, readable aloud: a caption, a header for each column, the first cell as the header of its row.

    Args:
        caption: what the table holds.
        head: the columns' names.
        rows: the cells, as HTML that is escaped already.
    """
    left = 'style="text-align:left"'
    top = "".join(f'<th scope="col" {left}>{name}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row" {left}>{first}</th>'
        + "".join(f"<td {left}>{cell}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return f"<table><caption {left}>{caption}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
