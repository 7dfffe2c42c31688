"""MATLAB files against scipy's reader, and spoiled ones."""

import io
import struct
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from anymo_hf.recordings.matlab_file import read_matlab


def _saved(variables, **options) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, **options)
    return file.getvalue()


VARIABLES = {
    "sensor_readings": np.random.default_rng(0).normal(0, 3, (50, 6)),
    "d_skel": np.arange(24.0).reshape(2, 3, 4),
    "counts": np.array([[1, -2, 300]], np.int16),
    "n": np.uint8([[7]]),
    "single": np.float32([[0.5, 2]]),
    "subject": "ann",
    "cells": np.array([[1, "a"]], object),
    "wave": np.array([[1 + 2j]]),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_are_those_of_scipy(compressed):
    content = _saved(VARIABLES, do_compression=compressed)
    wanted, found = loadmat(io.BytesIO(content)), read_matlab(content)
    assert set(found) == {"sensor_readings", "d_skel", "counts", "n", "single"}
    for name, values in found.items():
        np.testing.assert_array_equal(values, wanted[name])
        assert values.shape == wanted[name].shape


@pytest.mark.parametrize("compressed", [False, True])
def test_spoiled_files_are_read_or_refused(compressed):
    content = _saved({"sensor_readings": VARIABLES["sensor_readings"][:3], "subject": "ann"}, do_compression=compressed)
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(1500):
        spoiled = bytearray(content)
        for place in rng.integers(124, len(content), rng.integers(1, 4)):
            spoiled[place] ^= 1 << rng.integers(8)
        cut = len(content) if rng.random() < 0.7 else rng.integers(len(content))
        try:
            for values in read_matlab(bytes(spoiled[:cut])).values():
                assert values.nbytes <= len(content) * 20
        except OSError as error:
            refused += 1
            assert "; download it again" in str(error)
    assert refused > 300


def test_shape_of_more_than_there_is_is_refused():
    content = _saved({"x": np.zeros((5, 6))})
    place = content.index(struct.pack("<ii", 5, 6))
    for shape in ((2**31 - 1, 6), (-5, -6), (5, 7), (0, 6)):
        with pytest.raises(OSError, match="variable 'x' of shape .* does not fit its 240 bytes; download it again"):
            read_matlab(content[:place] + struct.pack("<ii", *shape) + content[place + 8 :])


def test_bomb_is_refused():
    packed = zlib.compress(bytes((1 << 28) + 1), 1)
    content = _saved({})[:128] + struct.pack("<II", 15, len(packed)) + packed
    with pytest.raises(OSError, match="cut off or over 256 MB"):
        read_matlab(content)


def test_other_levels_are_named():
    with pytest.raises(OSError, match="no MATLAB file of level 5.*download it again or save it so"):
        read_matlab(_saved({"x": np.zeros(3)}, format="4"))
