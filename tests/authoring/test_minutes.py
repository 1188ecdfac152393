"""The minutes of a lesson come from its words, its code and its exercises."""

from course_utils.authoring.minutes import minutes

SOURCE = """# ---
# jupyter: {{}}
# ---

# %% [markdown]
# # 9. Tiny
#
# {words}

# %%
{code}
"""
EXERCISE = '''
# %% [markdown]
# ### Exercise: double it
#
# *Hard, 25 minutes.* Twice.

# %%
def double(x):
    """Twice."""
    ### BEGIN SOLUTION
{solution}
    return 2 * x
    ### END SOLUTION


double = checks.tiny.double(double)
'''


def test_words_and_lines_count_and_the_solution_does_not(tmp_path):
    path = tmp_path / "09_tiny.py"
    path.write_text(SOURCE.format(words="word " * 1_800, code="x = 1\n" * 200))
    assert minutes(path) == 20  # ten of reading, ten of code
    exercise = EXERCISE.format(solution="    x = x + 0\n" * 400)
    path.write_text(SOURCE.format(words="word " * 1_800, code="x = 1\n" * 200) + exercise)
    assert minutes(path) == 45


def test_addresses_and_placeholders_are_not_read(tmp_path):
    path = tmp_path / "09_tiny.py"
    link = "[a](https://example.org/a/b/c/d/e/f/g/h) {{result:a.json:b.c.d.e.f:.1f}} "
    path.write_text(SOURCE.format(words=link * 900, code="x = 1"))
    assert minutes(path) == 5
