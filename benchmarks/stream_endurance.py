"""A day of live use: `AnyMoStream` behind a transport that delays, loses, repeats and swaps packets and spoils samples.

    python benchmarks/stream_endurance.py [--hours 24] [--release-minutes 2] [--output results/stream_endurance.json]

Time is compressed: a simulated device makes samples, the transport harms them, and a receiver pushes what arrives. The
receiver does what the stream's refusals say: it drops a packet that comes late or twice, and after a pause, NaN or
another rate it calls `reset` and goes on with what follows. What must come out is worked out apart from the stream: the
sound stretches by a rule of ten lines on the times of all that arrived, their windows by `hop_spans`, and of each the
answer to its own samples. Every event must be one of these, and each of these an event. For the long run the answer is a
checksum of the window's samples, so that the smallest difference in the signal shows; for `--release-minutes` it is the
released checkpoint's codes and scores.

Latency is CPU time of a push, memory the process's resident set; both must be at the end what they were after a tenth.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anymo_hf import AnyMoModel, AnyMoProcessor, AnyMoStream
from anymo_hf.atomic_write import write_json
from anymo_hf.modeling.windows import hop_spans

WINDOW, HOP, MAX_GAP = 5.0, 2.5, 0.1
RATES = (25.0, 50.0, 100.0)  # Hz; a session has one
SESSION = 900.0  # seconds; then the device is put on again, perhaps at another rate or with two sensors
LABELS = ["walking", "sitting", "running"]
# what befalls a packet, and how probably
FAULTS = {"lost": 0.002, "repeated": 0.004, "swapped": 0.004, "not a number": 0.001, "other rate": 0.0005}


@dataclass
class Packet:
    """`(n, 6)` samples of each placement, m/s^2 and rad/s, and their time stamps `(n,)`, seconds."""

    samples: dict[str, np.ndarray]
    times: np.ndarray


@dataclass
class Tally:
    """What happened: faults of the transport, refusals of the stream, and how its events compare."""

    counts: Counter[str] = field(default_factory=Counter)
    push_seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def signal(rng: np.random.Generator, count: int) -> np.ndarray:
    """`(count, 6)`: gravity, a swing and noise."""
    swing = np.sin(np.arange(count)[:, None] * rng.uniform(0.05, 0.5, 6)) * [2, 2, 3, 1, 1, 1]
    return rng.normal(0, 0.2, (count, 6)) + swing + [0, 0, 9.81, 0, 0, 0]


def packets(
    rng: np.random.Generator, placements: list[str], rate: float, seconds: float, tally: Tally
) -> Iterator[Packet]:
    """What a device sends in a session and a transport delivers, harmed on the way.

    Stamps jitter by a quarter of a sample. A lost stretch lasts 0.2 to 20 s; another rate, a fifth faster, 20 s.
    """
    total = round(seconds * rate)
    data = {name: signal(rng, total) for name in placements}
    begin, clock, quick = 0, 0.0, 0.0
    held: Packet | None = None
    while begin < total:
        count = min(int(rng.integers(2, max(3, int(0.8 * rate)))), total - begin)
        step = (1 / 1.2 if quick > 0 else 1.0) / rate
        stamps = clock + step * (np.arange(count) + rng.uniform(-0.25, 0.25, count))
        packet = Packet({name: values[begin : begin + count].copy() for name, values in data.items()}, stamps)
        begin, clock, quick = begin + count, clock + step * count, quick - step * count
        happens = {name: rng.random() < share for name, share in FAULTS.items()}
        for name in happens:
            tally.counts[name] += happens[name]
        if happens["other rate"]:
            quick = 20.0
        if happens["lost"]:
            gone = round(rng.uniform(0.2, 20) * rate)
            begin, clock = begin + gone, clock + gone / rate
            continue
        if happens["not a number"]:
            name = placements[int(rng.integers(len(placements)))]
            packet.samples[name][int(rng.integers(count)), int(rng.integers(6))] = rng.choice([np.nan, np.inf])
        if happens["swapped"] and held is None:
            held = packet
            continue
        yield packet
        if happens["repeated"]:
            yield packet
        if held is not None:
            yield held
            held = None


# -- what must come out, apart from the stream ---------------------------------------------------------------------------


def sound_stretches(arrived: list[Packet], rate: float) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Samples and times of every stretch in which nothing is amiss, by the rules that the stream's documentation gives."""
    size, longest = round(WINDOW * rate), max(MAX_GAP, 2.5 / rate)
    allowed = max(0.05 * (size - 1) / rate, longest)
    stretches: list[list[Packet]] = [[]]
    times = np.empty(0)
    for packet in arrived:
        if not all(np.isfinite(values).all() for values in packet.samples.values()):
            stretches.append([])
            times = np.empty(0)
            continue
        if len(times) and packet.times[0] < times[-1]:
            continue  # late, or twice
        if len(times) and packet.times[0] - times[-1] > longest:
            stretches.append([])
            times = np.empty(0)
        joined = np.concatenate([times, packet.times])
        taken = joined[size - 1 :] - joined[: len(joined) - size + 1] if len(joined) >= size else np.empty(0)
        if (np.abs(taken - (size - 1) / rate) > allowed).any():
            stretches.append([])
            joined = packet.times
        stretches[-1].append(packet)
        times = joined
    return [
        ({name: np.concatenate([one.samples[name] for one in part]) for name in part[0].samples},
         np.concatenate([one.times for one in part]))
        for part in stretches
        if part
    ]  # fmt: skip


def expected(arrived: list[Packet], rate: float, answer: Callable[[dict[str, np.ndarray]], Any]) -> list[tuple]:
    """`(start, end, answer)` of every window of every sound stretch; the last stretch ends with a shorter one."""
    found, stretches = [], sound_stretches(arrived, rate)
    size = round(WINDOW * rate)
    for number, (samples, times) in enumerate(stretches):
        whole = len(times) / rate
        fits = abs(times[-1] - times[0] + 1 / rate - whole) <= max(0.05 * whole, MAX_GAP)  # else not even a short one
        for begin, end in hop_spans(len(times), rate, WINDOW, HOP):
            if end - begin == size or number == len(stretches) - 1 and (fits or begin):
                part = {name: values[begin:end] for name, values in samples.items()}
                found.append((times[begin], times[end - 1] + 1 / rate, answer(part)))
    return found


# -- the receiver --------------------------------------------------------------------------------------------------------


def receive(stream: AnyMoStream, packet: Packet, tally: Tally) -> list:
    """Pushes a packet and heeds what the stream says of it."""
    began = time.thread_time()
    try:
        return stream.push(packet.samples, packet.times)
    except ValueError as error:
        said = str(error)
        if "go back" in said:
            tally.counts["refused: late or twice"] += 1
            return []
        if "NaN" in said:
            tally.counts["refused: not a number"] += 1
            stream.reset()
            return []
        if "pause" not in said and "Hz, sampling_rate=" not in said:
            raise
        tally.counts["refused: pause" if "pause" in said else "refused: other rate"] += 1
        stream.reset()
        return stream.push(packet.samples, packet.times)
    finally:
        tally.push_seconds.append(time.thread_time() - began)


def checksum(window: dict[str, np.ndarray]) -> int:
    """Of a window's samples."""
    return zlib.crc32(b"".join(np.ascontiguousarray(values).tobytes() for values in window.values()))


def compare(
    events: list, wanted: list[tuple], longest: float, tally: Tally, what: str, same: Callable[[Any, Any], bool]
) -> None:
    """Each event with the window that it must be."""
    tally.counts["events"] += len(events)
    tally.counts["windows of sound stretches"] += len(wanted)
    if len(events) != len(wanted):
        tally.wrong.append(f"{what}: {len(events)} events for {len(wanted)} windows of sound stretches")
    for event, (start, end, answer) in zip(events, wanted, strict=False):
        if (event.start, event.end) != (start, end) or not same(event, answer):
            tally.wrong.append(f"{what}: the event at {event.start:.3f} s is not the window at {start:.3f} s")
        if event.end - event.start > 1.05 * WINDOW + longest:
            tally.wrong.append(f"{what}: the event at {event.start:.3f} s bridges a pause")


def session(
    make: Callable[[list[str], float, str], AnyMoStream],
    answer: Callable[[list[str], float], Callable[[dict[str, np.ndarray]], Any]],
    same: Callable[[Any, Any], bool],
    number: int,
    seed: int,
    seconds: float,
    tally: Tally,
) -> None:
    """One session: a device is put on, sends, and is taken off.

    Args:
        make: a stream of these placements, this rate and this `on_gap`.
        answer: gives, for placements and rate, what a window must be answered by.
        same: whether an event holds such an answer.
        number, seed: decide all that is random.
        seconds: of the session.
        tally: is added to.
    """
    rng = np.random.default_rng([seed, number])
    rate, placements = float(RATES[number % len(RATES)]), ["left_wrist", "waist"][: 1 + number % 2]
    stream = make(placements, rate, ("raise", "reset")[number // 2 % 2])
    size, arrived, events = stream.buffer_bytes, [], []
    for packet in packets(rng, placements, rate, seconds, tally):
        arrived.append(packet)
        events += receive(stream, packet, tally)
    try:
        events += stream.flush()
    except ValueError as error:  # the device was taken off while it was too fast
        if "Hz, sampling_rate=" not in str(error):
            raise
        tally.counts["refused: other rate"] += 1
        stream.reset()
    if stream.buffer_bytes != size:
        tally.wrong.append(f"session {number}: the buffer grew from {size} to {stream.buffer_bytes} bytes")
    tally.counts["sessions"] += 1
    tally.counts["samples"] += sum(len(packet.times) for packet in arrived)
    tally.counts["packets"] += len(arrived)
    wanted = expected(arrived, rate, answer(placements, rate))
    compare(events, wanted, max(MAX_GAP, 2.5 / rate), tally, f"session {number}", same)


def stream_maker(
    model: AnyMoModel, processor: AnyMoProcessor, cheap: bool
) -> Callable[[list[str], float, str], AnyMoStream]:
    """Streams whose answer is the model's, or a checksum of the window in the place of its codes."""

    def make(placements: list[str], rate: float, on_gap: str) -> AnyMoStream:
        stream = AnyMoStream(
            model, processor, placements, rate, window=WINDOW, hop=HOP, max_gap=MAX_GAP, on_gap=on_gap,
            labels=[] if cheap else LABELS, embeddings=not cheap,
        )  # fmt: skip
        if cheap:
            stream._answer = lambda window: (np.array([checksum(window)]), (0,), {}, None, None)
        return stream

    return make


def offline(model: AnyMoModel, processor: AnyMoProcessor) -> Callable[[list[str], float], Callable[[dict], Any]]:
    """The answer to a recording that is there as a whole: codes of the feature extractor, scores of the pipeline."""
    from transformers import pipeline

    import anymo_hf  # noqa: F401  (registers the pipeline)

    score = pipeline("zero-shot-imu-classification", model=model, processor=processor)

    def of(placements: list[str], rate: float) -> Callable[[dict[str, np.ndarray]], Any]:
        def answer(window: dict[str, np.ndarray]) -> Any:
            codes = processor.feature_extractor(window, sampling_rate=rate)["imu_codes"][0]
            found = score({"imu": window, "sampling_rate": rate}, candidate_labels=LABELS)
            return np.asarray(codes), {one["label"]: one["score"] for one in found}

        return answer

    return of


def same_answer(event: Any, answer: tuple[np.ndarray, dict[str, float]]) -> bool:
    """Equal codes, and scores to a hundred-thousandth."""
    codes, scores = answer
    return np.array_equal(event.codes, codes) and all(
        abs(event.scores[name] - value) < 1e-5 for name, value in scores.items()
    )


def resident_megabytes() -> float:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def endure(
    make, answer, same, hours: float, seed: int = 0, tell: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """So many simulated hours; what happened, as written to the results file."""
    tally, began = Tally(), time.perf_counter()
    sessions = max(1, round(hours * 3600 / SESSION))
    seconds = hours * 3600 / sessions
    after, early, memory = max(1, sessions // 10), {}, []
    for number in range(sessions):
        session(make, answer, same, number, seed, seconds, tally)
        tell(f"{(number + 1) * seconds / 3600:.2f} h: {tally.counts['events']} events, {len(tally.wrong)} wrong")
        if (number + 1) % after == 0:
            memory.append(round(resident_megabytes(), 1))
        if number + 1 == after:
            early = _latency(tally.push_seconds)
            tally.push_seconds.clear()
        elif number + 1 < sessions and (number + 1) % after == 0:
            tally.push_seconds.clear()  # the last tenth is told
    late = _latency(tally.push_seconds) if tally.push_seconds else early
    return {
        "simulated_hours": hours, "seconds": round(time.perf_counter() - began, 1), "seed": seed,
        "window_seconds": WINDOW, "hop_seconds": HOP, "sampling_rates": list(RATES),
        "counts": dict(sorted(tally.counts.items())),
        "first_tenth": early, "last_tenth": late, "resident_megabytes_by_tenth": memory,
        "wrong": tally.wrong[:20], "wrong_count": len(tally.wrong),
    }  # fmt: skip


def _latency(seconds: list[float]) -> dict[str, float]:
    values = 1e3 * np.array(seconds)
    parts = {"median": np.median(values), "p999": np.quantile(values, 0.999), "most": values.max()}
    return {f"push_{name}_ms": round(float(value), 3) for name, value in parts.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="A day of live use behind a bad transport.")
    parser.add_argument("--hours", type=float, default=24.0, help="simulated, with a checksum as answer")
    parser.add_argument("--release-minutes", type=float, default=2.0, help="simulated, with the checkpoint's answers")
    parser.add_argument("--model", default="anymo", help="checkpoint folder, or owner/name on the Hub")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("results/stream_endurance.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, processor = AnyMoModel.from_pretrained(args.model), AnyMoProcessor.from_pretrained(args.model)

    def tell(text: str) -> None:
        print(text, flush=True)

    cheap = endure(
        stream_maker(model, processor, True), lambda *_: checksum, lambda event, answer: event.codes.tolist() == [answer],
        args.hours, args.seed, tell,
    )  # fmt: skip
    real = endure(
        stream_maker(model, processor, False), offline(model, processor), same_answer, args.release_minutes / 60,
        args.seed + 1, tell,
    )  # fmt: skip
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    write_json(args.output, {"machine": machine, "model": args.model, "checksums": cheap, "release": real})
    print(f"written: {args.output}")
    if cheap["wrong_count"] or real["wrong_count"]:
        raise SystemExit("some events are wrong; the results file names them")


if __name__ == "__main__":
    main()
