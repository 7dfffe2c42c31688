"""Words for motion: labels, label synonyms and narrations composed from what happens in a window."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# activity -> (label: AnyMo-180 where one fits, else plain; short names people use; verb phrases for sentences)
# "ascending stairs" and "descending stairs" are left out on purpose: they test words the corpus never saw. So are class
# names that only a benchmark would use; plain ones such as "walk upstairs" are what people say and stay.
_ACTIVITIES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "standing": (
        "standing",
        ("standing", "stand", "standing still", "stand still", "upright and still", "standing up straight"),
        ("stands still", "remains upright without moving", "stands in place", "keeps standing"),
    ),
    "sitting": (
        "sitting",
        ("sitting", "sit", "seated", "sitting on a chair", "sitting still", "sit down on a seat"),
        ("sits on a chair", "stays seated", "is sitting still", "sits upright"),
    ),
    "slouching": (
        "sitting",
        (
            "slouching",
            "sitting slouched",
            "leaning back in a chair",
            "sitting relaxed",
            "lounging",
            "sitting on a sofa",
        ),
        ("leans back in a seat", "slouches on a sofa", "sits relaxed and leans back", "lounges in a chair"),
    ),
    "lying_back": (
        "lying",
        ("lying", "lying on back", "lay", "laying", "lie down", "lying down", "sleeping", "sleep", "resting in bed"),
        ("lies on the back", "is lying down facing up", "rests in bed on the back", "sleeps on the back"),
    ),
    "lying_side": (
        "lying",
        (
            "lying on the side",
            "lying on right side",
            "lying sideways",
            "sleeping on the side",
            "lay on one side",
            "lying in bed",
        ),
        ("lies on one side", "rests sideways on a bed", "sleeps on the side", "is lying turned to one side"),
    ),
    "walking": (
        "walking / hiking",
        ("walking", "walk", "walking forward", "walk forward", "strolling", "going for a walk", "walk straight ahead"),
        ("walks forward", "walks at a normal pace", "strolls ahead", "takes steps forward", "walks across the floor"),
    ),
    "walking_slow": (
        "walking / hiking",
        ("walking slowly", "slow walking", "strolling slowly", "walk slow", "a slow walk", "ambling"),
        ("walks slowly", "ambles forward", "strolls at a slow pace", "takes slow steps"),
    ),
    "walking_fast": (
        "walking / hiking",
        ("walking fast", "brisk walking", "nordic walking", "walking briskly", "fast walk", "power walking"),
        ("walks briskly", "strides quickly ahead", "walks fast", "takes long quick steps"),
    ),
    "walking_turning": (
        "turning in place / turning / spinning",
        ("walking in a circle", "turning while walking", "turning", "turning left", "turning right", "turn around"),
        ("walks along a curve", "turns while walking", "walks in a circle", "changes direction while walking"),
    ),
    "walking_backward": (
        "walking / hiking",
        (
            "walking backward",
            "walk backwards",
            "stepping back",
            "backward walking",
            "moving backwards",
            "going backwards",
        ),
        ("walks backward", "steps backwards", "moves back step by step", "walks in reverse"),
    ),
    "side_stepping": (
        "side stepping exercise",
        ("side stepping", "walking sideways", "stepping left", "stepping right", "stepping sideways", "side shuffle"),
        ("steps sideways", "shuffles to the side", "walks sideways", "side steps"),
    ),
    "running": (
        "running",
        ("running", "run", "run forward", "running forward", "sprinting", "running fast"),
        ("runs forward", "runs fast", "sprints ahead", "runs at speed"),
    ),
    "jogging": (
        "jogging",
        ("jogging", "jog", "slow running", "running slowly", "going for a jog", "jog forward"),
        ("jogs forward", "jogs at an easy pace", "runs slowly", "trots along"),
    ),
    "jogging_in_place": (
        "jogging in place",
        (
            "jogging in place",
            "running in place",
            "jog on the spot",
            "running on the spot",
            "jog in place",
            "run in place",
        ),
        ("jogs in place", "runs on the spot", "jogs without moving forward", "keeps jogging on one spot"),
    ),
    "walking_in_place": (
        "walking / stepping in place",
        (
            "walking in place",
            "stepping in place",
            "marching in place",
            "march on the spot",
            "walk in place",
            "stepping on the spot",
        ),
        ("walks in place", "marches on the spot", "steps in place", "lifts the knees in turn on the spot"),
    ),
    "stairs_up": (
        "walking up stairs",
        (
            "walking up stairs",
            "climbing stairs",
            "stairs up",
            "walking upstairs",
            "upstairs",
            "climbing up",
            "going up the stairs",
            "walk upstairs",
            "stairs",
        ),
        ("walks up the stairs", "climbs a staircase", "goes upstairs", "steps up stair by stair"),
    ),
    "stairs_down": (
        "walking down stairs",
        (
            "walking down stairs",
            "going down stairs",
            "stairs down",
            "walking downstairs",
            "downstairs",
            "climbing down",
            "walk downstairs",
            "stairs",
        ),
        ("walks down the stairs", "goes downstairs", "steps down a staircase", "comes down stair by stair"),
    ),
    "jumping": (
        "jumping / hopping in place",
        ("jumping", "jump", "jump up", "hopping", "jumping up and down", "jumping in place"),
        ("jumps up and down", "jumps in place", "leaps upward", "hops with both feet"),
    ),
    "rope_jumping": (
        "jumping rope",
        ("jumping rope", "rope jumping", "skipping rope", "jump rope", "rope skipping", "skipping"),
        ("jumps rope", "skips with a rope", "hops over a swinging rope", "does rope jumps"),
    ),
    "cycling": (
        "biking outdoors",
        (
            "cycling",
            "biking",
            "riding a bike",
            "riding",
            "riding a bicycle",
            "pedalling",
            "cycling on an exercise bike",
        ),
        ("rides a bike", "pedals a bicycle", "cycles along", "pedals steadily"),
    ),
    "rowing": (
        "rowing",
        ("rowing", "row", "using a rowing machine", "rowing exercise", "rowing a boat", "pulling oars"),
        ("rows on a rowing machine", "pulls the oars", "rows with the whole body", "slides and pulls while rowing"),
    ),
    "squats": (
        "squatting",
        ("squatting", "squat", "doing squats", "squats", "deep knee bends", "squat down"),
        ("does squats", "squats down and comes up", "bends both knees into a squat", "lowers into a squat"),
    ),
    "lunges": (
        "lunges / lunging",
        ("lunges", "lunge", "lunging", "forward lunge", "doing lunges", "lunge exercise"),
        ("does lunges", "lunges forward", "lowers into a lunge", "sinks into a lunge with one foot ahead"),
    ),
    "sit_to_stand": (
        "standing up",
        ("standing up", "sit to stand", "getting up from a chair", "stand up", "rising from a seat", "rise to stand"),
        ("stands up from a chair", "rises from a seat", "gets up from sitting", "goes from sitting to standing"),
    ),
    "stand_to_sit": (
        "sitting down",
        ("sitting down", "stand to sit", "sit down", "taking a seat", "lowering onto a chair", "going to sit"),
        ("sits down on a chair", "takes a seat", "lowers onto a chair", "goes from standing to sitting"),
    ),
    "lying_down": (
        "lying",
        ("going to lie down", "getting into bed", "sit to lie", "lowering to the bed", "lay down", "going to bed"),
        ("lies down from sitting", "lowers onto the bed", "gets into bed", "goes from sitting to lying"),
    ),
    "getting_up": (
        "sitting up",
        ("getting up", "getting out of bed", "lie to sit", "sitting up", "rising from bed", "getting up from the bed"),
        ("gets up from lying", "sits up in bed", "rises from the bed", "goes from lying to sitting"),
    ),
    "elevator_up": (
        "standing in an elevator",
        (
            "elevator up",
            "riding an elevator up",
            "going up in an elevator",
            "taking the lift up",
            "lift up",
            "in an elevator",
        ),
        (
            "rides an elevator up",
            "stands in a rising elevator",
            "takes the lift up",
            "stands still while the elevator goes up",
        ),
    ),
    "elevator_down": (
        "standing in an elevator",
        (
            "elevator down",
            "riding an elevator down",
            "going down in an elevator",
            "taking the lift down",
            "lift down",
            "in an elevator",
        ),
        (
            "rides an elevator down",
            "stands in a sinking elevator",
            "takes the lift down",
            "stands still while the elevator goes down",
        ),
    ),
    "wave": (
        "gesturing",
        ("waving", "wave", "hand wave", "waving a hand", "greeting", "wave hello"),
        ("waves {side} hand", "greets by waving {side} hand", "swings {side} hand to say hello", "waves"),
    ),
    "clap": (
        "clapping",
        ("clapping", "clap", "hand clapping", "two hand clap", "clap hands", "applauding"),
        ("claps both hands", "applauds", "claps the hands together", "claps"),
    ),
    "throw": (
        "throwing objects",
        ("throwing", "throw", "arm throw", "throwing a ball", "pitching", "throw something"),
        ("throws something with {side} arm", "hurls a ball", "swings {side} arm overhead to throw", "throws"),
    ),
    "swipe_left": (
        "gesturing",
        (
            "swipe left",
            "swiping to the left",
            "arm swipe to the left",
            "hand swipe left",
            "sweep the arm left",
            "left swipe",
        ),
        (
            "swipes {side} arm to the left",
            "moves {side} hand across to the left",
            "sweeps {side} arm leftwards",
            "makes a left swipe",
        ),
    ),
    "swipe_right": (
        "gesturing",
        (
            "swipe right",
            "swiping to the right",
            "arm swipe to the right",
            "hand swipe right",
            "sweep the arm right",
            "right swipe",
        ),
        (
            "swipes {side} arm to the right",
            "moves {side} hand across to the right",
            "sweeps {side} arm rightwards",
            "makes a right swipe",
        ),
    ),
    "draw_circle_cw": (
        "air writing",
        (
            "draw circle clockwise",
            "drawing a circle",
            "hand circle clockwise",
            "clockwise circle in the air",
            "circle with the arm",
            "draw a circle",
        ),
        (
            "draws a clockwise circle in the air",
            "circles {side} hand clockwise",
            "traces a circle to the right",
            "draws a circle with {side} hand",
        ),
    ),
    "draw_circle_ccw": (
        "air writing",
        (
            "draw circle counter clockwise",
            "drawing a circle counter clockwise",
            "counter clockwise circle",
            "circle to the left",
            "draw a circle backwards",
            "hand circle counter clockwise",
        ),
        (
            "draws a counter clockwise circle in the air",
            "circles {side} hand counter clockwise",
            "traces a circle to the left",
            "draws a reverse circle",
        ),
    ),
    "draw_x": (
        "air writing",
        ("draw x", "drawing a cross in the air", "draw an x", "hand draw x", "writing an x", "cross in the air"),
        (
            "draws an x in the air",
            "traces a cross with {side} hand",
            "writes the letter x in the air",
            "draws two crossing lines",
        ),
    ),
    "draw_triangle": (
        "air writing",
        (
            "draw triangle",
            "drawing a triangle",
            "triangle in the air",
            "hand draw triangle",
            "trace a triangle",
            "three sided shape",
        ),
        (
            "draws a triangle in the air",
            "traces three lines with {side} hand",
            "draws a three sided shape",
            "traces a triangle",
        ),
    ),
    "knock": (
        "gesturing",
        ("knocking", "knock on door", "knock", "knocking on a door", "hand knock", "rapping on a door"),
        ("knocks on a door", "raps with {side} hand", "knocks with {side} fist", "taps a door with the knuckles"),
    ),
    "boxing": (
        "punching / shadowboxing",
        ("boxing", "punching", "shadow boxing", "boxing forward", "throwing punches", "punch"),
        ("punches with both fists", "shadow boxes", "throws punches in turn", "boxes forward"),
    ),
    "tennis_swing": (
        "playing tennis",
        (
            "tennis swing",
            "forehand swing",
            "tennis forehand",
            "racket swing",
            "hitting a tennis ball",
            "swinging a racket",
        ),
        (
            "swings a racket",
            "plays a forehand with {side} arm",
            "hits a tennis ball",
            "swings {side} arm across the body",
        ),
    ),
    "tennis_serve": (
        "playing tennis",
        ("tennis serve", "serving", "overhead serve", "serve a ball", "racket serve", "smash"),
        ("serves a tennis ball", "hits overhead with {side} arm", "raises {side} arm and serves", "serves overhead"),
    ),
    "baseball_swing": (
        "playing baseball",
        ("baseball swing", "swinging a bat", "bat swing", "batting", "hitting a baseball", "swing a bat"),
        ("swings a baseball bat", "bats with both hands", "turns and swings a bat", "hits a baseball"),
    ),
    "basketball_shoot": (
        "playing basketball",
        (
            "basketball shoot",
            "shooting a basketball",
            "basketball shot",
            "shoot a hoop",
            "playing basketball",
            "free throw",
        ),
        ("shoots a basketball", "throws a ball at the hoop", "raises both arms and shoots", "takes a basketball shot"),
    ),
    "bowling": (
        "bowling",
        ("bowling", "bowl", "rolling a bowling ball", "bowling throw", "underarm roll", "bowl a ball"),
        ("bowls with {side} hand", "rolls a bowling ball", "swings {side} arm low and forward", "bowls a ball"),
    ),
    "catch": (
        "catching objects",
        ("catching", "catch", "catch an object", "playing catch", "catch a ball", "grabbing a thrown object"),
        ("catches an object with {side} hand", "grabs something thrown", "catches a ball", "reaches out and catches"),
    ),
    "pick_up_throw": (
        "throwing objects",
        (
            "pick up and throw",
            "picking up and throwing",
            "grab and throw",
            "lift and throw",
            "pick something up then throw",
            "pickup and throw",
        ),
        (
            "picks something up and throws it",
            "bends, grabs and throws",
            "lifts an object and throws it",
            "picks up a ball and throws",
        ),
    ),
    "push_two_hands": (
        "pushing",
        ("two hand push", "pushing", "push forward", "pushing with both hands", "push", "shove"),
        (
            "pushes forward with both hands",
            "shoves with both arms",
            "pushes something away",
            "extends both arms to push",
        ),
    ),
    "arm_cross": (
        "gesturing",
        (
            "arm cross",
            "crossing arms",
            "crossing the arms over the chest",
            "folding arms",
            "cross the arms",
            "arms crossed",
        ),
        ("crosses the arms over the chest", "folds both arms", "brings the arms across the chest", "crosses the arms"),
    ),
    "arm_curl": (
        "bicep curls",
        ("arm curl", "bicep curls", "curling weights", "dumbbell curl", "arm curls", "lifting dumbbells"),
        ("curls both arms", "does bicep curls", "lifts weights by bending the elbows", "bends both elbows to curl"),
    ),
    "reaching": (
        "placing items on a surface",
        ("reaching", "reach out", "reaching for something", "extending an arm", "reaching to a shelf", "reach forward"),
        (
            "reaches forward with {side} hand",
            "reaches out for something",
            "extends {side} arm to a shelf",
            "stretches {side} arm ahead",
        ),
    ),
    "carrying": (
        "walking while carrying objects",
        ("carrying", "carrying a box", "walking while carrying", "carry objects", "moving a box", "moving something"),
        (
            "walks while carrying a box",
            "carries something with both hands",
            "moves a box across the room",
            "carries an object",
        ),
    ),
    "picking_up": (
        "picking up objects",
        (
            "picking up",
            "taking things off a shelf",
            "pick up objects",
            "pick something up",
            "bending to pick up",
            "lifting from the floor",
        ),
        (
            "bends down and picks something up",
            "picks up an object",
            "stoops to lift something",
            "takes an object from below",
        ),
    ),
    "placing": (
        "placing items on a surface",
        (
            "placing items",
            "put something down",
            "putting items in",
            "placing an object",
            "placing items into a box",
            "putting items away",
        ),
        ("places an item on a surface", "puts something down", "sets an object on the table", "puts items into a box"),
    ),
    "sweeping": (
        "sweeping",
        ("sweeping", "sweep floor", "sweeping the floor", "mopping", "mop floor", "using a broom"),
        ("sweeps the floor", "moves a broom back and forth", "cleans the floor with a broom", "mops the floor"),
    ),
    "vacuuming": (
        "vacuuming / walking while vacuuming",
        ("vacuuming", "vacuum cleaning", "using a vacuum cleaner", "vacuum the floor", "hoovering", "vacuum"),
        ("vacuums the floor", "pushes a vacuum cleaner", "moves a vacuum back and forth", "cleans the carpet"),
    ),
    "wiping": (
        "cleaning a surface",
        ("wiping", "wipe table", "cleaning a surface", "wiping the table", "ironing", "cleaning"),
        ("wipes a table", "rubs a surface with {side} hand", "cleans a surface", "moves a cloth back and forth"),
    ),
    "stirring": (
        "stirring / mixing",
        ("stirring", "mixing", "stir", "stirring a pot", "cooking", "mixing food"),
        ("stirs a pot", "mixes food with {side} hand", "stirs in circles", "cooks and stirs"),
    ),
    "typing": (
        "using laptop",
        ("typing", "using a laptop", "type pc", "typing on a keyboard", "computer work", "working at desk"),
        ("types on a keyboard", "works on a laptop", "taps the keys with both hands", "types while seated"),
    ),
    "writing": (
        "writing",
        ("writing", "write", "handwriting", "filling out a paper", "writing notes", "filling in a form"),
        ("writes on paper", "takes notes by hand", "fills in a form", "writes with {side} hand"),
    ),
    "drinking": (
        "drinking",
        ("drinking", "drink", "drinking cup", "drinking water", "taking a sip", "drink from a cup"),
        ("drinks from a cup", "takes a sip", "raises a glass to the mouth", "lifts a cup and drinks"),
    ),
    "eating": (
        "eating",
        ("eating", "eat", "having a meal", "eating soup", "eating a sandwich", "taking a bite"),
        ("eats a meal", "brings food to the mouth", "takes bites of food", "eats with {side} hand"),
    ),
    "taping_box": (
        "folding / rolling / tearing / peeling tape",
        ("taping a box", "closing a box", "sealing a carton", "packing a box", "assembling a box", "wrapping a parcel"),
        ("closes a box with tape", "assembles a box", "packs and tapes a box", "folds and tapes a carton"),
    ),
    "folding": (
        "folding clothes / pants / towel / blanket",
        ("folding clothes", "fold clothes", "folding laundry", "folding a towel", "fold laundry", "folding"),
        ("folds clothes", "folds a towel with both hands", "folds the laundry", "smooths and folds a shirt"),
    ),
    "kicking": (
        "playing soccer / kicking ball",
        ("kicking", "kicking ball", "kick", "playing soccer", "kicking a soccer ball", "kick a ball"),
        ("kicks a ball", "swings a leg to kick", "plays soccer and kicks", "kicks a soccer ball"),
    ),
}

LABELS: dict[str, str] = {name: entry[0] for name, entry in _ACTIVITIES.items()}

_SUBJECTS = ("a person", "a human", "an individual", "the person", "someone")
_SPEED = {
    "slow": ("slowly", "at an easy pace"),
    "normal": ("at a normal pace", "steadily"),
    "fast": ("quickly", "in a hurry"),
}
_TIMES = {
    1: ("once", "a single time"),
    2: ("twice", "two times"),
    3: ("three times",),
    4: ("several times", "again and again"),
}
_FORMS = ("{subject} {verb}{tail}", "{subject} {verb}{tail}.", "in this clip {subject} {verb}{tail}")


def label_phrases(activity: str) -> list[str]:
    """Short names of an activity, as people and datasets write them.

    Raises:
        ValueError: unknown activity.
    """
    return list(_entry(activity)[1])


def compose_narrations(activity: str, details: Mapping, rng: np.random.Generator, count: int = 6) -> list[str]:
    """Different sentences about one window.

    Args:
        activity: a key of `LABELS`.
        details: what happened in it: `side`, `speed`, `repetitions`, `direction`; absent ones are not mentioned.
        rng: source of choices.
        count: how many sentences.

    Raises:
        ValueError: unknown activity.
    """
    verbs = _entry(activity)[2]
    side = {"both": "both", "left": "the left", "right": "the right"}.get(details.get("side", ""), "one")
    tails = [""]
    if details.get("speed") in _SPEED and activity in ("walking", "carrying"):
        tails += [f" {word}" for word in _SPEED[details["speed"]]]
    if details.get("repetitions"):
        tails += [f" {word}" for word in _TIMES[min(4, int(details["repetitions"]))]]
    if details.get("direction"):
        tails += [f" to the {details['direction']}"]
    sentences: list[str] = []
    order = rng.permutation(len(verbs))
    turn = 0
    while len(sentences) < count and turn < 40 * count:
        form = _FORMS[0] if turn < 2 else _FORMS[int(rng.integers(len(_FORMS)))]
        sentence = form.format(
            subject=_SUBJECTS[int(rng.integers(len(_SUBJECTS)))],
            verb=verbs[order[turn % len(verbs)]].format(side=side),
            tail=tails[int(rng.integers(len(tails)))],
        )
        turn += 1
        if sentence not in sentences:
            sentences.append(sentence)
    return sentences


def _entry(activity: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    if activity not in _ACTIVITIES:
        raise ValueError(f"unknown activity {activity!r}; known: {', '.join(sorted(_ACTIVITIES))}")
    return _ACTIVITIES[activity]
