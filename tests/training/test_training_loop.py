"""The loop every stage shares: rates, checkpoints, resume, refusals."""

import json
import math
import resource
import types
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.forked import forked
from torch import nn

from anymo_hf.training import training_loop
from anymo_hf.training.checkpoints import (
    CHECKPOINT,
    METRICS,
    RunLog,
    finished_metrics,
    load_checkpoint,
    replace_folder,
    save_checkpoint,
    write_metrics,
)
from anymo_hf.training.processes import average_gradients, local_part
from anymo_hf.training.settings import StageSettings
from anymo_hf.training.training_loop import learning_rate_factor, run_steps, step_generator


def network():
    torch.manual_seed(0)
    # batch norm has buffers, dropout draws from torch's random state
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1))


def step_of(module, stop_after=None, seen=None):
    def step(number, rng):
        if number == stop_after:
            raise KeyboardInterrupt
        if seen is not None:
            seen.append(number)
        x = torch.from_numpy(rng.standard_normal((16, 4))).float()
        loss = (module(x)[:, 0] - x.sum(1)).square().mean()
        loss.backward()
        return {"loss": loss.detach()}

    return step


def settings(**values):
    return StageSettings(**({"steps": 8, "checkpoint_every": 3, "log_every": 2, "weight_decay": 0.1} | values))


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_bit_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_learning_rate_rises_to_one_and_falls_to_the_last():
    warmup, final = 0.2, 0.1
    factors = [learning_rate_factor(i / 1000, warmup, final) for i in range(1001)]
    assert factors[100] == pytest.approx(0.5) and factors[200] == pytest.approx(1)
    assert factors[600] == pytest.approx(final + (1 - final) / 2)  # half way down a cosine
    assert factors[1000] == pytest.approx(final) == learning_rate_factor(3.0, warmup, final)
    assert all(a <= b for a, b in zip(factors[:200], factors[1:201], strict=True))
    assert all(a >= b for a, b in zip(factors[200:-1], factors[201:], strict=True))
    assert min(factors) > 0 and max(abs(np.diff(factors))) < 0.01
    assert learning_rate_factor(0, 0, final) == 1 and learning_rate_factor(0.7, 0, 1.0) == 1


def test_the_optimizer_gets_that_rate(tmp_path, accelerator, monkeypatch):
    rates = []
    plain = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW,
        "step",
        lambda self, *args: (rates.append(self.param_groups[0]["lr"]), plain(self, *args))[1],
    )
    module, chosen = network(), settings(steps=5, learning_rate=0.01, warmup=0.4)
    run_steps("toy", module, step_of(module), chosen, tmp_path, "f", accelerator)
    assert rates == pytest.approx([0.01 * learning_rate_factor(i / 5, 0.4, chosen.final_rate) for i in range(5)])


def test_gradients_are_clipped_before_the_step(tmp_path, accelerator, monkeypatch):
    norms = []
    plain = torch.optim.AdamW.step

    def watched(self, *args):
        norms.append(math.sqrt(sum(float(p.grad.square().sum()) for p in self.param_groups[0]["params"])))
        return plain(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    for clip in (0.01, 0):
        module = network()
        run_steps("toy", module, step_of(module), settings(steps=1, gradient_clip=clip), tmp_path / str(clip), "f",
                  accelerator)  # fmt: skip
    assert norms[0] == pytest.approx(0.01, rel=1e-3) and norms[1] > 0.1


def test_checkpoint_round_trip(tmp_path):
    module = network()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    for _ in range(3):
        module(torch.randn(6, 4)).sum().backward()
        optimizer.step()
    log = RunLog(3, 1.25, {"loss": 0.1 + 0.2}, [{"step": 1, "seconds": 0.5, "loss": 1 / 3}])
    save_checkpoint(tmp_path / CHECKPOINT, module, optimizer, log, "f")
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]  # no half-written file stays
    again = network()
    other = torch.optim.AdamW(again.parameters(), lr=0.3)
    assert load_checkpoint(tmp_path / CHECKPOINT, again, other, "f") == log
    assert_bit_equal(state(module), state(again))
    ours, theirs = optimizer.state_dict()["state"], other.state_dict()["state"]
    assert ours.keys() == theirs.keys()
    for index in ours:
        assert_bit_equal(ours[index], theirs[index])
    assert other.param_groups[0]["lr"] == 0.3  # the schedule sets it, not the file


def test_without_a_checkpoint_a_run_starts_at_zero(tmp_path):
    module = network()
    before = state(module)
    optimizer = torch.optim.AdamW(module.parameters())
    assert load_checkpoint(tmp_path / CHECKPOINT, module, optimizer, "f") == RunLog()
    assert_bit_equal(before, state(module))


@pytest.mark.parametrize("stop_after", [1, 3, 4, 7])
def test_a_stopped_and_resumed_run_is_bit_equal(tmp_path, accelerator, stop_after):
    whole = network()
    metrics = run_steps("toy", whole, step_of(whole), settings(), tmp_path / "whole", "f", accelerator)
    assert metrics["steps"] == 8

    stopped = network()
    with pytest.raises(KeyboardInterrupt):
        run_steps("toy", stopped, step_of(stopped, stop_after), settings(), tmp_path / "cut", "f", accelerator)
    resumed, seen = network(), []
    torch.manual_seed(99)  # a new process starts anywhere
    again = run_steps("toy", resumed, step_of(resumed, seen=seen), settings(), tmp_path / "cut", "f", accelerator)
    assert seen[0] == stop_after // 3 * 3 and seen[-1] == 7
    assert_bit_equal(state(whole), state(resumed))
    assert again["losses"] == metrics["losses"]
    assert [entry | {"seconds": 0} for entry in again["history"]] == [
        entry | {"seconds": 0} for entry in metrics["history"]
    ]


def test_a_checkpoint_without_a_log_is_continued(tmp_path, accelerator):
    """Checkpoints once held step, seconds and fingerprint only."""
    whole, cut = network(), network()
    run_steps("toy", whole, step_of(whole), settings(), tmp_path / "whole", "f", accelerator)
    with pytest.raises(KeyboardInterrupt):
        run_steps("toy", cut, step_of(cut, 4), settings(), tmp_path, "f", accelerator)
    path = tmp_path / CHECKPOINT
    with safe_open(path, framework="pt") as file:
        notes = {name: value for name, value in file.metadata().items() if name in ("step", "seconds", "fingerprint")}
    save_file(load_file(path), path, notes)
    again = network()
    metrics = run_steps("toy", again, step_of(again), settings(), tmp_path, "f", accelerator)
    assert_bit_equal(state(whole), state(again))
    assert metrics["steps"] == 8 and [entry["step"] for entry in metrics["history"]] == [4, 6, 8]


def test_a_finished_run_does_no_step(tmp_path, accelerator):
    module, seen = network(), []
    run_steps("toy", module, step_of(module), settings(), tmp_path, "f", accelerator)
    again = network()
    metrics = run_steps("toy", again, step_of(again, seen=seen), settings(), tmp_path, "f", accelerator)
    assert not seen and metrics["steps"] == 8
    assert_bit_equal(state(module), state(again))


def test_a_time_limit_ends_a_run_and_counts_over_resumes(tmp_path, accelerator, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(training_loop.time, "monotonic", lambda: now[0])
    module, counted = network(), []

    def slow(number, rng):
        now[0] += 6.0
        counted.append(number)
        if number == 4:
            raise KeyboardInterrupt
        return step_of(module)(number, rng)

    chosen = settings(steps=1000, max_minutes=1.0, checkpoint_every=1)
    with pytest.raises(KeyboardInterrupt):
        run_steps("toy", module, slow, chosen, tmp_path, "f", accelerator)
    now[0] = 5000.0
    counted.clear()
    metrics = run_steps("toy", module, lambda n, rng: slow(n + 100, rng), chosen, tmp_path, "f", accelerator)
    assert len(counted) == 6 and metrics["steps"] == 10 and metrics["train_seconds"] == 60


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_damaged_checkpoint_is_refused(tmp_path, keep):
    module = network()
    optimizer = torch.optim.AdamW(module.parameters())
    path = tmp_path / CHECKPOINT
    save_checkpoint(path, module, optimizer, RunLog(1), "f")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(OSError, match=r"checkpoint\.safetensors is damaged.*delete it"):
        load_checkpoint(path, module, optimizer, "f")


def test_a_checkpoint_of_other_settings_or_another_model_is_refused(tmp_path):
    module = network()
    optimizer = torch.optim.AdamW(module.parameters())
    path = tmp_path / CHECKPOINT
    save_checkpoint(path, module, optimizer, RunLog(1), "f")
    with pytest.raises(ValueError, match="other settings or inputs"):
        load_checkpoint(path, module, optimizer, "g")
    with pytest.raises(ValueError, match="does not fit"):
        load_checkpoint(path, nn.Linear(4, 8), optimizer, "f")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_names_the_step(tmp_path, accelerator, value):
    module = network()

    def step(number, rng):
        losses = step_of(module)(number, rng)
        return losses | {"teacher": torch.tensor(value if number == 4 else 1.0)}

    with pytest.raises(ValueError, match="toy: teacher is (nan|inf) at step 5"):
        run_steps("toy", module, step, settings(), tmp_path, "f", accelerator)
    good = network()
    assert load_checkpoint(tmp_path / CHECKPOINT, good, torch.optim.AdamW(good.parameters()), "f").step == 3
    assert all(torch.isfinite(tensor).all() for tensor in good.state_dict().values())


def test_a_gradient_that_is_not_finite_stops_before_the_weights_take_it(tmp_path, accelerator):
    def step(number, rng):
        losses = step_of(module)(number, rng)
        if number == 4:
            module[0].weight.grad[0, 0] = float("inf")
        return losses

    for clip, folder in ((1.0, tmp_path / "clipped"), (0, tmp_path / "free")):
        module = network()
        with pytest.raises(
            ValueError, match=r"toy: the gradient's norm is (nan|inf) at step 5 \(rows 4\).*step 3 is kept"
        ):
            run_steps("toy", module, step, settings(gradient_clip=clip), folder, "f", accelerator,
                      batch_of=lambda number: f"rows {number}")  # fmt: skip
        assert all(torch.isfinite(tensor).all() for tensor in module.state_dict().values())
        good = network()
        assert load_checkpoint(folder / CHECKPOINT, good, torch.optim.AdamW(good.parameters()), "f").step == 3


def test_before_the_first_checkpoint_a_bad_loss_says_that_there_is_none(tmp_path, accelerator):
    module = network()
    with pytest.raises(ValueError, match="at step 1; no checkpoint had been saved; lower"):
        run_steps("toy", module, lambda number, rng: {"loss": torch.tensor(float("nan"))}, settings(), tmp_path, "f",
                  accelerator)  # fmt: skip
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["running_mean", "exp_avg"])
def test_weights_and_moments_that_are_not_finite_are_never_saved(tmp_path, where):
    module = network()
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.randn(6, 4)).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / CHECKPOINT, module, optimizer, RunLog(1), "f")
    before = (tmp_path / CHECKPOINT).read_bytes()
    broken = module[1].running_mean if where == "running_mean" else optimizer.state[module[0].weight]["exp_avg"]
    broken[0] = float("nan")
    with pytest.raises(ValueError, match=f"after step 2, .*{where} hold NaN or infinity"):
        save_checkpoint(tmp_path / CHECKPOINT, module, optimizer, RunLog(2), "f")
    assert (tmp_path / CHECKPOINT).read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@contextmanager
def full_disk(size):
    """Files may not grow beyond `size` bytes, as if the disk were full there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_half_written(tmp_path, accelerator):
    whole, module = network(), network()
    run_steps("toy", whole, step_of(whole), settings(), tmp_path / "whole", "f", accelerator)
    folder = tmp_path / "cut"

    def step(number, rng):
        if number == 5:  # the disk fills up after the checkpoint of step 3
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return step_of(module)(number, rng)

    with full_disk(resource.getrlimit(resource.RLIMIT_FSIZE)[0]), pytest.raises(OSError) as error:
        run_steps("toy", module, step, settings(), folder, "f", accelerator)
    for words in (CHECKPOINT, "what was there before is kept", "make room on the disk", "run the same command again"):
        assert words in str(error.value)
    assert [path.name for path in folder.iterdir()] == [CHECKPOINT]
    resumed, seen = network(), []
    run_steps("toy", resumed, step_of(resumed, seen=seen), settings(), folder, "f", accelerator)
    assert seen == [3, 4, 5, 6, 7]
    assert_bit_equal(state(whole), state(resumed))


def test_a_full_disk_leaves_old_metrics_and_an_old_model(tmp_path):
    write_metrics(tmp_path, {"steps": 1})
    replace_folder(tmp_path / "model", lambda draft: save_file({"a": torch.ones(3)}, draft / "m"))
    with full_disk(1000):
        with pytest.raises(OSError, match=r"metrics\.json.*make room"):
            write_metrics(tmp_path, {"steps": 2, "history": ["x" * 3000]})
        with pytest.raises(OSError, match="model.*make room"):
            replace_folder(tmp_path / "model", lambda draft: save_file({"a": torch.ones(3000)}, draft / "m"))
    assert json.loads((tmp_path / METRICS).read_text()) == {"steps": 1}
    assert load_file(tmp_path / "model" / "m")["a"].shape == (3,)
    assert sorted(path.name for path in tmp_path.iterdir()) == [METRICS, "model"]


def test_an_ended_stage_is_loaded_with_the_metrics_it_had(tmp_path, accelerator):
    module, seen = network(), []
    metrics = run_steps("toy", module, step_of(module), settings(), tmp_path, "f", accelerator)
    write_metrics(tmp_path, metrics | {"finished": True, "extra": 1})
    again, longer = network(), settings(steps=20)  # an ended stage has ended, whatever the limits are now
    found = run_steps("toy", again, step_of(again, seen=seen), longer, tmp_path, "f", accelerator)
    assert not seen and not again.training and found == metrics | {"finished": True, "extra": 1}
    assert_bit_equal(state(module), state(again))
    (tmp_path / CHECKPOINT).unlink()  # nothing to load: it starts again
    fresh = network()
    run_steps("toy", fresh, step_of(fresh, seen=seen), settings(), tmp_path, "f", accelerator)
    assert seen == list(range(8))
    assert_bit_equal(state(module), state(fresh))


def test_a_stage_that_started_again_and_stopped_has_not_ended(tmp_path, accelerator):
    module, seen = network(), []
    metrics = run_steps("toy", module, step_of(module), settings(), tmp_path, "f", accelerator)
    write_metrics(tmp_path, metrics | {"finished": True})
    (tmp_path / CHECKPOINT).unlink()
    cut, again = network(), network()
    with pytest.raises(KeyboardInterrupt):
        run_steps("toy", cut, step_of(cut, 4), settings(), tmp_path, "f", accelerator)
    run_steps("toy", again, step_of(again, seen=seen), settings(), tmp_path, "f", accelerator)
    assert seen == list(range(3, 8))
    assert_bit_equal(state(module), state(again))


def test_undecayed_parameters_shrink_only_by_their_gradient(tmp_path, accelerator):
    module = network()
    module[0].weight.register_hook(torch.zeros_like)
    before = state(module)
    chosen = settings(weight_decay=0.5)
    run_steps("toy", module, step_of(module), chosen, tmp_path / "a", "f", accelerator, [module[0].weight])
    after = state(module)
    assert torch.equal(before["0.weight"], after["0.weight"])
    plain = network()
    plain[0].weight.register_hook(torch.zeros_like)
    run_steps("toy", plain, step_of(plain), chosen, tmp_path / "b", "f", accelerator)
    shrunk = state(plain)["0.weight"] / before["0.weight"]
    rates = [learning_rate_factor(i / 8, chosen.warmup, chosen.final_rate) for i in range(8)]
    decay = math.prod(1 - 0.5 * chosen.learning_rate * rate for rate in rates)
    torch.testing.assert_close(shrunk, torch.full_like(shrunk, decay))  # what decay alone does
    # moments keep their numbers, so that a checkpoint fits with and without
    ours, theirs = (load_file(tmp_path / name / CHECKPOINT) for name in "ab")
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}


def test_frozen_parameters_stay(tmp_path, accelerator):
    module = network()
    module[0].requires_grad_(False)
    before = state(module)
    run_steps("toy", module, step_of(module), settings(), tmp_path, "f", accelerator)
    after = state(module)
    assert torch.equal(before["0.weight"], after["0.weight"])
    assert not torch.equal(before["3.weight"], after["3.weight"])
    assert not module.training


def test_metrics_tell_what_happened(tmp_path, accelerator):
    module = network()
    metrics = run_steps("toy", module, step_of(module), settings(), tmp_path, "f", accelerator)
    assert metrics["stage"] == "toy" and metrics["processes"] == 1 and metrics["device"] == "cpu"
    assert [entry["step"] for entry in metrics["history"]] == [1, 2, 4, 6, 8]
    assert finished_metrics(tmp_path, "f") is None
    write_metrics(tmp_path, metrics)
    assert finished_metrics(tmp_path, "f") is None  # not marked as finished
    write_metrics(tmp_path, metrics | {"finished": True})
    assert finished_metrics(tmp_path, "f") == json.loads(json.dumps(metrics | {"finished": True}))
    assert finished_metrics(tmp_path, "g") is None
    results = [tmp_path / "a", tmp_path / "b"]
    results[0].touch()
    assert finished_metrics(tmp_path, "f", *results) is None  # a result is gone
    results[1].touch()
    assert finished_metrics(tmp_path, "f", *results)["finished"]


@pytest.mark.parametrize("content", [b"", b'{"stage": "toy", "fin', b"[]", b"null", b"\xff\xfe"])
def test_damaged_metrics_are_refused(tmp_path, content):
    (tmp_path / METRICS).write_bytes(content)
    with pytest.raises(OSError, match=r"metrics\.json is damaged.*delete it and run this stage again") as error:
        finished_metrics(tmp_path, "f")
    assert str(tmp_path / METRICS) in str(error.value)


def test_steps_draw_from_sources_of_their_own():
    keys = [(s, n, p, t) for s in (0, 1) for n in (0, 1) for p in (0, 1) for t in (0, 1)]
    draws = {int(step_generator(*key).integers(2**62)) for key in keys}
    assert len(draws) == len(keys) and draws == {int(step_generator(*key).integers(2**62)) for key in keys}


def test_a_batch_divides_over_processes():
    shares = [
        local_part(list(range(6)), types.SimpleNamespace(num_processes=3, process_index=index)) for index in range(3)
    ]
    assert shares == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(ValueError, match="batch of 6 does not divide over 4"):
        local_part(list(range(6)), types.SimpleNamespace(num_processes=4, process_index=0))


def test_mean_of_gradients_keeps_shapes_and_counts_absent_ones_as_zero():
    """Two processes are played by a reduction that adds what the other would send."""
    parameters = [nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(2))]
    parameters[0].grad = torch.arange(6.0).view(2, 3)
    other = torch.cat([torch.ones(6), 2 * torch.ones(4), torch.zeros(2), torch.tensor([1.0, 1.0, 0.0])])
    process = types.SimpleNamespace(num_processes=2, reduce=lambda tensor, kind: (tensor + other) / 2)
    average_gradients(parameters, process)
    torch.testing.assert_close(parameters[0].grad, (torch.arange(6.0).view(2, 3) + 1) / 2)
    torch.testing.assert_close(parameters[1].grad, torch.ones(4))
    assert parameters[2].grad is None  # no process has one


def test_a_folder_is_replaced_only_by_a_complete_one(tmp_path):
    target = tmp_path / "model"
    replace_folder(target, lambda draft: (draft / "a").write_text("old"))

    def fails(draft):
        (draft / "b").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_folder(target, fails)
    assert [path.name for path in target.iterdir()] == ["a"]
    replace_folder(target, lambda draft: (draft / "c").write_text("new"))
    assert [path.name for path in target.iterdir()] == ["c"] and [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_second_run_at_the_same_time_takes_no_draft_away(tmp_path):
    def write(draft):
        (draft / "a").write_text("first")
        second = forked(replace_folder, tmp_path / "model", lambda own: (own / "a").write_text("second"))
        second.join()
        assert second.exitcode == 0 and (tmp_path / "model" / "a").read_text() == "second"

    replace_folder(tmp_path / "model", write)
    assert (tmp_path / "model" / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
