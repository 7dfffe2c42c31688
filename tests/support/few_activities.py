"""A handful of activities in place of all, where a test is not about how many there are: each takes time to simulate."""

from anymo_hf.motion.procedural import ACTIVITIES

FEW_ACTIVITIES = {
    name: ACTIVITIES[name] for name in ("jumping_jacks", "lying_back", "sitting", "squats", "standing", "walking")
}
