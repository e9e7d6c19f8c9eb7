import tomllib

from contracts.delimited import read_files
from contracts.formats import FORMATS
from sandbox.samples import FOLDER, samples


def test_the_committed_files_are_those_the_generator_makes() -> None:
    committed = {str(file.relative_to(FOLDER)): file.read_bytes() for file in FOLDER.glob("*/*/*.csv")}
    assert committed == samples()


def test_the_files_are_small_enough_to_read() -> None:
    assert max(content.count(b"\n") for content in samples().values()) < 200


def test_the_setup_names_the_districts_and_their_drop_folders() -> None:
    setup = tomllib.loads((FOLDER / "setup.toml").read_text())
    assert [(district["id"], district["source"][0]["folder"]) for district in setup["district"]] == [
        ("unified", "drop/unified"),
        ("riverbend", "drop/riverbend"),
        ("hillcrest", "drop/hillcrest"),
    ]
    assert {path.split("/")[0] for path in samples()} == {district["id"] for district in setup["district"]}


def test_only_riverbends_second_night_has_file_errors() -> None:
    nights: dict[str, dict[str, bytes]] = {}
    for path, content in samples().items():
        night, _, name = path.rpartition("/")
        nights.setdefault(night, {})[name] = content
    found = {
        night: sorted(errors["code"])
        for night, files in nights.items()
        if (errors := read_files(FORMATS["csv-1.0"], files).file_errors).height
    }
    assert found == {
        "riverbend/night2": [
            "columns_invalid",
            "columns_invalid",
            "id_missing",
            "id_missing",
            "line_break_in_cell",
            "quotes_invalid",
        ]
    }
