"""Why a recorded call is of no use, in the words of the profile."""

from __future__ import annotations

FAILED = "the call failed"
UNFINISHED = "the call was not finished"
NOT_PRODUCTION = "made by an evaluation, not by production"
OTHER_PROMPT = "linked to another prompt"
OTHER_MODEL = "answered by another model"
NO_MATCH = "does not match the prompt's template"
NO_INPUTS = "the template's variables were not recorded"
NO_ANSWER = "no text in the answer"
CUT_SHORT = "the answer was cut short"
FILTERED = "the answer was filtered"
SHADOW = "a shadow call, not served"
NOT_PLAIN = "the inputs are not plain data"
MARKED_WRONG = "marked wrong by a person, with no right answer given"
LOST = "the spans are missing"
CUT = "the inputs were too long to be recorded whole"
