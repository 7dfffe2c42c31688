"""The archive: segment motion of many recordings on disk, from which any placement's IMU follows.

`writer` makes one, `dataset` reads windows and views of it, `derived` writes views or all candidates out of it, `manifest`
says what it holds and checks it; `shard`, `track` and `codec` are one recording on disk, `rows` its rows on the Hub.
"""
