import tomllib

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
