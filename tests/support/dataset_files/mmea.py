"""Small original files of mmea."""


def clip(folder, where, rows=60, counts=(0, -16384, 0, 164, 0, 0)):
    path = folder / "sensor" / f"{where}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(str(value) for value in counts) + "\n" for _ in range(rows)))
    return path


def line(where, label):
    return f"yourdataset_path/data/{where} 120 60 {label}\n"
