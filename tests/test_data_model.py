from __future__ import annotations

from data_model import PAGE, page


def test_the_page_is_as_the_tables_declare_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make docs"


def test_the_page_shows_each_column_with_type_nulls_reference_and_meaning() -> None:
    lines = page().splitlines()
    settled = lines[lines.index("## The settled roster") :]
    assert settled[settled.index("### seen_classes") : settled.index("### protected")] == [
        "### seen_classes",
        "",
        "A class in any row of the delivery, rejected ones included. Rules: `contracts.checking`.",
        "",
        "| column | type | null | meaning |",
        "| --- | --- | --- | --- |",
        "| external_id | String |  | the source's ID of the class |",
        "| school_id | String | yes | the school's; null for a class that the source puts into none |",
        "",
    ]
    database = lines[lines.index("## The database") :]
    assert database[database.index("### acceptance") : database.index("### notice")] == [
        "### acceptance",
        "",
        "A student whose guardians somebody accepted as they are, until those change.",
        "",
        "| column | type | null | references | meaning |",
        "| --- | --- | --- | --- | --- |",
        "| id | INTEGER |  |  |  |",
        "| link_id | VARCHAR |  | link.id |  |",
        "| code | VARCHAR |  |  | too_many_guardians, emergency_contacts |",
        "| digest | VARCHAR |  |  | of the guardians accepted |",
        "| decision_id | INTEGER |  | decision.id |  |",
        "",
    ]
