"""The Space: the page of `anymo space`, with recordings of the folder examples/."""

from pathlib import Path

from anymo_hf.hub.space_answer import Example, Upload, reading_options
from anymo_hf.hub.space_app import serve

walk = Path(__file__).parent / "examples" / "walk_left_wrist.csv"
upload = Upload(walk.name, walk.read_bytes(), reading_options(rate=104))  # its clock repeats stamps
serve(examples=[Example("Real: walking, watch on the left wrist", "left_wrist", upload)], host="0.0.0.0", port=7860)
