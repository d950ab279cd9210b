from tools import requirements


def test_the_file_is_made_from_pyproject():
    assert requirements.main(["--check"]) == 0


def test_a_file_that_differs_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(requirements, "FILE", tmp_path / "requirements.txt")
    requirements.main([])
    text = requirements.FILE.read_text()
    assert "\nray[data,train,tune]>=2.50\n" in text and "\nrecbole" not in text
    assert "never" not in text  # overrides of packages that only extras install
    requirements.FILE.write_text(text + "more\n")
    assert requirements.main(["--check"]) == 1
    assert capsys.readouterr().err.startswith("requirements.txt: differs from pyproject.toml; run ")
