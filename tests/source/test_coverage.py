"""tests/COVERAGE.md says what the code has: each row of the option tables
with its test, each test of a real caller with its caller."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
E2E = ROOT / "tests/e2e"
COVERAGE = (ROOT / "tests/COVERAGE.md").read_text()
OPTIONS = (ROOT / "sendmail/options.c").read_text()
MAIN = (ROOT / "sendmail/main.c").read_text()


def section(title):
    """The cells of the rows of that section's table."""
    text = COVERAGE.split(f"# {title}\n", 1)[1].split("\n#")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")]
            for line in lines[2:]]


def table(name, row):
    """The rows of a C table, as the pattern's groups."""
    body = re.search(rf"^\}} {name}\[\] = \{{\n(.*?)^\}};", OPTIONS,
                     re.S | re.M)[1]
    found = [m.groups() for m in re.finditer(row, body)]
    assert len(found) == body.count("\t{ ")
    return found


def functions_of(file):
    return re.findall(r"^def (test_\w+)", (E2E / f"{file}.py").read_text(),
                      re.M)


def named():
    return re.findall(r"(test_\w+)::(\w+)", COVERAGE)


def test_each_option_stands_there_as_the_table_has_it():
    rows = table("table", r"\{ '(.)', \w+, +\w+, +\"(.*)\" \}")
    assert [(o[1:], what) for o, what, _ in section("Options")] == rows


def test_each_mode_setting_and_name_stands_there():
    modes = [f"-b{m}" for m, in table("modes", r"\{ '(.)', .* \}")]
    assert sorted(row[0] for row in section("Modes")) == sorted(modes)
    settings = table("settings", r"\{ '(.*)', *\"(\w+)\",.* \}")
    assert [(letter or r"\0", name)
            for letter, name, _ in section("Settings")] == settings
    names = [n for n, in table("names", r"\{ \"(\w+)\",.* \}")]
    names += re.findall(r'strcmp\(name, "(\w+)"\)', MAIN)
    assert len(names) == 5
    listed = [row[0] for row in
              section("Names, and the form of a command line")]
    assert sorted(names) == sorted(n for n in listed if n.isalpha())


def test_each_row_names_a_test_or_where_it_is_told():
    for title in ("Options", "Modes", "Settings",
                  "Names, and the form of a command line", "Callers",
                  "What callers count on"):
        for row in section(title):
            parts = row[-1].split(", ")
            if not row[-1].startswith("see "):
                assert all(re.fullmatch(r"test_\w+::test_\w+", part)
                           for part in parts), row


def test_each_test_that_is_named_is_there():
    missing = [f"{file}::{name}" for file, name in named()
               if name not in functions_of(file)]
    assert not missing


def test_each_test_of_a_caller_has_a_row():
    known = set(named())
    missing = [f"{file}::{name}" for file in ("test_callers", "test_programs")
               for name in functions_of(file) if (file, name) not in known]
    assert not missing, "tests/COVERAGE.md lacks " + ", ".join(missing)


def test_each_test_of_an_option_has_a_row():
    known = set(named())
    assert [n for n in functions_of("test_options")
            if ("test_options", n) not in known] == []


def test_the_page_tells_of_each_mode_setting_and_name():
    page = (ROOT / "man/sendmail.8").read_text()
    text = page[page.index(".It Fl A "):page.index(".Sh SMTP ON STANDARD")]
    told = set(re.findall(r"^\.Fl b(\w)\b", text, re.M))
    modes = dict(table("modes", r"\{ '(.)', \w+, (.*) \}"))
    act = {m for m, refusal in modes.items() if refusal == "NULL"} - {"t"}
    assert act <= told <= set(modes)
    assert "Other modes are refused" in text
    settings = table("settings", r"\{ '.*', *\"(\w+)\", *(\w+) \}")
    assert all(name in text for name, act in settings if act != "ignore")
    for name, in table("names", r"\{ \"(\w+)\",.* \}"):
        assert f".Nm {name}\n" in text, name


def test_what_memcheck_runs_is_there():
    text = (ROOT / "tests/memcheck").read_text()
    files = dict(re.findall(r"^(\w+)=tests/e2e/(\w+)\.py::test_$", text, re.M))
    names = re.findall(r'"\$\{(\w+)\}(\w+)"', text)
    assert len(names) > 25
    for file, name in names:
        assert f"test_{name}" in functions_of(files[file]), name
