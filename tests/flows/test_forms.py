"""The districts that Prefect's forms offer."""

from __future__ import annotations

from tasks.forms import with_choices

TITLED = {"title": "district", "position": 0, "description": "the district's ID"}
REQUIRED = {"type": "object", "properties": {"district": {**TITLED, "type": "string", "minLength": 1}}}
TYPED = {"type": "string", "minLength": 1, "title": "type"}


def offered(*districts: str) -> dict[str, object]:
    return {"type": "string", "enum": list(districts), "title": "choose"}


def test_a_field_offers_what_is_known_beside_typing_it() -> None:
    found = with_choices(REQUIRED, "district", ["unified", "lakeside"])
    assert found == {
        **REQUIRED,
        "properties": {"district": {**TITLED, "anyOf": [offered("unified", "lakeside"), TYPED]}},
    }
    later = with_choices(found, "district", ["unified"])
    assert later["properties"]["district"]["anyOf"] == [offered("unified"), TYPED]
    assert with_choices(later, "district", [])["properties"]["district"]["anyOf"] == [TYPED]


def test_a_field_that_may_stay_empty_may_still() -> None:
    kinds = [{"type": "string", "minLength": 1}, {"type": "null"}]
    schema = {"type": "object", "properties": {"district": {**TITLED, "anyOf": kinds, "default": None}}}
    found = with_choices(schema, "district", ["unified"])["properties"]["district"]
    assert found == {**TITLED, "default": None, "anyOf": [offered("unified"), TYPED, {"type": "null"}]}


def test_a_form_without_the_field_and_one_with_nothing_to_offer_stay_as_they_are() -> None:
    assert with_choices({"type": "object"}, "district", ["unified"]) == {"type": "object"}
    assert with_choices(REQUIRED, "district", []) == REQUIRED
