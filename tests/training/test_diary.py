"""A run's diary outlives the notebook, and another run's pages are not taken for its own."""

from course_utils.training.diary import NAME, Diary


def test_a_run_that_goes_on_has_its_earlier_pages(tmp_path):
    first = Diary(tmp_path / "run", 0)
    assert first.newest() == ""
    for step, text in ((0, "noise"), (50, "in words\nand lines")):
        first.write(step, text)
    again = Diary(tmp_path / "run", 50)
    assert again.pages == {0: "noise", 50: "in words\nand lines"}
    assert again.newest() == "step 50: in words\nand lines"


def test_pages_of_an_earlier_run_are_left_out(tmp_path):
    old = Diary(tmp_path, 0)
    old.write(0, "noise")
    old.write(500, "sense")
    assert Diary(tmp_path, 0).pages == {}
    assert Diary(tmp_path, 20).pages == {0: "noise"}


def test_half_a_file_is_no_diary(tmp_path):
    for content in ('{"0": "no', "[1]", '{"a": "b"}', ""):
        (tmp_path / NAME).write_text(content, encoding="utf-8")
        diary = Diary(tmp_path, 100)
        assert diary.pages == {}
        diary.write(3, "new")
        assert Diary(tmp_path, 100).pages == {3: "new"}
