"""Where training motion comes from: the licence of every source, and what its owner asks to be said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MotionSource:
    """A source of motion.

    Args:
        title: its name, in Markdown.
        licence: in words, in Markdown.
        acknowledgement: what its owner asks to be said.
        weights_licence: the Hub's tag that weights trained on it must carry; None where it asks for none.
    """

    title: str
    licence: str
    acknowledgement: str = ""
    weights_licence: str | None = None


_CMU_LICENCE = "free to use; the data may not be resold, in converted form neither"
_CMU_THANKS = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF "
    "EIA-0196217."
)
_CMU = "[CMU Graphics Lab Motion Capture Database](http://mocap.cs.cmu.edu)"
# name, as the corpus and the archive keep it for every clip -> source
SOURCES = {
    "procedural": MotionSource(
        "Procedural motion of this project (`anymo_hf.motion.procedural.activities`)", "Apache-2.0"
    ),
    "bandai_namco": MotionSource(
        "[Bandai-Namco Research Motiondataset]"
        "(https://github.com/BandaiNamcoResearchInc/Bandai-Namco-Research-Motiondataset)",
        "[CC BY-NC 4.0](https://creativecommons.org/licenses/by-nc/4.0/): no commercial use",
        "Motion of the Bandai-Namco Research Motiondataset (Bandai Namco Research Inc., CC BY-NC 4.0) was mapped onto 23 "
        "segments and cut into windows.",
        "cc-by-nc-4.0",
    ),
    "cmu_bvh": MotionSource(_CMU, _CMU_LICENCE, _CMU_THANKS),
    "cmu_iclone": MotionSource(f"{_CMU}, as retargeted in iClone", _CMU_LICENCE, _CMU_THANKS),
    "cmu": MotionSource(_CMU, _CMU_LICENCE, _CMU_THANKS),
    "hdm05": MotionSource(
        "[Motion capture database HDM05](https://resources.mpi-inf.mpg.de/HDM05/)",
        "[CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/)",
        "Motion of HDM05 (Müller, Röder, Clausen, Eberhardt, Krüger, Weber: Documentation Mocap Database HDM05, technical "
        "report CG-2007-2, Universität Bonn, 2007; CC BY-SA 3.0) was mapped onto 23 segments and cut into windows.",
    ),
    "reactidle": MotionSource(
        "[ReActIdle](https://github.com/Enekoassets/ReActIdle)",
        "MIT",
        "Motion of ReActIdle (Landa et al., 2025; MIT licence) was mapped onto 23 segments and cut into windows.",
    ),
    "nymeria": MotionSource(
        "[Nymeria](https://www.projectaria.com/datasets/nymeria/)",
        "[CC BY-NC 4.0](https://creativecommons.org/licenses/by-nc/4.0/): no commercial use",
        "",
        "cc-by-nc-4.0",
    ),
}
