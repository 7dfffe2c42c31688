"""The cache of replies: what was written is found, and a kill costs at most the last line."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from anymo_hf.annotation.stage_cache import StageCache, key_of


def test_records_outlive_the_process_and_threads_do_not_mix_lines(tmp_path):
    path = tmp_path / "deep" / "a.jsonl"
    with StageCache(path) as cache, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: cache.put(key_of(n), {"n": n, "text": "é" * n}), range(200)))
    with StageCache(path) as cache:
        assert len(cache) == 200 and all(cache.get(key_of(n))["n"] == n for n in range(200))


def test_a_torn_last_line_is_cut_off(tmp_path):
    path = tmp_path / "a.jsonl"
    with StageCache(path) as cache:
        cache.put("a", {"n": 1})
    whole = path.read_bytes()
    for torn in (b'{"key": "b", "n', b'{"key": "b", "n": 2}'):
        path.write_bytes(whole + torn)
        with StageCache(path) as cache:
            assert cache.get("b") is None and cache.get("a")["n"] == 1
        assert path.read_bytes() == whole


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"key": "a"}\nnonsense\n{"key": "b"}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2.*delete this line"):
        StageCache(path)


def test_lines_nested_without_end_and_links_to_devices_are_refused_and_the_lock_is_free_again(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("[" * 100_000 + "\n")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"a\.jsonl, line 1: damaged .*nested too deep.*delete this line"):
            StageCache(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    for _ in range(2):
        with pytest.raises(OSError, match=r"a\.jsonl: a device or a pipe, no file; give a file"):
            StageCache(path)


def test_a_second_user_is_refused(tmp_path):
    with StageCache(tmp_path / "a.jsonl"), pytest.raises(OSError, match="another process works with it"):
        StageCache(tmp_path / "a.jsonl")


def test_a_full_disk_leaves_no_half_line(tmp_path):
    cache = StageCache(tmp_path / "a.jsonl")
    cache.put("a", {"n": 1})
    file = cache._file

    class Full:
        closed = False

        def write(self, line):
            return file.write(line[:5])

        def __getattr__(self, name):
            return getattr(file, name)

    cache._file = Full()
    with pytest.raises(OSError, match="make room and run again"):
        cache.put("b", {"n": 2})
    cache._file = file
    cache.put("c", {"n": 3})
    cache.close()
    assert [line[:11] for line in (tmp_path / "a.jsonl").read_text().splitlines()] == ['{"key": "a"', '{"key": "c"']


def test_keys_depend_on_content_and_not_on_order():
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1}) != key_of({"a": 1, "b": 3})
