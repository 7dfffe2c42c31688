"""The encoder's benchmark counts work and says what it measured."""

from benchmarks import encoder as benchmark


def test_report_shows_rates_and_says_that_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(benchmark, "FRAMES", 40)
    result = {"machine": "one", **benchmark.measure("nano", 2, 0.0, False)}
    table = benchmark.markdown(result, "nano")
    assert "| forward | plain |" in table and "| training step | plain |" in table and "no GPU here" in table
    assert result["gflop_per_window"]["forward and backward"] > 2 * result["gflop_per_window"]["forward"]
