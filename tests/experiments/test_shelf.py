import json

import pytest

from plateaux.experiments import find, names, shelf

from . import shelves


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shelves.use(monkeypatch, tmp_path)
    return tmp_path


def test_an_experiment_is_a_script_with_expected_numbers(folder):
    shelves.put(folder, "two")
    shelves.put(folder, "one")
    (folder / "neighbour.py").write_text("")
    assert names() == ["one", "two"]
    assert find("two") == folder / "two.py"
    with pytest.raises(ValueError, match="but is 'neighbour'; did you mean"):
        find("neighbour")
    found = shelf.entry("one")
    assert found.title == "What one shows"
    assert found.seconds == {"full": 1.0, "smoke": 1.0}


def test_rules_of_a_size_come_first(folder):
    here, both = ({"of": "*", "why": "w", "rtol": rtol} for rtol in (0.1, 0.2))
    smoke = shelves.size(1) | {"rules": [here]}
    shelves.put(folder, "one", smoke=smoke, rules=[both])
    found = shelf.expected("one")
    assert set(found) == {"full", "smoke"}
    assert found["smoke"]["rules"] == [here, both]
    assert found["full"]["rules"] == [both]


def test_the_size_is_told_by_the_configuration_whatever_the_parts(folder):
    shelves.put(folder, "one")
    config = {"lanes": 1} | shelves.CONFIG
    assert shelf.expected_of("one", config)[0] == "smoke"
    assert shelf.expected_of("one", config | {"parts": ["two"]})[0] == "smoke"
    assert shelf.expected_of("one", config | {"lanes": 2}) is None
    assert shelf.expected_of("no such experiment", config) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting"),
        ("[]", "no table"),
        ('{"full": 3}', "int"),
        ('{"full": {"config": {}, "numbers": {}}}', "seconds must be there"),
        (json.dumps({"rules": [{"of": "*"}], "full": shelves.size(1)}), "`why`"),
    ],
)
def test_a_broken_expectation_is_told_with_its_file(folder, text, why):
    shelves.put(folder, "one")
    file = folder / "expected" / "one.json"
    file.write_text(text)
    with pytest.raises(ValueError, match="must say what experiment one gives") as said:
        shelf.expected("one")
    assert str(file) in str(said.value)
    assert why in str(said.value)


def test_code_of_an_installed_package_has_no_commit(tmp_path, monkeypatch):
    if not shelf.code_state()["git"]:
        pytest.skip("not a git checkout")
    monkeypatch.chdir(tmp_path)
    assert shelf.code_state()["git"]["commit"]  # the code's folder counts
    monkeypatch.setattr(shelf, "INSTALLED", shelf.folder())
    assert shelf.code_state()["git"] is None
