"""Labels that stand in where a user gives none."""

from anymo_hf.motion.procedural import ACTIVITIES
from anymo_hf.systems.activity_labels import simulated_labels


def test_labels_of_simulated_activities_are_distinct_names():
    labels = simulated_labels()
    assert len(set(labels)) == len(labels) == len(ACTIVITIES)
    assert {"walking", "walking up stairs", "sitting"} <= set(labels)
