"""Small original files of wisdm."""


def write(folder, rate=20.0, letters="AB", subjects=(1600,)):
    for kind, values in (("accel", "0,9.8,0"), ("gyro", "0,0.5,0")):
        place = folder / "raw" / "phone" / kind
        place.mkdir(parents=True, exist_ok=True)
        for subject in subjects:
            lines = [
                f"{subject},{letter},{int((100 * block + i / rate) * 1e9)},{values};\n"
                for block, letter in enumerate(letters)
                for i in range(220)
            ]
            (place / f"data_{subject}_{kind}_phone.txt").write_text("".join(lines))
