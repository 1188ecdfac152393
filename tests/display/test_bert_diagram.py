"""The diagram of lesson 04 holds a column for each token, and every part by its name."""

import pytest

from course_utils.display import bert_diagram, plots


@pytest.mark.parametrize("tokens", [["[CLS]", "a", "film", "[SEP]"], ["[CLS]", "$5", "[SEP]"]])
def test_each_token_has_its_three_vectors_and_their_sum(tokens):
    figure, (ax,) = plots.subplots()
    bert_diagram.draw(ax, tokens, layers=6)
    figure.canvas.draw()
    texts = [text.get_text().replace(r"\$", "$") for text in ax.texts]
    assert all(token in texts for token in tokens)
    assert texts.count("sum") == texts.count("first") == len(tokens)
    assert {"token", "position", "segment", "pooler", "head"} <= set(texts)
    assert any(text.startswith("6 layers") for text in texts)
    plots.put_away(figure)
