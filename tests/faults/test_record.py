"""The record counts honestly: a skip is not a pass, a fault without a test is not injected."""

from collections import defaultdict

from fault_record import ROWS, summary


def test_a_skip_or_a_failure_is_not_a_pass_and_a_missing_test_is_no_injection():
    results = {row: defaultdict(list) for row in ROWS}
    results["A1"]["passed"] += [("a", ""), ("b", "")]
    results["A2"]["passed"] += [("a", "")]
    results["A2"]["skipped"] += [("b", "Skipped: no root")]
    results["A3"]["passed"] += [("a", "")]
    results["A3"]["failed"] += [("b", "")]
    results["A4"]["skipped"] += [("b", "Skipped: no root")]
    record = summary(results, {"C1.kills_vae": 3, "C1.kills_bert": 4, "C1.lost_vae": 0})
    outcomes = {row: entry["outcome"] for row, entry in record["rows"].items()}
    assert [outcomes[row] for row in ("A1", "A2", "A3", "A4", "A5")] == [
        "passed", "skipped", "failed", "skipped", "skipped",
    ]  # fmt: skip
    assert record["rows"]["A2"]["why_skipped"] == ["no root"]
    assert record["faults"] == {
        "declared": len(ROWS), "injected": 3, "passed": 1, "failed": 1, "skipped": len(ROWS) - 2, "tests": 7,
    }  # fmt: skip
    assert (record["figures"]["C1.kills"], record["figures"]["C1.lost"]) == (7, 0)
