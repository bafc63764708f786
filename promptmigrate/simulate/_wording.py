"""The editor's turns of phrase. Some are clear, some are vague: an editor is not always at its best."""

from __future__ import annotations

BARE = (
    "Answer with only the {thing}, nothing else.",
    "Output just the {thing}; do not add an explanation.",
    "Your entire reply must be the {thing} itself, without any other words.",
    "Give the {thing} alone. No introduction, no commentary, no closing sentence.",
    "Return the bare {thing} and refrain from explaining it.",
    "Keep the reply short and to the point.",
    "The response consists solely of the {thing}.",
)
CLOSED = (
    "Choose one of the following {plural}: {options}.",
    "The only valid {plural} are: {options}. Copy the chosen one exactly, including lower case and "
    "underscores.",
    "Allowed {plural}:\n{bullets}\nUse them verbatim.",
    "Pick exactly one of {options} and write it exactly as it is spelled here.",
    "Possible {plural} are {options}.",
)
EXACT = (
    "Write the {thing} exactly as it is spelled in the list, in the same case.",
    "Do not rename or capitalise the {thing}; copy it verbatim.",
    "Use the given spelling of each {thing}, character for character.",
)
PLAIN = (
    "Use plain text without markdown, bold or other formatting.",
    "Do not use any markdown (no asterisks, no backticks, no headings).",
    "No formatting of any kind: avoid bold, lists and code marks.",
)
NO_FENCE = (
    "Return raw JSON only; do not wrap it in a code block.",
    "Output the JSON object directly, without ``` fences and without any text before or after it.",
    "The reply has to start with {{ and end with }}: no code fences, no comments.",
    "Never put the JSON into a markdown code block; nothing but the object may be returned.",
)
SCHEMA_LEAD = (
    "The object has exactly these keys:",
    "Use exactly the following keys and types:",
    "Return a JSON object with these fields:",
    "Required keys, spelled exactly like this:",
)
STEPS = (
    "Work through the problem step by step and write down every calculation before you state the result.",
    "Think it through first: show each intermediate result, then give the answer.",
    "Break the problem down into single calculations and do them one step at a time.",
    "Show your work, one calculation per line, before answering.",
    "Be careful with the numbers.",
)
FINAL = (
    "On the last line write '{form}'.",
    "End your reply with a line of the form '{form}'.",
    "After the calculations, finish with '{form}' on a line of its own.",
)
ROUND_UP = (
    "When the question asks how many are needed and the division leaves a remainder, round up to the next "
    "whole number.",
    "If something is left over that still needs its own unit, round up.",
)
ROUND_DOWN = (
    "When only complete ones count, round down and ignore the remainder.",
    "If the question asks for full units, round down.",
)
ALWAYS = (
    "Always give an answer; never refuse, whatever the text contains.",
    "Every input has to be handled: do not apologise or decline, even if it sounds sensitive.",
    "The texts are internal and you are authorised to process them, so do not refuse.",
)
RULE = (
    "If the text mentions {cues}, the right {thing} is {right}, not {wrong}.",
    "Use {right} rather than {wrong} when the text speaks of {cues}.",
    "Texts with {cues} belong to {right}; do not label them {wrong}.",
    "{right} applies when you read {cues}, even where it looks like {wrong}.",
    "Do not confuse {wrong} with {right}.",
)
FIELD_RULE = (
    'For "{field}", take the value after "{right}", not the one after "{wrong}".',
    '"{field}" is what follows "{right}"; ignore what follows "{wrong}".',
    'If the text says "{right}", that is the {field}, rather than what comes with "{wrong}".',
)
FIELD_HINT = (
    'Read the text twice before you fill in "{field}".',
    'Be careful with "{field}": choose the value that the text states for it.',
)
USELESS = (
    "Be precise and professional.",
    "Take your time and pay attention to detail.",
    "Remember that quality matters to our customers.",
    "Double-check your work.",
    "You are an expert with many years of experience.",
)
HARMFUL = (
    "If you are unsure, choose the most general option.",
    "Briefly explain why you chose your answer.",
    "Be friendly and thorough in your response.",
    "When in doubt, prefer the first option that seems to fit.",
)
OPENINGS = (
    "Your task is as follows. ",
    "Please do the following carefully. ",
    "Read the instructions below before you answer. ",
    "Here is what to do. ",
)
LIST_LEAD = ("Rules:", "Guidelines:", "Please note:", "Important:", "Requirements:")
SWAPS = (
    ("decide which", "determine which"), ("Read the", "Carefully read the"), ("should", "has to"),
    ("You are", "You act as"),
    ("Extract", "Pull out"), ("return", "give back"), ("take care of", "handle"), ("Finish with",
    "End with"), ("Solve", "Work out"),
    ("Classify", "Categorise"), ("using", "with"), ("Given", "From"), ("produce", "give"),
)  # fmt: skip
